"""Emulated chargers obey as real ones do: late, not quite exactly, and safely when nobody speaks to them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aggregator_agents.charging.emulated import Behaviour, EmulatedStation
from aggregator_agents.charging.station import VEHICLE_LAG
from tests.unit.aggregator_agents.places import FULL_W, HOUR, NOON, site, vehicle

LEASE = timedelta(minutes=3)


async def test_a_vehicle_follows_after_its_lag_and_draws_a_little_less() -> None:
    station = EmulatedStation(site(), [vehicle()], since=NOON, behaviour=Behaviour(lag_s=10, accuracy=0.9))
    await station.cap("lot-1-1", 0, now=NOON, expires_in=LEASE)
    await station.cap("lot-1-1", 16, now=NOON + timedelta(minutes=1), expires_in=LEASE)

    # A minute without current, ten seconds of the second too, then fifty seconds of nine tenths.
    drawn_wh = await station.metered_wh(NOON, NOON + timedelta(minutes=2))
    lag_wh = FULL_W * 10 / 3600  # what it still draws before it follows the first cap
    assert drawn_wh == pytest.approx(0.9 * FULL_W * 50 / 3600, abs=lag_wh)


async def test_power_in_steps_shows_when_a_vehicle_follows() -> None:
    """Told to stop after a minute and stopping 5 s later: of the fourth step of 10 s from 00:30 on, a half is drawn."""
    station = EmulatedStation(site(), [vehicle()], since=NOON, behaviour=Behaviour(lag_s=5, accuracy=1))
    await station.cap("lot-1-1", 16, now=NOON - timedelta(minutes=1), expires_in=HOUR)
    await station.cap("lot-1-1", 0, now=NOON + timedelta(minutes=1), expires_in=HOUR)

    drawn_w = await station.mean_w(NOON + timedelta(seconds=30), timedelta(seconds=10), 9)

    assert drawn_w.tolist() == pytest.approx([FULL_W] * 3 + [FULL_W / 2] + [0] * 5)


async def test_without_a_lease_every_charger_gives_what_is_safe_to_one_of_its_plugs() -> None:
    lot = site(chargers=8, plugs=2)
    crowd = [vehicle(each.id, wants_wh=50_000) for each in lot.plugs]
    station = EmulatedStation(lot, crowd, since=NOON, behaviour=Behaviour(lag_s=0, accuracy=1))
    await station.cap("lot-1-2", 6, now=NOON, expires_in=LEASE)

    assert [each.limit_a for each in await station.plugs(NOON + LEASE)] == [0, 0] + [7, 0] * 7
    later = await station.plugs(NOON + LEASE + VEHICLE_LAG)
    assert [each.limit_a for each in later] == [7, 0] * 8, "the first waits until its neighbour has been seen to stop"
    assert station.drawn_w(NOON + LEASE + VEHICLE_LAG) == 8 * 7 * 690


async def test_a_full_vehicle_draws_no_more_and_a_leaving_one_takes_its_current_along() -> None:
    station = EmulatedStation(
        site(), [vehicle(wants_wh=1_000, stays_h=1)], since=NOON, behaviour=Behaviour(lag_s=0, accuracy=1)
    )
    await station.cap("lot-1-1", 16, now=NOON, expires_in=2 * HOUR)

    assert await station.metered_wh(NOON, NOON + HOUR / 2) == pytest.approx(1_000)
    assert station.drawn_w(NOON + HOUR / 2) == 0
    (status,) = await station.plugs(NOON + HOUR)
    assert status.session is None


@pytest.mark.parametrize(
    ("accuracy", "cut_off_after_s"),
    [(1.0, None), (1.1, None), (1.25, 7)],
    ids=["16 A", "17.6 A: a tenth above is tolerated", "20 A"],
)
async def test_who_draws_too_much_at_a_16_a_signal_is_cut_off_after_seven_seconds(
    accuracy: float, cut_off_after_s: int | None
) -> None:
    station = EmulatedStation(site(), [vehicle()], since=NOON, behaviour=Behaviour(lag_s=0, accuracy=accuracy))
    await station.cap("lot-1-1", 16, now=NOON, expires_in=HOUR)

    drawn = [station.drawn_w(NOON + timedelta(seconds=second)) for second in range(12)]
    draws_for_s = 12 if cut_off_after_s is None else cut_off_after_s
    assert drawn == pytest.approx([accuracy * FULL_W] * draws_for_s + [0.0] * (12 - draws_for_s))


async def test_a_vehicle_that_does_not_follow_a_decrease_is_cut_off_and_stays_so_until_it_leaves() -> None:
    station = EmulatedStation(
        site(),
        [vehicle(stays_h=1), replace(vehicle(after_h=2), id="the next")],
        since=NOON,
        behaviour=Behaviour(lag_s=20, accuracy=1),
    )
    await station.cap("lot-1-1", 16, now=NOON, expires_in=4 * HOUR)
    await station.cap("lot-1-1", 6, now=NOON + timedelta(minutes=1), expires_in=4 * HOUR)

    assert station.drawn_w(NOON + timedelta(minutes=1, seconds=6)) == FULL_W
    assert station.drawn_w(NOON + timedelta(minutes=1, seconds=7)) == 0
    (status,) = await station.plugs(NOON + timedelta(minutes=30))
    assert status.faulted
    (status,) = await station.plugs(NOON + 2.5 * HOUR)
    assert not status.faulted


async def test_a_plug_holds_what_its_vehicle_may_still_draw() -> None:
    """Decreased from 16 to 6 A; the vehicle follows after 4 s, and is trusted to have after 5."""
    station = EmulatedStation(site(), [vehicle()], since=NOON, behaviour=Behaviour(lag_s=4, accuracy=1))
    await station.cap("lot-1-1", 16, now=NOON, expires_in=HOUR)
    await station.cap("lot-1-1", 6, now=NOON + timedelta(minutes=1), expires_in=HOUR)

    held = {}
    for second in (0, 4, 5):
        (status,) = await station.plugs(NOON + timedelta(minutes=1, seconds=second))
        held[second] = status.held_a
    assert held == {0: 16, 4: 16, 5: 6}


@pytest.mark.parametrize("limit_a", [-1, 1, 5, 17])
async def test_a_current_that_no_pilot_can_signal_is_refused(limit_a: int) -> None:
    station = EmulatedStation(site(), [vehicle()], since=NOON, behaviour=Behaviour())
    with pytest.raises(ValueError, match="0, or 6 to 16"):
        await station.cap("lot-1-1", limit_a, now=NOON, expires_in=LEASE)


async def test_a_session_that_is_announced_twice_comes_once() -> None:
    station = EmulatedStation(site(), [vehicle()], since=NOON, behaviour=Behaviour())
    station.expect([vehicle()])
    await station.plugs(NOON + timedelta(minutes=1))
    assert len(station.outcomes()) == 1
