"""What a DSO expects to be too much, on a street that a reader can compute."""

from datetime import UTC, datetime, timedelta

import pytest

from api_spec.case import Injection
from api_spec.grid import Network
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from dso_agents.congestion import Margins, congestion
from market.network import Grid
from tests.small_cases import bus, line

STREET = Grid.of(
    Network.model_validate(
        {
            "name": "street",
            "phases": 1,
            "source": {"bus": "s"},
            "buses": [bus("s"), bus("far", min_pu=0.95, max_pu=1.05)],
            "lines": [line("l1", "s", "far", r_ohm=1.0, x_ohm=0.0, rating_a=60.0)],
        }
    )
)
TWO_HOURS = MarketPeriod(start=datetime(2026, 1, 15, tzinfo=UTC), resolution=timedelta(hours=1), count=2)
FORECAST = (Injection(bus="far", p_w=(500_000, 500_000), q_var=(0, 0)),)


def test_chargers_on_top_of_the_forecast_overload_the_line_in_their_hour() -> None:
    """1 MW at 10 kV is 58 A: less than 60 A, but more than the 57 A that a margin of 5 % leaves."""
    nominated = (BusPower(bus="far", power_w=(500_000, 0)),)

    found = congestion(STREET, TWO_HOURS, load=FORECAST, baselines=nominated, margins=Margins(current=0.05))

    (overload,) = found.overloads
    assert overload.limit_a == pytest.approx((57.0, 57.0))
    assert overload.current_a == pytest.approx((1e6 / 3**0.5 / 1e4, 0.5e6 / 3**0.5 / 1e4), rel=0.02)
    assert overload.affected == (True, False)
    assert found.violations == ()


def test_without_the_chargers_nothing_is_too_much() -> None:
    found = congestion(STREET, TWO_HOURS, load=FORECAST, margins=Margins())

    assert (found.overloads, found.violations) == ((), ())


def test_a_voltage_below_its_band_and_margin_is_a_violation() -> None:
    """6 MW over 1 ohm at 10 kV lowers the far end by about 6 %, more than the 5 % of its band."""
    heavy = (Injection(bus="far", p_w=(6_000_000, 500_000), q_var=(0, 0)),)

    (violation,) = congestion(STREET, TWO_HOURS, load=heavy, margins=Margins(voltage_pu=0.01)).violations

    assert violation.bus == "far"
    assert violation.affected == (True, False)
    assert violation.voltage_pu[0] == pytest.approx(0.936, abs=0.002)


def test_an_element_under_repair_keeps_more_free() -> None:
    """500 kW at 10 kV is 29 A: more than the 24 A that are left of 60 A where 60 % are kept free."""
    (overload,) = congestion(STREET, TWO_HOURS, load=FORECAST, margins=Margins(elements={"l1": 0.6})).overloads
    assert overload.limit_a == pytest.approx((24.0, 24.0))
    assert congestion(STREET, TWO_HOURS, load=FORECAST, margins=Margins(elements={"l2": 0.6})).overloads == ()
