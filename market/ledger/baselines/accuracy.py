"""How good a method is: tried on days without an award, against what was metered."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from api_spec.baselines import BaselineAccuracy
from api_spec.metering import Calendar
from api_spec.period import MarketPeriod
from api_spec.product import BaselineMethod
from market.errors import HistoryTooShort, ReadingsMissing
from market.ledger.baselines import Event, Record, baseline_by, members
from market.ledger.baselines.days import beginning, is_rest, local_date, on_day
from market.ledger.baselines.history import FloatArray

COMPUTED: Final[tuple[BaselineMethod, ...]] = (
    "mid_8_of_10",
    "10_of_10_adjusted",
    "meter_before",
    "meter_before_after",
    "control_group",
)
LEAST_PARTICIPANTS: Final = 3
"""Two others stand behind what each of them reads; with two participants, each would read the other's errors."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One place on one day without an award: baseline and metered power, (period,) [W]."""

    participant: str
    baseline_w: FloatArray
    metered_w: FloatArray


def backtest(
    method: BaselineMethod, delivery: MarketPeriod, records: Sequence[Record], calendar: Calendar, *, days: int = 10
) -> list[Trial]:
    """Try a computed method on the last days before a delivery that are like its first day.

    Every record is tried as if the delivery's first 24 hours, at their wall-clock times, had been ordered when they
    began, with all other participants' records as the control group. Days with an award, and days that the method
    cannot be worked out for, are left out.
    """
    delivery = beginning(delivery, timedelta(days=1))
    trials = []
    for day in _days_before(delivery, calendar, days):
        shifted = _moved(delivery, day, calendar)
        event = Event(shifted, ordered=(True,) * delivery.count, notified_at=shifted.start)
        free = [each for each in records if day not in each.event_days]
        group = members(event, free, calendar) if method == "control_group" else ()
        for own in free:
            metered = own.newest.means_w(shifted.starts(), shifted.resolution)
            with suppress(HistoryTooShort, ReadingsMissing):
                computed = baseline_by(method, event, own, group=group, calendar=calendar)
                if not np.isnan(metered).any():
                    trials.append(Trial(own.participant, np.array(computed.power_w, dtype=np.float64), metered))
    return trials


def accuracy(method: BaselineMethod, trials: Iterable[Trial]) -> BaselineAccuracy:
    """Bias, mean absolute and root mean square error of baseline minus metered, over all periods of all trials."""
    tried = list(trials)
    if len({each.participant for each in tried}) < LEAST_PARTICIPANTS:
        return BaselineAccuracy(method=method, withheld=True)
    metered = np.concatenate([each.metered_w for each in tried])
    error = np.concatenate([each.baseline_w for each in tried]) - metered
    mae, mean = float(np.abs(error).mean()), float(metered.mean())
    return BaselineAccuracy(
        method=method,
        withheld=False,
        deliveries=len(tried),
        bias_w=round(float(error.mean()), 3),
        mae_w=round(mae, 3),
        rmse_w=round(float(np.sqrt((error**2).mean())), 3),
        mean_w=round(mean, 3),
        relative_mae=round(mae / abs(mean), 6) if mean else None,
    )


def nominated_trials(
    nominations: Iterable[tuple[MarketPeriod, Mapping[tuple[str, str], tuple[int, ...]]]],
    records: Mapping[tuple[str, str], Record],
    calendar: Calendar,
) -> list[Trial]:
    """What was nominated for deliveries that are over, at places without an award on any of their days."""
    trials = []
    for delivery, nominated in nominations:
        days = {local_date(each, calendar) for each in delivery.starts()}
        for place, power_w in nominated.items():
            own = records.get(place)
            if own is None or days & own.event_days:
                continue
            metered = own.newest.means_w(delivery.starts(), delivery.resolution)
            if not np.isnan(metered).any():
                trials.append(Trial(own.participant, np.array(power_w, dtype=np.float64), metered))
    return trials


def _days_before(delivery: MarketPeriod, calendar: Calendar, count: int) -> list[date]:
    first = local_date(delivery.start, calendar)
    back = (first - timedelta(days=k) for k in range(1, 10 * count))
    return [day for day in back if is_rest(day, calendar) == is_rest(first, calendar)][:count]


def _moved(delivery: MarketPeriod, day: date, calendar: Calendar) -> MarketPeriod:
    """The delivery as it would have begun on another day, at the same wall-clock time."""
    (start,) = on_day((delivery.start,), day - local_date(delivery.start, calendar), calendar)
    return delivery.model_copy(update={"start": start})
