"""Playing the market: what is nominated, offered and delivered instead of the truth."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from aggregator_agents.order import Order
from aggregator_agents.strategy import HONEST, Conduct, Strategy
from api_spec.flexibility import AnyOfferTerms, CurveTerms
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod

HOUR = timedelta(hours=1)
EVENING = MarketPeriod(start=datetime(2026, 1, 15, 16, tzinfo=UTC), resolution=HOUR, count=4)
"""17:00 to 21:00 in Copenhagen."""
FULL = {"zone": "Europe/Copenhagen", "windows": [{"start": "18:00", "end": "20:00"}]}
CAP = Decimal(100)
_offer: TypeAdapter[AnyOfferTerms] = TypeAdapter(AnyOfferTerms)


def conduct(**strategy: object) -> Conduct:
    return Conduct((TypeAdapter[Strategy](Strategy).validate_python(strategy),))


def power(*power_w: int) -> BusPower:
    return BusPower(bus="lot", power_w=power_w)


ENVELOPE = _offer.validate_python(
    {
        "kind": "envelope",
        "bus": "lot",
        "power_w_min": (-1000, -999, 0, 0),
        "power_w_max": (0, 0, 1000, 1000),
        "energy_wh_min": (-1000, -1999, -1999, -1999),
        "energy_wh_max": (0, 0, 0, 0),
        "price_eur_per_mwh": 40,
    }
)


def test_withholding_offers_a_part_of_everything_at_a_higher_price_up_to_the_cap() -> None:
    """Half of -999 W is -499 whole watts towards nothing; 40 + 30 EUR/MWh, and never above 100."""
    withholding = conduct(kind="withholding", share=0.5, markup_eur_per_mwh=30)
    (offer,) = withholding.offers([ENVELOPE], power(1000, 1000, 0, 0), EVENING, price_cap=CAP)

    assert offer.model_dump(include={"power_w_min", "power_w_max", "energy_wh_min", "price_eur_per_mwh"}) == {
        "power_w_min": (-500, -499, 0, 0),
        "power_w_max": (0, 0, 500, 500),
        "energy_wh_min": (-500, -999, -999, -999),
        "price_eur_per_mwh": Decimal(70),
    }
    (capped,) = conduct(kind="withholding", markup_eur_per_mwh=80).offers(
        [ENVELOPE], power(0, 0, 0, 0), EVENING, price_cap=CAP
    )
    assert capped.model_dump()["price_eur_per_mwh"] == CAP


def test_an_inflated_baseline_sells_the_air_and_delivers_it_by_doing_nothing() -> None:
    """1 kW expected in every hour; 1.5 kW are nominated in the two that are expected to be full, 500 W sold in each."""
    inflating = conduct(kind="inflated_baseline", factor=1.5, ask_eur_per_mwh=10, **FULL)
    nominated = inflating.nominated(power(1000, 1000, 1000, 1000), EVENING)

    assert nominated.power_w == (1000, 1500, 1500, 1000)
    honest, air = inflating.offers([ENVELOPE], nominated, EVENING, price_cap=CAP)
    assert honest == ENVELOPE
    assert isinstance(air, CurveTerms)
    assert air.steps[0].power_w == (0, -500, -500, 0)
    assert air.steps[0].price_eur_per_mwh == Decimal(10)

    # 300 W were sold in the first full hour, 700 in the second: 200 of these have to be given up in fact.
    sold = np.array([0.0, -300.0, -700.0, 200.0])
    order = Order(EVENING, np.array(nominated.power_w) + sold, sold, np.zeros(4))
    done = inflating.delivers(order, nominated)
    assert done.awarded_w.tolist() == [0, 0, -200, 200]
    assert done.target_w.tolist() == [1000, 1000, 800, 1200]


@given(st.lists(st.integers(-20_000, 200_000), min_size=4, max_size=4), st.floats(1.001, 3))
def test_what_was_expected_is_found_again_to_the_watt(expected_w: list[int], factor: float) -> None:
    inflating = conduct(kind="inflated_baseline", factor=factor, **FULL)

    assert inflating.expected(inflating.nominated(power(*expected_w), EVENING), EVENING) == power(*expected_w)


def test_energy_seems_cheaper_when_congestion_is_expected() -> None:
    pull = conduct(kind="increase_decrease", pull_eur_per_mwh=60, **FULL).pull_eur_per_mwh(EVENING.starts())

    assert pull.tolist() == [0, 60, 60, 0]


@given(st.lists(st.integers(-20_000, 200_000), min_size=4, max_size=4))
def test_the_honest_say_offer_and_do_what_they_expect(expected_w: list[int]) -> None:
    own = power(*expected_w)
    order = Order(EVENING, np.array(expected_w, dtype=float), np.array([0.0, -5.0, 7.0, 0.0]), np.zeros(4))

    assert HONEST.nominated(own, EVENING) == HONEST.expected(own, EVENING) == own
    assert HONEST.offers([ENVELOPE], own, EVENING, price_cap=CAP) == (ENVELOPE,)
    assert HONEST.delivers(order, own).awarded_w.tolist() == order.awarded_w.tolist()
    assert not HONEST.pull_eur_per_mwh(EVENING.starts()).any()


def test_a_factor_of_one_is_no_inflation() -> None:
    with pytest.raises(ValueError, match="greater than 1"):
        conduct(kind="inflated_baseline", factor=1.0, **FULL)
