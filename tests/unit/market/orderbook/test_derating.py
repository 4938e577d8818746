"""Offers at what they can be relied on for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from api_spec.flexibility import FlexOffer
from market.orderbook.derating import derated

_offer: TypeAdapter[FlexOffer] = TypeAdapter(FlexOffer)
WHO = {"id": "o", "participant": "agg", "bus": "far"}


def offer(**terms: Any) -> FlexOffer:
    return _offer.validate_python({**WHO, **terms})


def scaled(which: FlexOffer, score: float) -> Any:
    (only,) = derated([which], {("agg", "far"): score})
    return only


def curve(*power_w: int) -> FlexOffer:
    return offer(kind="curve", steps=[{"power_w": list(power_w), "price_eur_per_mwh": 50}])


ENVELOPE = offer(
    kind="envelope",
    power_w_min=[-4001, 0],
    power_w_max=[0, 4001],
    energy_wh_min=[-1001, 0],
    energy_wh_max=[0, 7],
    price_eur_per_mwh=50,
)


def test_a_curve_is_scaled_towards_no_change() -> None:
    """Half of -1001 W is -500.5 W: -500 W."""
    assert scaled(curve(-1001, 0), 0.5).steps[0].power_w == (-500, 0)
    assert scaled(curve(1001, 3), 0.5).steps[0].power_w == (500, 1)


def test_a_block_is_scaled_with_its_rebound() -> None:
    block = offer(kind="block", power_w=[-900, 901], price_eur_per_mwh=50, min_activation=0.5)

    found = scaled(block, 0.75)

    assert (found.power_w, found.min_activation) == ((-675, 675), 0.5)


def test_an_envelope_is_scaled_in_power_and_energy() -> None:
    found = scaled(ENVELOPE, 0.5)

    assert (found.power_w_min, found.power_w_max) == ((-2000, 0), (0, 2000))
    assert (found.energy_wh_min, found.energy_wh_max) == ((-500, 0), (0, 3))


def test_who_has_no_score_is_left_alone() -> None:
    other = curve(-1000).model_copy(update={"participant": "other"})
    elsewhere = curve(-1000).model_copy(update={"bus": "near"})

    assert derated([other, elsewhere], {("agg", "far"): 0.1}) == (other, elsewhere)


def test_a_score_is_taken_exactly() -> None:
    """29 % of 100 W is 28 W and not 29: the score nearest to 0.29 is a little below it; 0.3 of 10 W likewise."""
    assert scaled(curve(-100), 0.29).steps[0].power_w == (-28,)
    assert scaled(curve(-1000), 0.75).steps[0].power_w == (-750,)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_nothing_and_everything(score: float) -> None:
    assert scaled(ENVELOPE, score).power_w_min == (round(-4001 * score), 0)


@given(st.lists(st.integers(-(10**9), 0), min_size=1, max_size=5), st.floats(0, 1), st.floats(0, 1))
def test_a_better_score_never_offers_less(power_w: list[int], one: float, other: float) -> None:
    low, high = (scaled(curve(*power_w), each).steps[0].power_w for each in sorted((one, other)))

    assert all(w <= h <= s <= 0 for w, h, s in zip(power_w, high, low, strict=True))
    assert _offer.validate_python(scaled(curve(*power_w), one).model_dump())
