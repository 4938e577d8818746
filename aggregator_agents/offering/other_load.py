"""What else may be drawn behind the meter: what is expected, and how far past days strayed from it. Pure."""

from datetime import datetime, timedelta
from typing import Final

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.premises import Premises
from api_spec.period import MarketPeriod

_DAY: Final = timedelta(days=1)


def other_cases_w(premises: Premises, period: MarketPeriod, *, now: datetime, days: int) -> FloatArray | None:
    """(case, period) power of everything else behind the meter, equally likely cases [W]; None where nothing is there.

    What is expected now, plus what was drawn less what had been expected as long before, of each of the last `days`
    days that were over by now at the same hours.
    """
    if not premises.table.pv and not premises.table.loads:
        return None
    first = max(1, -((now - period.end) // _DAY))
    expected_w = premises.expected_w(period, issued=now).sum(axis=1)
    cases = []
    for back in range(first, first + days):
        then = MarketPeriod(start=period.start - back * _DAY, resolution=period.resolution, count=period.count)
        foreseen_w = premises.expected_w(then, issued=now - back * _DAY).sum(axis=1)
        cases.append(expected_w + premises.metered_w(then).sum(axis=1) - foreseen_w)
    return np.array(cases)
