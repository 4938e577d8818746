"""Congestion with a probability, on a street that a reader can compute: a cable of 100 A."""

from decimal import Decimal

import numpy as np
import pytest
from pydantic import ValidationError

from dso_agents.congestion import likely_congestion
from dso_agents.requests import Asking, requests
from dso_agents.risk import Risk
from market.errors import PowerFlowDiverged
from tests.unit.dso_agents.days_on_a_street import EVENING, likely
from tests.unit.dso_agents.street import street

NINE = tuple((58.0 + 5 * at, 40.0) for at in range(9))  # 58, 63 ... 98 A in the first hour, 40 A in the second


def test_the_probability_of_an_overload_is_the_share_of_days_with_one() -> None:
    """10 A of chargers on 58 ... 98 A: above 100 A on two evenings of nine, in the second hour never."""
    (overload,) = likely_congestion(likely(*NINE, chargers_a=(10, 10)), risk=Risk(probability=0.1)).overloads

    assert overload.chance is not None
    assert overload.chance.probability == pytest.approx((2 / 9, 0.0))
    assert overload.chance.minutes(EVENING) == pytest.approx(60 * 2 / 9)


def test_the_market_is_asked_to_plan_as_far_below_the_rating_as_a_bad_day_is_above_the_mean() -> None:
    """88 A expected, the worst of nine days 108 A: with 10 % accepted the limit is 100 - 20 = 80 A in that hour."""
    found = likely_congestion(likely(*NINE, chargers_a=(10, 10)), risk=Risk(probability=0.1))

    (terms,) = requests(found, Asking(shoulder=0))

    assert terms.kind == "congestion"
    assert terms.limit_a == pytest.approx((80.0, 100.0), abs=0.01)
    assert terms.active == (True, False)


def test_a_rating_that_is_expected_to_be_exceeded_is_asked_for_at_the_full_price_and_its_margin_at_a_quarter() -> None:
    """118 A expected and 138 A at worst: nobody may plan above 100 A, and 80 A leave 10 % to chance."""
    found = likely_congestion(likely(*NINE, chargers_a=(40, 10)), risk=Risk(probability=0.1))

    firm, margin = requests(found, Asking(max_price_eur_per_mwh=Decimal(800), shoulder=0))

    assert firm.kind == margin.kind == "congestion"
    assert (firm.limit_a, firm.max_price_eur_per_mwh, firm.active) == (100.0, Decimal(800), (True, False))
    assert margin.limit_a == pytest.approx((80.0, 100.0), abs=0.01)
    assert (margin.max_price_eur_per_mwh, margin.active) == (Decimal(200), (True, False))


def test_a_rating_that_is_not_expected_to_be_exceeded_is_no_more_than_a_margin() -> None:
    """88 A expected: the 20 A below the rating are all that is asked for."""
    found = likely_congestion(likely(*NINE, chargers_a=(10, 10)), risk=Risk(probability=0.1))

    (margin,) = requests(found, Asking(risk_price_eur_per_mwh=Decimal(90), shoulder=0))

    assert margin.kind == "congestion"
    assert margin.max_price_eur_per_mwh == 90


def test_a_forecast_without_any_error_needs_no_margin() -> None:
    found = likely_congestion(likely(*[(118.0, 40.0)] * 9), risk=Risk(probability=0.1))

    (firm,) = requests(found, Asking())

    assert firm.kind == "congestion"
    assert (firm.limit_a, firm.max_price_eur_per_mwh) == (100.0, Decimal(1000))


def test_where_risk_is_worth_as_much_as_the_rating_one_limit_says_it_all() -> None:
    found = likely_congestion(likely(*NINE, chargers_a=(40, 10)), risk=Risk(probability=0.1))

    (only,) = requests(found, Asking(risk_price_eur_per_mwh=Decimal(1000)))

    assert only.kind == "congestion"
    assert only.limit_a == pytest.approx((80.0, 100.0), abs=0.01)
    assert only.max_price_eur_per_mwh == 1000


