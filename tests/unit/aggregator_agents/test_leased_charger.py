"""A charger that drives itself by its virtual aggregator: leases, the floor without them, decisions that come late."""

from math import inf

import pytest

from aggregator_agents.charging.chargepoint.clock import Clock, Time
from aggregator_agents.charging.chargepoint.leasing import LeasedCharger
from aggregator_agents.charging.hardware import HardwareSilent, PlugReading
from aggregator_agents.dispatch.lease import Lease, LeaseRequest, Timing
from aggregator_agents.dispatch.virtual import VirtualAggregator
from aggregator_agents.fleet import Charger, Plug
from tests.unit.aggregator_agents.places import NOON

CHARGER = Charger("c", (Plug("c-1", "c"),))


class MovedClock(Clock):
    """Stands still until it is moved."""

    now_s = 0.0

    def time(self) -> Time:
        return Time(self.now_s, NOON)


class OnePlug:
    """A vehicle on three phases that draws what is signalled at once."""

    def __init__(self) -> None:
        self.signal_a, self.holds_s, self.commands = 0, inf, 0

    async def read(self) -> tuple[PlugReading, ...]:
        amps = float(self.signal_a)
        return (PlugReading("c-1", "session", True, self.signal_a, (amps, amps, amps), 0.0, 0.0),)

    async def signal(self, plug: str, limit_a: int, *, holds_s: float = inf) -> None:
        self.signal_a, self.holds_s = limit_a, holds_s
        self.commands += 1

    async def open_contactor(self, plug: str) -> None:
        raise AssertionError


class Stopped(VirtualAggregator):
    """Its process is stopped for `stops_s` once it has decided."""

    stops_s = 0.0
    clock: MovedClock

    def act(self, readings, now_s):  # type: ignore[no-untyped-def]
        commands = super().act(readings, now_s)
        self.clock.now_s += self.stops_s
        return commands


class Rig:
    """The cloud grants `limit_a`, or says nothing. Every step is a second."""

    def __init__(self, limit_a: int | None) -> None:
        self.clock = MovedClock()
        self.hardware = OnePlug()
        self.limit_a = limit_a
        self.aggregator = Stopped(CHARGER, floor_a=7, boot_id="boot", started_s=0.0)
        self.aggregator.clock = self.clock
        self.leased = LeasedCharger(self.aggregator, self.hardware, self.granted, timing=Timing(), clock=self.clock)

    async def granted(self, request: LeaseRequest) -> Lease | None:
        if self.limit_a is None:
            raise HardwareSilent("no connection")
        amps = (self.limit_a,) * 3
        return Lease(charger=request.charger, boot_id=request.boot_id, nonce=request.nonce, limit_a=amps)

    async def run(self, seconds: int) -> int:
        for _ in range(seconds):
            if self.clock.now_s % 5 == 0:
                await self.leased.ask_once()
            await self.leased.act_once()
            self.clock.now_s += 1
        return self.hardware.signal_a


async def test_a_lease_is_drawn_and_without_it_the_floor() -> None:
    """13 A, until 30 s after the last request that was answered."""
    rig = Rig(13)
    assert await rig.run(21) == 13
    assert rig.hardware.holds_s <= 30
    rig.limit_a = None
    assert await rig.run(29) == 13
    assert await rig.run(3) == 7
    assert rig.hardware.holds_s == inf, "the floor needs nobody"


async def test_without_a_cloud_it_lives_on_its_floor() -> None:
    assert await Rig(None).run(60) == 7


async def test_what_was_decided_before_its_process_was_stopped_is_not_signalled_after_it() -> None:
    rig = Rig(13)
    rig.aggregator.stops_s = 100.0
    await rig.run(1)
    assert rig.hardware.commands == 0

    rig.aggregator.stops_s, rig.limit_a = 0.0, None
    assert await rig.run(10) == 7


async def test_a_signal_that_was_decided_a_moment_ago_holds_that_much_shorter() -> None:
    """Asked at 20 s, a lease of 15 A holds until 50 s; signalled half a second later that is for 29.5 s."""
    rig = Rig(13)
    assert await rig.run(20) == 13
    rig.aggregator.stops_s, rig.limit_a = 0.5, 15
    await rig.leased.ask_once()
    await rig.leased.act_once()
    assert rig.hardware.signal_a == 15
    assert rig.hardware.holds_s == pytest.approx(29.5)
