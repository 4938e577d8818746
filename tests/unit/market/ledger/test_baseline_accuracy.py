"""How good methods are, on days without an award; and what is not published of it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from api_spec.metering import Calendar
from api_spec.period import MarketPeriod
from api_spec.product import BaselineMethod
from market.ledger.baselines import Metered, MeterHistory, Record
from market.ledger.baselines.accuracy import COMPUTED, Trial, accuracy, backtest, nominated_trials

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVENT = datetime(2026, 1, 15, 17, tzinfo=UTC)
SINCE, UNTIL = EVENT - timedelta(days=91), EVENT + DAY
DELIVERY = MarketPeriod(start=EVENT, resolution=HOUR, count=2)
PLAIN = Calendar()


def steady(who: str, power_w: int, *, events: frozenset[object] = frozenset()) -> Record:
    """The same power in every hour up to the event."""
    hours = (EVENT - SINCE) // HOUR
    history = MeterHistory.of([Metered(who, "lot", SINCE, HOUR, (power_w,) * hours, SINCE)], since=SINCE, until=UNTIL)
    return Record(who, "lot", history, history, events)  # type: ignore[arg-type]


def trial(who: str, baseline: list[float], metered: list[float]) -> Trial:
    return Trial(who, np.array(baseline), np.array(metered))


def test_accuracy_by_hand() -> None:
    """Errors +2, -2, +6, 0, 0, 0 W on a mean of 10 W: bias 1, MAE 10/6, RMSE sqrt(44/6), MAE a sixth of the mean."""
    tried = [trial("a", [12, 8], [10, 10]), trial("b", [16, 10], [10, 10]), trial("c", [10, 10], [10, 10])]

    found = accuracy("mid_8_of_10", tried)

    assert (found.bias_w, found.mae_w, found.rmse_w) == (1.0, 1.667, 2.708)
    assert (found.mean_w, found.relative_mae, found.deliveries) == (10.0, 0.166667, 3)


def test_what_two_participants_could_read_from_each_other_is_withheld() -> None:
    tried = [trial("a", [1], [2]), trial("b", [1], [2]), trial("b", [1], [3])]

    found = accuracy("nominated", tried)

    assert found.withheld
    assert (found.deliveries, found.bias_w, found.mae_w, found.mean_w) == (0, None, None, None)


@pytest.mark.parametrize("method", COMPUTED)
def test_every_method_is_exact_where_nothing_changes(method: BaselineMethod) -> None:
    """Six places with steady loads, ten working days."""
    records = [steady(who, 1000 * k) for k, who in enumerate("abcdef", start=1)]

    found = accuracy(method, backtest(method, DELIVERY, records, PLAIN))

    assert (found.deliveries, found.mae_w, found.mean_w) == (60, 0.0, 3500.0)


def test_days_with_an_award_are_not_tried() -> None:
    with_award = steady("a", 1000, events=frozenset({(EVENT - DAY).date(), (EVENT - 2 * DAY).date()}))

    assert len(backtest("mid_8_of_10", DELIVERY, [with_award], PLAIN)) == 8


def test_a_nomination_is_compared_with_its_meter_where_nothing_was_ordered() -> None:
    yesterday = DELIVERY.model_copy(update={"start": EVENT - DAY})
    records = {
        ("a", "lot"): steady("a", 1000),
        ("b", "lot"): steady("b", 1000, events=frozenset({(EVENT - DAY).date()})),
    }
    nominated = {("a", "lot"): (1200, 900), ("b", "lot"): (5000, 5000), ("c", "lot"): (1, 1)}

    (only,) = nominated_trials([(yesterday, nominated)], records, PLAIN)

    assert only.participant == "a"
    assert (only.baseline_w - only.metered_w).tolist() == [200, -100]
