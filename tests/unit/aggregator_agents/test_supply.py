"""What chargers and fuse give, now and later: on every phase, and never less than can be had."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator_agents.fleet import Rotation, Site, Vehicle
from aggregator_agents.offering.supply import Later, Supply
from tests.unit.aggregator_agents.places import FULL_W, quarters, scenarios, site, vehicle

ROTATIONS: tuple[Rotation, ...] = ("RST", "STR", "TRS")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 2), st.integers(8, 60), st.data())
def test_on_every_phase_chargers_keep_their_limits_and_the_fuse_what_any_may_fall_back_to(
    chargers: int, plugs: int, fuse_a: int, data: st.DataObject
) -> None:
    place = Site.of("lot", chargers=chargers, plugs_per_charger=plugs, fuse_a=fuse_a, rotations=ROTATIONS)
    said = tuple(
        replace(vehicle(each.id), vehicle=Vehicle(phases=data.draw(st.sampled_from([1, 2, 3])))) for each in place.plugs
    )
    may = scenarios(said, np.full((1, len(said)), 4.0), np.full((1, len(said)), 1e4))
    wish_w = np.array([[data.draw(st.floats(0, each.max_w)) for each in said]])

    (given_w,) = Supply.of(place, may).fit(wish_w)
    assert (given_w >= 0).all() and (given_w <= wish_w[0] + 1e-9).all()
    for phase in range(3):
        drawn_a = dict.fromkeys((each.id for each in place.chargers), 0.0)
        for each, power_w in zip(said, given_w, strict=True):
            charger = place.charger_of(each.plug)
            if phase in charger.phases_of(each.vehicle):
                drawn_a[charger.id] += power_w / each.vehicle.watts_per_amp
        assert max(drawn_a.values()) <= 16 + 1e-6
        assert sum(max(place.floor_a, amps) for amps in drawn_a.values()) <= place.usable_a + 1e-6


def test_what_fits_is_given_whole() -> None:
    place = site(chargers=2, fuse_a=40)
    said = tuple(vehicle(each.id) for each in place.plugs)
    may = scenarios(said, np.full((1, 2), 4.0), np.full((1, 2), 1e4))

    assert Supply.of(place, may).fit(np.array([[FULL_W, FULL_W]])) == pytest.approx(np.full((1, 2), FULL_W))


def test_a_charger_with_two_vehicles_cannot_put_off_what_both_want_soon() -> None:
    """Each wants 2.76 kWh, a quarter-hour of the charger's 16 A, within two quarters: the first has to be used."""
    place = site(chargers=2, plugs=2)
    said = tuple(vehicle(plug, wants_wh=2760, stays_h=0.5) for plug in ("lot-1-1", "lot-1-2"))
    may = scenarios(said, np.full((1, 2), 0.5), np.full((1, 2), 2760.0))
    later = Later.of(place, may, quarters(4))

    assert later.least_w(np.array([[2760.0, 2760.0]]), 0) == pytest.approx([FULL_W])
    assert later.least_w(np.array([[2760.0, 0.0]]), 0) == pytest.approx([0.0])
    assert later.least_w(np.array([[0.0, 0.0]]), 0) == pytest.approx([0.0])


def test_chargers_that_nobody_uses_keep_their_floor() -> None:
    """Three chargers behind 24 A, 8 A each without contact: one vehicle never has more than 8 A, 1.38 kWh a quarter.

    Of 4.14 kWh within three quarters as much has to be charged in the first.
    """
    place = site(chargers=3, fuse_a=24)
    said = (vehicle(wants_wh=4140, stays_h=0.75),)
    may = scenarios(said, np.full((1, 1), 0.75), np.full((1, 1), 4140.0))

    assert Later.of(place, may, quarters(4)).least_w(np.array([[4140.0]]), 0) == pytest.approx([5520.0])
