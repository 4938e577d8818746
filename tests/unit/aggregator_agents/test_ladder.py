"""The offer curve and the ladder of blocks that is made of it."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator_agents.fleet import Session, Site, Vehicle
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.curve import Reduction, curve
from aggregator_agents.offering.deliverable import Outlook
from aggregator_agents.offering.ladder import Market, ladder
from aggregator_agents.planning import Grid, Plan, Planner, Prices, Problem, Valuation
from api_spec.flexibility import BlockTerms
from tests.unit.aggregator_agents.places import FULL_W, quarters, scenarios, site, vehicle

FIRST_HALF_HOUR = [True, True, *[False] * 14]
CHEAP = Asking(kind="blocks", steps=2, floor_eur_per_mwh=Decimal(0))
MARKET = Market(price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100))
PLACE = site(chargers=2)


def seen(
    place: Site, said: list[Session], window: list[bool], *, taken: tuple[float, ...] = (1.0,)
) -> tuple[Problem, Plan, Outlook]:
    """The plan of what was said, and as equally likely that everybody takes a part of it."""
    period = quarters(len(window))
    inside = tuple(each.within(period) for each in said)
    prices = Prices.bought(np.zeros(period.count))
    asked = Problem(place, Grid.of(period), inside, Valuation(), prices, whole=False)
    planned = Planner().plan(asked)
    stays_h = [(each.departs - each.arrives).total_seconds() / 3600 for each in said]
    may = scenarios(
        tuple(said),
        np.array([stays_h] * len(taken)).reshape(len(taken), len(said)),
        np.array([[part * each.energy_wh for each in said] for part in taken]).reshape(len(taken), len(said)),
    )
    return asked, planned, Outlook(place, period, may, np.rint(planned.total_w), np.array(window))


def offered(
    said: list[Session], *, taken: tuple[float, ...] = (1.0,), asking: Asking = CHEAP, market: Market = MARKET
) -> tuple[BlockTerms, ...]:
    return ladder(*seen(PLACE, said, FIRST_HALF_HOUR, taken=taken), asking=asking, market=market)


def reductions(place: Site, said: list[Session], window: list[bool], steps: int) -> list[Reduction]:
    asked, planned, outlook = seen(place, said, window)
    return list(curve(asked, planned, outlook.window, steps=steps))


def test_one_vehicle_moves_its_first_half_hour_behind_the_others() -> None:
    """5.52 kWh an hour later at 10 EUR/MWh per hour; half of it fits into the first free quarter, 7/8 h later."""
    half, whole = reductions(site(), [vehicle()], FIRST_HALF_HOUR, 2)

    assert (half.part, whole.part) == (0.5, 1.0)
    assert whole.change_w[:6] == pytest.approx([-FULL_W, -FULL_W, 0, 0, FULL_W, FULL_W], abs=0.1)
    assert whole.cost_eur == pytest.approx(5.52e-3 * 10)
    assert half.change_w[:5] == pytest.approx([-FULL_W / 2, -FULL_W / 2, 0, 0, FULL_W], abs=0.1)
    assert half.cost_eur == pytest.approx(2.76e-3 * 10 * 7 / 8)


def test_two_vehicles_are_two_rungs_each_a_whole_pause_or_more() -> None:
    """22.08 kW; a pause is 4.14 kW: rung one from there to 11.04 kW, rung two from 11.04 to 22.08 kW."""
    first, second = offered([vehicle("lot-1-1"), vehicle("lot-2-1")])

    assert min(first.power_w) == pytest.approx(-FULL_W, abs=1)
    assert min(second.power_w) == pytest.approx(-2 * FULL_W, abs=1)
    assert first.min_activation * -min(first.power_w) == pytest.approx(6 * 690, abs=1)
    assert second.min_activation * -min(second.power_w) == pytest.approx(FULL_W, abs=1)
    assert first.exclusive_group == second.exclusive_group is not None
    # All of it comes back, an hour later at 10 EUR/MWh per hour; both ways count.
    assert sum(second.power_w) == 0
    assert second.price_eur_per_mwh == Decimal("5.00")


def test_a_single_phase_vehicle_can_be_paused_in_smaller_steps() -> None:
    """6 A on one phase are 1.38 kW."""
    small = vehicle("lot-1-1", wants_wh=3680)
    one = CHEAP.model_copy(update={"steps": 1})
    (only,) = offered([replace(small, vehicle=Vehicle(phases=1))], asking=one)

    assert min(only.power_w) == pytest.approx(-3680, abs=1)
    assert only.min_activation * 3680 == pytest.approx(1380, abs=2)


def test_what_may_not_come_back_is_not_sold() -> None:
    """In two of ten cases the vehicle takes half: no more than half of what was put off is there later."""
    cases = (0.5, 0.5, *[1.0] * 8)
    whole = offered([vehicle()], asking=CHEAP.model_copy(update={"level": 0.7, "steps": 1}), taken=cases)
    sure = offered([vehicle()], asking=CHEAP.model_copy(update={"level": 0.9, "steps": 1}), taken=cases)

    assert sum(whole[0].power_w) == 0 and max(whole[0].power_w) == pytest.approx(FULL_W, abs=1)
    assert min(sure[0].power_w) == pytest.approx(-FULL_W, abs=1)
    assert max(sure[0].power_w) == 0


def test_price_is_cost_and_expected_penalty_and_wear() -> None:
    """5 EUR/MWh of waiting; in two of ten cases none of the payback comes, which is half of what is ordered."""
    asking = CHEAP.model_copy(update={"level": 0.7, "steps": 1, "floor_eur_per_mwh": Decimal(7)})
    (only,) = offered([vehicle()], taken=(0.5, 0.5, *[1.0] * 8), asking=asking)

    assert only.price_eur_per_mwh == Decimal("5.00") + Decimal("0.2") * Decimal(100) / 2 + 7


def test_above_the_price_cap_and_where_nothing_can_wait_nothing_is_offered() -> None:
    assert offered([vehicle()], market=Market(Decimal(4), Decimal(100))) == ()
    assert offered([vehicle(stays_h=1)]) == ()
    assert offered([]) == ()


def test_in_a_window_as_long_as_their_stay_vehicles_pause_in_a_part_of_it_and_catch_up_in_the_rest() -> None:
    """An hour's charge in four hours at the plug, all of them asked for: two hours later at 10 EUR/MWh each.

    Nothing is charged in the second half, so nothing is to be had there.
    """
    asked, planned, outlook = seen(PLACE, [vehicle("lot-1-1"), vehicle("lot-2-1")], [True] * 16)
    first, second = ladder(asked, planned, outlook, asking=CHEAP, market=MARKET)

    # A rung keeps what it can; what waits comes back once the half is over.
    assert first.power_w[:4] == pytest.approx([-FULL_W] * 4, abs=1)
    assert second.power_w == pytest.approx([-2 * FULL_W] * 4 + [0] * 4 + [2 * FULL_W] * 4 + [0] * 4, abs=1)
    assert second.price_eur_per_mwh == Decimal("10.00")
    assert len({each.exclusive_group for each in (first, second)}) == 1


@given(st.integers(1, 48))
@settings(max_examples=20, deadline=None)
def test_however_long_a_dso_asks_a_vehicle_that_can_wait_has_something_to_sell(quarters_asked: int) -> None:
    """Twelve hours at the plug for one hour's charge; asked for are up to all of them."""
    window = [*[True] * quarters_asked, *[False] * (48 - quarters_asked)]
    asked, planned, outlook = seen(PLACE, [vehicle(stays_h=12)], window)
    assert ladder(asked, planned, outlook, asking=CHEAP, market=MARKET)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Site, list[Session]]:
    place = site(chargers=draw(st.integers(1, 4)), plugs=draw(st.integers(1, 2)), fuse_a=draw(st.integers(16, 40)))
    hours = st.floats(0.5, 3.9)
    return place, [
        vehicle(each.id, wants_wh=draw(st.floats(1000, 25_000)), after_h=draw(st.floats(0, 2)), stays_h=draw(hours))
        for each in place.plugs
    ]


