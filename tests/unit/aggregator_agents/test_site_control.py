"""A site under control, minute by minute, with emulated vehicles: what was sold is delivered and the fuse holds."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator_agents.charging.emulated import Behaviour, EmulatedStation
from aggregator_agents.charging.station import ChargerSilent, PlugStatus
from aggregator_agents.delivery import Order, SiteControl
from aggregator_agents.fleet import FloatArray, Session, Site
from aggregator_agents.planning import Valuation, plan
from api_spec.auction import Auction
from api_spec.award import Award
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from api_spec.product import Product
from tests.unit.aggregator_agents.places import FULL_W, HOUR, NOON, quarters, site, vehicle

MINUTE = timedelta(minutes=1)
EXACT = Behaviour(lag_s=0, accuracy=1)


def sold(
    delivery: MarketPeriod, baseline_w: Iterable[float], awarded_w: Iterable[int], *, contract: str | None = None
) -> Order:
    auction = Auction(
        id="auc",
        dso="dso",
        state="published",
        network="street",
        product=Product(name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(200)),
        delivery=delivery,
        gate_closure=delivery.start - HOUR,
    )
    powers = tuple(awarded_w)
    award = Award(
        offer="off",
        participant="agg",
        bus="lot",
        power_w=powers,
        price_eur_per_mwh=tuple(Decimal(100) if w else Decimal(0) for w in powers),
        payment_eur=Decimal(1),
        uplift_eur=Decimal(0),
        contract=contract,
    )
    return Order.of(auction, BusPower(bus="lot", power_w=tuple(round(w) for w in baseline_w)), [award])


async def run(control: SiteControl, *, minutes: int) -> None:
    for minute in range(minutes + 1):
        await control.act(NOON + minute * MINUTE)


async def metered_w(station: EmulatedStation, delivery: MarketPeriod) -> np.ndarray:
    ends = [start + delivery.resolution for start in delivery.starts()]
    energy = [await station.metered_wh(start, end) for start, end in zip(delivery.starts(), ends, strict=True)]
    return np.array(energy) / delivery.hours


async def test_without_a_market_a_vehicle_charges_at_once() -> None:
    place, delivery = site(), quarters(8)
    station = EmulatedStation(place, [vehicle()], since=NOON, behaviour=EXACT)
    await run(SiteControl(place, station, Valuation()), minutes=120)

    assert await metered_w(station, delivery) == pytest.approx([FULL_W] * 4 + [0.0] * 4)
    (driver,) = station.outcomes()
    assert driver.delivered_wh == pytest.approx(driver.asked_wh)


@pytest.mark.parametrize(("contract", "kept"), [("con", True), (None, False)])
async def test_a_called_right_comes_before_a_driver_who_needs_it_all(contract: str | None, kept: bool) -> None:
    """An hour at the plug for an hour's energy. Going without costs 2000 EUR/MWh: more than an offer earns."""
    place, delivery = site(), quarters(4)
    station = EmulatedStation(place, [vehicle(stays_h=1)], since=NOON, behaviour=EXACT)
    control = SiteControl(place, station, Valuation())
    control.order = sold(delivery, [FULL_W] * 4, [-5_520] * 4, contract=contract)
    await run(control, minutes=60)

    assert bool((await metered_w(station, delivery)).max() <= 5_521) is kept


async def test_what_was_sold_is_not_drawn_and_the_driver_is_full_in_the_end() -> None:
    place, delivery = site(), quarters(12)
    station = EmulatedStation(place, [vehicle()], since=NOON, behaviour=EXACT)
    control = SiteControl(place, station, Valuation())
    usual = plan(place, [vehicle()], delivery, Valuation()).total_w
    control.order = sold(delivery, usual, [-6_900, -6_900, 0, 0, 6_900, 6_900, *(0,) * 6])
    await run(control, minutes=180)

    metered = await metered_w(station, delivery)
    assert metered == pytest.approx(np.array([4_140, 4_140, FULL_W, FULL_W, 6_900, 6_900, *[0] * 6]), abs=60)
    assert station.outcomes()[0].delivered_wh == pytest.approx(FULL_W, abs=2)


async def test_a_vehicle_that_stays_away_leaves_its_energy_to_nobody() -> None:
    place = site()
    station = EmulatedStation(place, [], since=NOON, behaviour=EXACT)
    control = SiteControl(place, station, Valuation())
    control.expected = (vehicle(),)
    await run(control, minutes=30)

    assert await station.metered_wh(NOON, NOON + HOUR / 2) == 0
    assert {each.setpoint_w for each in control.log} == {0.0}


async def test_setpoints_are_logged_with_what_the_meter_counted() -> None:
    place = site()
    station = EmulatedStation(place, [vehicle()], since=NOON, behaviour=Behaviour(lag_s=0, accuracy=0.9))
    control = SiteControl(place, station, Valuation())
    await run(control, minutes=10)

    assert [each.at for each in control.log] == [NOON + k * MINUTE for k in range(10)]
    last = control.log[-1]
    assert last.setpoint_w == FULL_W
    assert last.metered_w == pytest.approx(0.9 * FULL_W)


async def test_amps_move_to_another_vehicle_only_when_a_meter_has_shown_them_free() -> None:
    """Two vehicles on 11 A: the late one is urgent, and waits until the first has been seen to follow."""
    place = site(chargers=2, fuse_a=11)
    urgent = vehicle("lot-2-1", after_h=0.1, stays_h=0.5, wants_wh=3_500)
    slow = Behaviour(lag_s=4.5, accuracy=1)
    station = EmulatedStation(place, [vehicle(stays_h=8), urgent], since=NOON, behaviour=slow)
    control = SiteControl(place, station, Valuation())
    for minute in range(7):
        await control.act(NOON + minute * MINUTE)
    assert station.settled_w(NOON + 6 * MINUTE) == 0, "the first is to stop, the second is still waiting"
    assert station.drawn_w(NOON + 6 * MINUTE) == 11 * 690

    for seconds in (1, 2, 3, 4, 5):
        await control.act(NOON + 6 * MINUTE + timedelta(seconds=seconds))
    limits = [each.limit_a for each in await station.plugs(NOON + 6.1 * MINUTE)]
    assert limits == [0, 11]


