"""Offers: what one vehicle can give up is known by hand; what any site offers fits through fuse and chargers."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator_agents.fleet import Session, Site
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.envelope import offer
from aggregator_agents.planning import Valuation, plan
from api_spec.flexibility import EnvelopeTerms
from tests.unit.aggregator_agents.places import FULL_W, quarters, site, vehicle

FIRST_HALF_HOUR = (True, True, *(False,) * 14)
ASKING = Asking(floor_eur_per_mwh=Decimal(1))


def offered(
    place: Site,
    sessions: list[Session],
    *,
    window: tuple[bool, ...] = FIRST_HALF_HOUR,
    waiting: float = 10,
    cap: int = 900,
    spread: float = 0.0,
) -> EnvelopeTerms | None:
    period, value = quarters(len(window)), Valuation(waiting_eur_per_mwh_hour=waiting)
    usual = plan(place, sessions, period, value)
    return offer(
        place,
        usual,
        period,
        value,
        window=window,
        asking=ASKING,
        price_cap=Decimal(cap),
        spread_eur_per_mwh=spread,
    )


def test_one_vehicle_offers_nine_tenths_of_its_half_hour_and_charges_it_an_hour_later() -> None:
    made = offered(site(), [vehicle()])

    assert made is not None
    # Full after four quarters; two of them moved behind the other two.
    assert made.power_w_min == (*[int(-0.9 * FULL_W)] * 4, 0, 0, *(0,) * 10)
    assert made.power_w_max == (0, 0, 0, 0, *[int(0.9 * FULL_W)] * 2, *(0,) * 10)
    assert made.energy_wh_min == (-2484, -4968, -4968, -4968, -2484, *(0,) * 11)
    assert made.energy_wh_max == (0,) * 16
    # 5.52 kWh an hour later at 10 EUR/MWh per hour, over 11.04 kWh of change.
    assert made.price_eur_per_mwh == Decimal("5.00")


def test_the_price_is_the_drivers_cost_and_never_below_the_floor() -> None:
    dear, cheap = offered(site(), [vehicle()], waiting=100), offered(site(), [vehicle()], waiting=0.1)

    assert dear is not None and dear.price_eur_per_mwh == Decimal("50.00")
    assert cheap is not None and cheap.price_eur_per_mwh == Decimal(1)


def test_half_of_what_energy_may_lose_by_being_moved_is_asked_on_top() -> None:
    """5 EUR/MWh of waiting, as above; between the dearest and the cheapest hour of the tariff are 40 EUR/MWh."""
    made = offered(site(), [vehicle()], spread=40)

    assert made is not None and made.price_eur_per_mwh == Decimal("25.00")


def test_above_the_price_cap_nothing_is_offered() -> None:
    assert offered(site(), [vehicle()], waiting=100, cap=49) is None


def test_who_has_to_leave_at_once_or_is_not_there_offers_nothing() -> None:
    assert offered(site(), [vehicle(stays_h=1)]) is None
    assert offered(site(), [vehicle(after_h=2)]) is None
    assert offered(site(), []) is None


def test_who_can_give_up_a_part_offers_that_part() -> None:
    """Four quarters to charge in five: of the first two, half a quarter each can be missed."""
    made = offered(site(), [vehicle(stays_h=1.25)])

    assert made is not None
    assert min(made.energy_wh_min) == pytest.approx(-0.9 * 0.5 * 2 * FULL_W / 4, abs=1)


@given(st.integers(1, 16))
def test_a_longer_window_never_takes_away_all_that_was_offered_in_a_shorter_one(quarters_asked: int) -> None:
    """Whatever the window, the vehicle can wait for at least half of its first quarter and still be full."""
    made = offered(site(), [vehicle(stays_h=1.25)], window=(*[True] * quarters_asked, *[False] * (16 - quarters_asked)))

    assert made is not None
    assert min(made.energy_wh_min) <= -0.9 * 0.5 * FULL_W / 4


def test_in_a_window_as_long_as_its_stay_a_vehicle_offers_to_wait_until_its_last_hour() -> None:
    """An hour's charge in four hours at the plug, all of them in the window: three hours later at 10 EUR/MWh each."""
    made = offered(site(), [vehicle()], window=(True,) * 16)

    assert made is not None
    assert made.power_w_min == (*[int(-0.9 * FULL_W)] * 4, *(0,) * 12)
    assert made.power_w_max == (*(0,) * 4, *[int(0.9 * FULL_W)] * 12)
    assert made.energy_wh_min == (-2484, -4968, -7452, *[-9936] * 9, -7452, -4968, -2484, 0)
    # 11.04 kWh at 30 EUR/MWh, over 22.08 kWh of change.
    assert made.price_eur_per_mwh == Decimal("15.00")


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Site, list[Session]]:
    chargers, plugs = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    place = site(chargers=chargers, plugs=plugs, fuse_a=draw(st.integers(16, 40)))
    present = draw(st.lists(st.sampled_from([each.id for each in place.plugs]), unique=True))
    hours = st.floats(0.5, 3.9)
    return place, [
        vehicle(plug, wants_wh=draw(st.floats(1_000, 25_000)), after_h=draw(st.floats(0, 2)), stays_h=draw(hours))
        for plug in present
    ]


@settings(max_examples=60, deadline=None)
@given(crowds(), st.lists(st.booleans(), min_size=24, max_size=24))
def test_no_acceptance_exceeds_the_fuse_draws_below_zero_or_leaves_energy_owing(
    crowd: tuple[Site, list[Session]], window: list[bool]
) -> None:
    place, sessions = crowd
    period, value = quarters(24), Valuation()
    inside = [each.within(period) for each in sessions]
    usual = plan(place, inside, period, value)
    made = offer(place, usual, period, value, window=tuple(window), asking=ASKING, price_cap=Decimal(900))
    if made is None:
        return
    base = np.rint(usual.total_w)
    assert (base + made.power_w_max <= place.usable_w + 1).all()
    assert (base + made.power_w_min >= -1).all()
    assert made.energy_wh_min[-1] >= -1, "at the end everybody has what was planned"
    assert made.energy_wh_max[-1] <= 1
