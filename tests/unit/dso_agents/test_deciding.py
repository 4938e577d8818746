"""What a DSO plans by: margins or risk, whatever its meters have said, so that the two can be told apart."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from api_spec.case import Injection
from api_spec.grid_metering import GridReading
from api_spec.period import MarketPeriod
from dso_agents.agent import DsoConfig
from dso_agents.congestion import Margins
from dso_agents.deciding import Decision, Knowledge, decide
from dso_agents.meter_history import MeterHistory
from dso_agents.risk import Risk
from market.network import Grid
from tests.unit.dso_agents.street import street

HOUR = timedelta(hours=1)
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
TWO_HOURS = MarketPeriod(start=NOON, resolution=HOUR, count=2)
ONE_AMPERE_W = 3**0.5 * 400


@dataclass(frozen=True)
class EightyAmperes:
    """Known of the far end of a cable of 100 A."""

    def injections(self, period: MarketPeriod) -> tuple[Injection, ...]:
        return (Injection(bus="far", p_w=(80 * ONE_AMPERE_W,) * period.count, q_var=(0.0,) * period.count),)


def decided(plans_by: Literal["margins", "risk"] | None, *, metered_a: float | None = None) -> Decision:
    """metered_a : steady for the 20 days before; absent = no meter has said anything."""
    history = MeterHistory(step=HOUR, keep=timedelta(weeks=12))
    if metered_a is not None:
        start, values = NOON - timedelta(days=20), (metered_a * ONE_AMPERE_W,) * (20 * 24)
        history.add([GridReading(meter="m", bus="far", quantity="p_w", start=start, resolution=HOUR, values=values)])
    policy = DsoConfig(
        feeder="risoe", plans_by=plans_by, margins=Margins(current=0.05, voltage_pu=0.0), risk=Risk(probability=0.05)
    )
    return decide(Knowledge(Grid.of(street(rating_a=100)), EightyAmperes(), history), policy, TWO_HOURS, now=NOON)


def test_without_meters_risk_is_of_a_load_that_strays_from_its_profile() -> None:
    """80 A, give or take 25 %: one evening of twenty lies 1.645 x 20 = 33 A above, so that 67 A may be planned."""
    by_risk, as_usual = decided("risk"), decided(None)

    (overload,) = by_risk.found.overloads
    assert not by_risk.learnt
    assert overload.limit_a == pytest.approx((67.1, 67.1), abs=1.5)
    assert as_usual.found.overloads == decided("margins").found.overloads == (), "80 A are below 95 A"


def test_with_meters_margins_are_kept_free_of_what_is_expected() -> None:
    """Metered 97 A, day after day: above 95 A of 100, whatever the chance is."""
    by_margins = decided("margins", metered_a=97)

    (overload,) = by_margins.found.overloads
    assert by_margins.learnt
    assert overload.chance is None
    assert overload.limit_a == pytest.approx((95, 95))
    assert overload.current_a == pytest.approx((97, 97), abs=0.5)
    assert decided("risk", metered_a=97).found == decided(None, metered_a=97).found