async def test_a_vehicle_that_was_cut_off_gets_no_more_and_leaves_its_share_to_others() -> None:
    place = site(chargers=2, fuse_a=11)
    greedy = {"lot-1-1": Behaviour(lag_s=0, accuracy=1.25)}
    vehicles = [vehicle("lot-1-1"), vehicle("lot-2-1")]
    station = EmulatedStation(place, vehicles, since=NOON, behaviour=EXACT, own_behaviour=greedy)
    await run(SiteControl(place, station, Valuation()), minutes=3)

    first, second = await station.plugs(NOON + 3 * MINUTE)
    assert (first.faulted, first.limit_a) == (True, 0)
    assert (second.faulted, second.limit_a) == (False, 11)


class Flaky:
    """A station whose chargers do not answer in some minutes; a cap that is not answered is not applied either."""

    def __init__(self, place: Site, station: EmulatedStation, silent: list[frozenset[str]]) -> None:
        """Silent : which chargers, minute by minute; `all` for the whole site."""
        self._place, self._station, self._silent = place, station, silent

    def _now(self, now: datetime) -> frozenset[str]:
        return self._silent[min((now - NOON) // MINUTE, len(self._silent) - 1)]

    async def plugs(self, now: datetime) -> tuple[PlugStatus, ...]:
        if "all" in self._now(now):
            raise ChargerSilent
        return await self._station.plugs(now)

    async def cap(self, plug: str, limit_a: int, *, now: datetime, expires_in: timedelta) -> None:
        if self._place.charger_of(plug).id in self._now(now) or "all" in self._now(now):
            raise ChargerSilent
        await self._station.cap(plug, limit_a, now=now, expires_in=expires_in)

    async def metered_wh(self, start: datetime, end: datetime) -> float:
        return await self._station.metered_wh(start, end)

    async def mean_w(self, start: datetime, step: timedelta, count: int) -> FloatArray:
        return await self._station.mean_w(start, step, count)


CHARGERS = ("lot-1", "lot-2", "lot-3")
MINUTES = 40
# Silences of a charger or of all, from a minute on and long enough for leases to end.
silences = st.lists(
    st.tuples(st.sampled_from([*CHARGERS, "all"]), st.integers(0, MINUTES), st.integers(1, 12)), max_size=6
)
stays = st.tuples(st.floats(0, 0.5), st.floats(0.2, 1), st.floats(500, 15_000))


# Seconds from a new signal until the vehicle at each plug follows it; above 7 it is cut off by its charger.
lags = st.lists(st.sampled_from([0.0, 0.5, 2.0, 4.0, 5.0, 5.0, 20.0]), min_size=6, max_size=6)
# When the aggregator acts after it acted: as seldom as every minute, or sooner than vehicles follow.
steps = st.lists(st.sampled_from([1, 3, 6, 20, 60, 60]), min_size=8, max_size=60)


@settings(max_examples=100, deadline=None)
@given(
    silences,
    st.lists(stays, min_size=6, max_size=6),
    lags,
    steps,
    st.lists(st.integers(-15_000, 0), min_size=4, max_size=4),
)
def test_the_fuse_holds_whoever_falls_silent_and_however_late_vehicles_follow(
    quiet: list[tuple[str, int, int]],
    crowd: list[tuple[float, float, float]],
    lags_s: list[float],
    steps_s: list[int],
    awarded_w: list[int],
) -> None:
    place, delivery = site(chargers=3, plugs=2, fuse_a=25), quarters(4)
    sessions = [
        vehicle(plug.id, after_h=after, stays_h=stays, wants_wh=wants)
        for plug, (after, stays, wants) in zip(place.plugs, crowd, strict=True)
    ]
    own = {plug.id: Behaviour(lag_s=lag_s, accuracy=1) for plug, lag_s in zip(place.plugs, lags_s, strict=True)}
    station = EmulatedStation(place, sessions, since=NOON, behaviour=EXACT, own_behaviour=own)
    silent = [frozenset(who for who, first, last in quiet if first <= k < first + last) for k in range(MINUTES)]
    control = SiteControl(place, Flaky(place, station, silent), Valuation())
    control.order = sold(delivery, [place.usable_w] * 4, awarded_w)
    _assert_fuse_holds(place, station, control, sessions, steps_s)


def _assert_fuse_holds(
    place: Site, station: EmulatedStation, control: SiteControl, sessions: list[Session], steps_s: list[int]
) -> None:
    """Looks every second and a half."""

    async def minutes() -> None:
        now, steps = NOON, cycle(steps_s)
        while now < NOON + MINUTES * MINUTE:
            await control.act(now)
            then = now + timedelta(seconds=next(steps))
            while now < then:
                drawn_w = station.drawn_w(now)
                assert drawn_w <= place.usable_w + 1e-6, f"{drawn_w:.0f} W at {now:%M:%S}"
                now = min(then, now + timedelta(seconds=1.5))
            limits = {each.limit_a for each in await station.plugs(now)}
            assert limits <= {0, *range(6, 17)}

    asyncio.run(minutes())
    assert all(each.delivered_wh <= each.asked_wh + 1e-6 for each in station.outcomes())
