"""Emulated chargers obey as real ones do: late, not quite exactly, and safely when nobody speaks to them."""

from datetime import timedelta

import pytest

from aggregator_agents.charging.emulated import Behaviour, EmulatedStation
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


async def test_without_a_lease_every_charger_gives_what_is_safe_to_one_of_its_plugs() -> None:
    lot = site(chargers=8, plugs=2)
    crowd = [vehicle(each.id, wants_wh=50_000) for each in lot.plugs]
    station = EmulatedStation(lot, crowd, since=NOON, behaviour=Behaviour(lag_s=0, accuracy=1))
    await station.cap("lot-1-2", 6, now=NOON, expires_in=LEASE)
    later = await station.plugs(NOON + LEASE)

    assert [each.limit_a for each in later] == [7, 0] * 8
    assert station.drawn_w(NOON + LEASE) == 8 * 7 * 690


async def test_a_full_vehicle_draws_no_more_and_a_leaving_one_takes_its_current_along() -> None:
    station = EmulatedStation(
        site(), [vehicle(wants_wh=1_000, stays_h=1)], since=NOON, behaviour=Behaviour(lag_s=0, accuracy=1)
    )
    await station.cap("lot-1-1", 16, now=NOON, expires_in=2 * HOUR)

    assert await station.metered_wh(NOON, NOON + HOUR / 2) == pytest.approx(1_000)
    assert station.drawn_w(NOON + HOUR / 2) == 0
    (status,) = await station.plugs(NOON + HOUR)
    assert status.session is None


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