@settings(max_examples=25, deadline=None)
@given(crowds())
def test_cost_is_convex_in_the_reduction(crowd: tuple[Site, list[Session]]) -> None:
    """What one MWh less costs never falls with the reduction; the first costs no less than nothing."""
    window = [True] * 4 + [False] * 20
    costs = [0.0, *(each.cost_eur for each in reductions(*crowd, window, 4))]
    slopes = [after - before for before, after in pairwise(costs)]

    assert all(after >= before - 1e-6 for before, after in pairwise([0.0, *slopes]))


@settings(max_examples=25, deadline=None)
@given(crowds(), st.lists(st.floats(0.3, 1.2), min_size=3, max_size=3))
def test_any_part_of_any_rung_fits_through_the_fuse_and_rungs_never_overlap(
    crowd: tuple[Site, list[Session]], taken: list[float]
) -> None:
    place, said = crowd
    asked, planned, outlook = seen(place, said, [True] * 4 + [False] * 20, taken=tuple(taken))
    rungs = ladder(asked, planned, outlook, asking=Asking(kind="blocks"), market=MARKET)

    assert len({each.exclusive_group for each in rungs}) <= 1
    before, window, windows = (0, Decimal(0)), frozenset[int](), set[frozenset[int]]()
    for rung in rungs:
        for part in (rung.min_activation, 1.0):
            power_w = outlook.baseline_w + part * np.array(rung.power_w)
            assert (power_w >= -1).all() and (power_w <= place.usable_w + 1).all()
        depth_w = -min(rung.power_w)
        # Another ladder begins in another window, or where a rung is no deeper.
        reduced = frozenset(np.flatnonzero(np.array(rung.power_w[:4]) < 0).tolist())
        first = reduced != window or depth_w <= before[0]
        window = reduced
        windows.add(reduced)
        shallower, cheaper = (0, Decimal(0)) if first else before
        assert rung.min_activation * depth_w >= max(shallower, 6 * 690) - 1e-3
        assert rung.price_eur_per_mwh >= cheaper
        before = depth_w, rung.price_eur_per_mwh
    assert len(windows) <= 4, "one, or one for each quarter-hour that is asked for"
