"""Congestion of a lossless street, and what is asked because of it."""

from decimal import Decimal

import pytest

from api_spec.flexibility import CongestionTerms, VoltageTerms
from api_spec.metering import BusPower
from dso_agents.congestion import Congestion, Margins, congestion
from dso_agents.requests import Asking, requests, widened
from market.network import Grid
from tests.unit.dso_agents.street import DAY, VOLT_AMPS_PER_AMP, amps, street

NO_MARGIN = Margins(current=0, voltage_pu=0)


def test_a_street_within_its_rating_asks_for_nothing() -> None:
    found = congestion(Grid.of(street()), DAY, load=amps(99, 50, 0, -99), margins=NO_MARGIN)

    assert found == Congestion(DAY, (), ())
    assert requests(found, Asking()) == ()


def test_an_overload_is_found_where_and_when_it_is_in_either_direction() -> None:
    found = congestion(Grid.of(street()), DAY, load=amps(99, 101, 0, -120), margins=NO_MARGIN)

    (overload,) = found.overloads
    assert (overload.element, overload.rating_a, overload.worst) == ("cable", 100.0, 3)
    assert overload.current_a == pytest.approx((99, 101, 0, 120), rel=1e-3)
    assert overload.affected == (False, True, False, True)


def test_what_aggregators_nominate_adds_to_the_forecast() -> None:
    nominated = (BusPower(bus="far", power_w=tuple(round(a * VOLT_AMPS_PER_AMP) for a in (0, 60, 0, 0))),)

    found = congestion(Grid.of(street()), DAY, load=amps(50, 50, 50, 50), baselines=nominated, margins=NO_MARGIN)

    assert found.overloads[0].current_a == pytest.approx((50, 110, 50, 50), rel=1e-3)


def test_the_margin_lowers_the_limit_that_is_asked_for_and_the_shoulder_covers_the_rebound() -> None:
    found = congestion(Grid.of(street()), DAY, load=amps(0, 0, 0, 96), margins=Margins(current=0.05))

    (asked,) = requests(found, Asking(max_price_eur_per_mwh=Decimal(700), shoulder=2))

    assert asked == CongestionTerms(
        kind="congestion",
        element="cable",
        limit_a=95.0,
        max_price_eur_per_mwh=Decimal(700),
        active=(False, True, True, True),
    )


def test_a_voltage_drop_of_a_tenth_leaves_a_band_of_five_percent() -> None:
    """0.1 pu over the cable: r = 0.1 x 400 / (sqrt(3) x 50 A) ohm; the source's own voltage is given."""
    network = street(r_ohm=0.1 * 400 / (3**0.5 * 50), rating_a=1e6, min_pu=0.95)
    constant_power_for_50_a = amps(0, 45, 0, 0)

    found = congestion(Grid.of(network), DAY, load=constant_power_for_50_a, margins=Margins(voltage_pu=0.01))

    (violation,) = found.violations
    assert violation.voltage_pu == pytest.approx((1, 0.9, 1, 1), abs=1e-6)
    assert requests(found, Asking(shoulder=0)) == (
        VoltageTerms(
            kind="voltage",
            buses=("far",),
            min_pu=0.96,
            max_pu=1.09,
            max_price_eur_per_mwh=Decimal(1000),
            active=(False, True, False, False),
        ),
    )


def test_a_shoulder_ends_at_the_ends_of_the_day() -> None:
    assert widened((True, False, False, False, True), 1) == (True, True, False, True, True)
    assert widened((False, False), 3) == (False, False)