def test_risk_is_never_worth_more_than_the_rating() -> None:
    with pytest.raises(ValidationError, match="must not be above max_price_eur_per_mwh"):
        Asking(risk_price_eur_per_mwh=Decimal(1001))


def test_who_accepts_more_asks_for_less() -> None:
    """With 30 % accepted the 7th of nine days counts: 98 A are within the rating."""
    assert likely_congestion(likely(*NINE, chargers_a=(10, 10)), risk=Risk(probability=0.3)).overloads == ()


def test_a_cable_under_repair_has_less_to_give() -> None:
    """At 70 % of its rating 58, 63 and 68 A are within, six evenings of nine are not."""
    (overload,) = likely_congestion(likely(*NINE), risk=Risk(), derated={"cable": 0.3}).overloads

    assert overload.chance is not None
    assert overload.chance.worst == pytest.approx(6 / 9)
    assert overload.rating_a == pytest.approx(70.0)


def test_a_voltage_is_planned_as_far_inside_its_band_as_a_bad_day_is_below_the_mean() -> None:
    """The cable of test_requests, which drops 0.1 pu at 50 A: above 0.95 pu at 20 A, below it on the bad evening."""
    network = street(r_ohm=0.1 * 400 / (3**0.5 * 50), rating_a=1e6, min_pu=0.95)
    evenings = [(20.0, 0.0)] * 8 + [(30.0, 0.0)]
    day = likely(*evenings, network=network)

    (violation,) = likely_congestion(day, risk=Risk(probability=0.1)).violations

    assert violation.bus == "far"
    assert violation.chance is not None
    assert violation.chance.probability == pytest.approx((1 / 9, 0.0))
    worst = float(day.scenarios.lowest_pu[-1, 0, day.grid.bus_at["far"]])
    expected = float(day.expected.lowest_pu[0, 0, day.grid.bus_at["far"]])
    assert violation.min_pu == pytest.approx(0.95 + expected - worst, abs=0.001)
    assert violation.max_pu == pytest.approx(1.1)
    assert violation.affected == (True, False)
    assert violation.firm is None
    assert violation.margin == violation


def test_a_band_that_is_expected_to_be_left_is_asked_for_beside_the_narrower_one() -> None:
    """26 A expected, at 0.9446 pu below 0.95 pu; 36 A on the bad evening."""
    network = street(r_ohm=0.1 * 400 / (3**0.5 * 50), rating_a=1e6, min_pu=0.95)
    day = likely(*([(25.0, 0.0)] * 8 + [(34.0, 0.0)]), network=network)

    firm, margin = requests(likely_congestion(day, risk=Risk(probability=0.1)), Asking(shoulder=0))

    assert firm.kind == margin.kind == "voltage"
    assert firm.buses == margin.buses == ("far",)
    assert (firm.min_pu, firm.max_pu, firm.max_price_eur_per_mwh) == (0.95, 1.1, Decimal(1000))
    assert margin.min_pu is not None and margin.min_pu > 0.95
    assert margin.max_price_eur_per_mwh == 250
    assert firm.active == margin.active == (True, False)


def test_an_evening_that_no_network_carries_counts_as_an_overload() -> None:
    network = street(r_ohm=2.0)
    day = likely(*([(10.0, 10.0)] * 8 + [(500.0, 10.0)]), network=network, chargers_a=(-50, 0))

    assert np.isinf(day.scenarios.current_a[-1, 0]).all()
    assert np.isfinite(day.scenarios.current_a[:-1]).all()
    (overload,) = likely_congestion(day, risk=Risk(probability=0.1)).overloads
    assert overload.chance is not None
    assert overload.chance.probability[0] == pytest.approx(1 / 9)


def test_a_network_that_cannot_carry_what_is_expected_is_said_at_once() -> None:
    with pytest.raises(PowerFlowDiverged, match="period 1"):
        likely(*([(10.0, 500.0)] * 3), network=street(r_ohm=2.0))
