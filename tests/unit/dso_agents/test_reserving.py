"""Reserve in advance or buy on the day, by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from api_spec.metering import Calendar
from dso_agents.experience import Experience
from dso_agents.reserving import ReservePlan, reserve_choice
from dso_agents.risk import Risk

GATE = datetime(2026, 3, 20, 11, tzinfo=UTC)  # a Friday; summer time begins on the 29th
TERMS: dict[str, Any] = {
    "product": {
        "name": "week",
        "stage": "reservation",
        "direction": "reduction",
        "price_cap_eur_per_mwh": 30,
        "penalty_eur_per_mwh": 0,
        "activation_cap_eur_per_mwh": 200,
    },
    "delivery": {"start": datetime(2026, 3, 22, 23, tzinfo=UTC), "resolution": "PT1H", "count": 167},
    "gate_closure": GATE,
    "undelivered_eur_per_mwh": 1000,
    "undelivered": 0.1,
}
ALWAYS_THERE = Experience(periods=1000, needed=999, short=0, bought_mwh=1.0, paid_eur=150.0)
OFTEN_SHORT = Experience(periods=1000, needed=99, short=29, bought_mwh=1.0, paid_eur=150.0)


def plan(**changes: Any) -> ReservePlan:
    return ReservePlan.model_validate(TERMS | changes)


def test_scarce_offers_are_worth_reserving_against_up_to_the_critical_fractile() -> None:
    """On the day 0.705 x 150 + 0.295 x 1000 = 400.75; reserved 0.9 x 200 + 0.1 x 1000 = 280; 30 / 120.75 = 24.8 %."""
    choice = reserve_choice(plan(), OFTEN_SHORT, risk=Risk(probability=0.9), need=0.5)

    assert choice.scarcity == pytest.approx(29.5 / 100)
    assert (choice.on_the_day_eur_per_mwh, choice.reserved_eur_per_mwh) == pytest.approx((400.75, 280.0))
    assert choice.by_cost == pytest.approx(30 / 120.75)
    assert choice.reserves
    assert choice.risk.probability == pytest.approx(30 / 120.75)


def test_a_need_that_is_rarer_than_the_fractile_is_bought_on_the_day() -> None:
    assert not reserve_choice(plan(), OFTEN_SHORT, risk=Risk(probability=0.9), need=0.2).reserves


def test_nobody_reserves_what_is_there_on_the_day_for_less() -> None:
    choice = reserve_choice(plan(), ALWAYS_THERE, risk=Risk(probability=0.9), need=1.0)

    assert choice.by_cost == 1.0
    assert not choice.reserves
    assert choice.because.endswith("nothing is reserved")


def test_risk_reserves_what_cost_would_not() -> None:
    """Standing ready for 1000 EUR/MW/h never pays. But half of all periods short with 29.5 % is 14.75 % of failures.

    5 % are accepted, 10 % of reserved power fails: x 0.295 + (0.5 - x) 0.1 = 0.05 leaves x = 0 to the day.
    """
    dear = plan(availability_eur_per_mwh=Decimal(1000))

    choice = reserve_choice(dear, OFTEN_SHORT, risk=Risk(probability=0.05), need=0.5)
    laxer = reserve_choice(dear, OFTEN_SHORT, risk=Risk(probability=0.1), need=0.5)

    assert choice.by_cost == 1.0
    assert choice.by_risk == pytest.approx(0.0)
    assert laxer.by_risk == pytest.approx(0.05 / 0.195)
    assert "the accepted risk" in laxer.because


def test_before_anything_was_bought_offers_are_as_likely_there_as_not() -> None:
    choice = reserve_choice(plan(), Experience(), risk=Risk(), need=0.1)

    assert choice.scarcity == 0.5
    assert choice.on_the_day_eur_per_mwh == pytest.approx(0.5 * 200 + 0.5 * 1000)


def test_a_weekly_reservation_comes_again_at_the_same_local_time() -> None:
    """12:00 in Copenhagen is 11:00 UTC on 20 and 27 March, 10:00 on 3 April; the week of 29 March lacks an hour."""
    weekly, calendar = plan(every_days=7), Calendar(zone="Europe/Copenhagen")

    first = weekly.due(GATE - timedelta(hours=2), calendar)
    second = weekly.due(GATE + timedelta(days=6, hours=2), calendar)
    third = weekly.due(GATE + timedelta(days=13, hours=3), calendar)

    assert first is not None
    assert (first.gate_closure, first.delivery.count) == (GATE, 167)
    assert second is not None
    assert (second.gate_closure, second.delivery.count) == (GATE + timedelta(days=7), 168)
    assert third is not None
    assert third.gate_closure == datetime(2026, 4, 3, 10, tzinfo=UTC)
    assert weekly.due(GATE + timedelta(hours=1), calendar) is None
    assert plan().due(GATE + timedelta(days=6, hours=2), calendar) is None


def test_only_a_reservation_product_reserves() -> None:
    with pytest.raises(ValidationError, match="must be reservation"):
        plan(product={"name": "day", "price_cap_eur_per_mwh": 30, "penalty_eur_per_mwh": 0})
