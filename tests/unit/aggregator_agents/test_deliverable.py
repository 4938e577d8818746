"""What can be had of an order: known by hand for one vehicle, within fuse and chargers for any."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator_agents.fleet import WATTS_PER_AMP, FloatArray, Session, Site, Vehicle
from aggregator_agents.offering.deliverable import Outlook
from aggregator_agents.offering.record import Scenarios
from tests.unit.aggregator_agents.places import FULL_W, quarters, scenarios, site, vehicle


def outlook(
    session: Session,
    *,
    departs_h: list[float],
    energy_wh: list[float],
    baseline_w: list[float],
    window: list[bool] | None = None,
    other_w: FloatArray | None = None,
) -> Outlook:
    count = len(baseline_w)
    may = scenarios((session,), np.array(departs_h)[:, None], np.array(energy_wh)[:, None])
    inside = np.array(window or [False] * count)
    return Outlook(site(), quarters(count), may, np.array(baseline_w), inside, other_w)


def test_without_an_order_vehicles_charge_at_once_until_full_or_gone() -> None:
    """11.04 kWh asked for: it takes 5.52, or 11.04, or leaves after a quarter."""
    seen = outlook(vehicle(), departs_h=[4, 4, 0.25], energy_wh=[5520, 11_040, 11_040], baseline_w=[0] * 6)

    assert seen.free.power_w == pytest.approx(
        np.array([[FULL_W, FULL_W, 0, 0, 0, 0], [FULL_W] * 4 + [0, 0], [FULL_W, 0, 0, 0, 0, 0]])
    )
    assert seen.free.short_wh.tolist() == [0, 0, 0], "who leaves before he said is owed nothing"


def test_what_was_put_off_is_there_later_only_for_who_is_still_there_and_hungry() -> None:
    """A pause of two quarters, to be made up for in two; one driver takes half, one leaves after half an hour."""
    order = np.array([-FULL_W, -FULL_W, 0, 0, FULL_W, FULL_W])
    baseline = [FULL_W] * 4 + [0.0, 0.0]
    seen = outlook(vehicle(), departs_h=[4, 4, 0.5], energy_wh=[11_040, 5520, 11_040], baseline_w=baseline)

    delivered = seen.delivered_w(seen.drawn(order), order)
    assert delivered[0] == pytest.approx(np.abs(order))
    assert delivered[1] == pytest.approx([FULL_W, FULL_W, 0, 0, 0, 0])
    assert delivered[2] == pytest.approx([FULL_W, FULL_W, 0, 0, 0, 0])


def test_who_has_no_time_to_lose_is_not_paused() -> None:
    """11.04 kWh in an hour and a quarter: one quarter can be missed, whatever is ordered."""
    order = np.array([-FULL_W, -FULL_W, 0, 0, 0, 0])
    seen = outlook(vehicle(stays_h=1.25), departs_h=[1.25], energy_wh=[11_040], baseline_w=[FULL_W] * 4 + [0.0, 0.0])

    drawn = seen.drawn(order)
    assert drawn.power_w[0] == pytest.approx([0, FULL_W, FULL_W, FULL_W, FULL_W, 0])
    assert drawn.short_wh[0] == pytest.approx(0)


def test_who_has_time_alone_has_none_where_all_want_the_same_hour() -> None:
    """Two vehicles behind 16 A, an hour's energy and two hours each: neither can wait, the other needs its turn."""
    place = site(chargers=2, fuse_a=16)
    said = tuple(vehicle(each.id, stays_h=2) for each in place.plugs)
    may = scenarios(said, np.full((1, 2), 2.0), np.full((1, 2), 11_040.0))
    seen = Outlook(place, quarters(8), may, np.full(8, FULL_W), np.zeros(8, dtype=np.bool_))

    assert seen.drawn(np.array([-FULL_W] + [0.0] * 7)).power_w[0] == pytest.approx([FULL_W] * 8)


def test_other_load_behind_the_meter_counts_and_is_made_up_for() -> None:
    """6 kW to draw at most; the second case has 2 kW of other load where none was expected."""
    seen = outlook(
        vehicle(),
        departs_h=[4, 4],
        energy_wh=[11_040, 11_040],
        baseline_w=[6000.0] * 4,
        window=[True] * 4,
        other_w=np.array([[0.0] * 4, [2000.0] * 4]),
    )

    assert seen.drawn(np.zeros(4)).power_w == pytest.approx(np.full((2, 4), 6000))
    assert seen.free.power_w[1] == pytest.approx([FULL_W + 2000] * 4)


def test_vehicles_on_one_phase_share_that_phase() -> None:
    """Three chargers behind 24 A, 8 A each without contact: none is spare, so each of three on L1 has 8 A, 1.84 kW."""
    place = site(chargers=3, fuse_a=24)
    said = tuple(replace(vehicle(each.id), vehicle=Vehicle(phases=1)) for each in place.plugs)
    may = scenarios(said, np.full((1, 3), 4.0), np.full((1, 3), 11_040.0))
    seen = Outlook(place, quarters(4), may, np.zeros(4), np.zeros(4, dtype=np.bool_))

    assert seen.free.power_w[0] == pytest.approx([3 * 1840] * 4)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Site, Scenarios]:
    place = site(chargers=draw(st.integers(1, 5)), plugs=draw(st.integers(1, 2)), fuse_a=draw(st.integers(10, 50)))
    hours = st.floats(0.5, 5.5)
    said = [
        replace(
            vehicle(
                each.id, wants_wh=draw(st.floats(1000, 30_000)), after_h=draw(st.floats(-1, 3)), stays_h=draw(hours)
            ),
            vehicle=Vehicle(phases=draw(st.sampled_from([1, 2, 3]))),
        )
        for each in place.plugs
    ]
    count = draw(st.integers(1, 3))
    departs_h = [[draw(hours) for _ in said] for _ in range(count)]
    energy_wh = [[draw(st.floats(0, 30_000)) for _ in said] for _ in range(count)]
    return place, scenarios(tuple(said), np.array(departs_h), np.array(energy_wh))


@settings(max_examples=30, deadline=None)
@given(crowds(), st.lists(st.floats(-20_000, 20_000), min_size=24, max_size=24))
def test_no_scenario_draws_more_than_the_fuse_lets_or_takes_more_than_it_wants(
    crowd: tuple[Site, Scenarios], order: list[float]
) -> None:
    place, may = crowd
    seen = Outlook(place, quarters(24), may, np.full(24, 20_000.0), np.ones(24, dtype=np.bool_))
    for drawn in (seen.free, seen.drawn(np.array(order))):
        assert (drawn.power_w >= -1e-6).all()
        assert (drawn.power_w <= place.usable_a * WATTS_PER_AMP + 1e-3).all()
        assert (drawn.power_w.sum(axis=1) * 0.25 <= may.energy_wh.sum(axis=1) + 1e-3).all()
        assert (drawn.short_wh >= 0).all()
