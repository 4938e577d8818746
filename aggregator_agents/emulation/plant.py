"""A site that is not there: its chargers, the vehicles that come and go, its fuse and its meter, event by event.

Time is in virtual seconds since the site's start. Between two events every current is a straight line, so that peaks
and energy are exact.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from heapq import heappop, heappush
from math import inf

from aggregator_agents.emulation.charger import EmulatedCharger, EmulatedPlug
from aggregator_agents.emulation.meter import LineMeter, PhaseMeter
from aggregator_agents.emulation.vehicle import Behaviour, EmulatedVehicle
from aggregator_agents.fleet import PHASE_V, PhaseAmps, Session, Site

_EXACTLY_A = 1e-6


@dataclass(frozen=True)
class DriverOutcome:
    """A finished or running session: what its driver asked for and got [Wh]; what was fed back was not got.

    fed_wh : fed back, at the plug. lowest_wh : the least that was left in its battery after that; infinite where it fed
    nothing back.
    """

    session: str
    plug: str
    arrives: datetime
    departs: datetime
    asked_wh: float
    delivered_wh: float
    fed_wh: float = 0.0
    lowest_wh: float = inf


@dataclass
class FuseRecord:
    """What went through the fuse on each phase, other load included, at every instant.

    peak_a : the most so far, at `peak_s`. above_as : amp-seconds above the fuse, all phases together.
    """

    fuse_a: float
    peak_a: float = 0.0
    peak_s: float = 0.0
    above_as: float = 0.0
    _at_s: float = 0.0
    _amps: PhaseAmps = (0.0, 0.0, 0.0)

    def record(self, now_s: float, before_a: PhaseAmps, after_a: PhaseAmps) -> None:
        """Currents went on a straight line to `before_a`, and go on from `after_a`."""
        highest_a = max(*before_a, *after_a)
        if highest_a > self.peak_a:
            self.peak_a, self.peak_s = highest_a, now_s
        if max(highest_a, *self._amps) > self.fuse_a + _EXACTLY_A:
            lines = zip(self._amps, before_a, strict=True)
            mean_a = sum(_mean_above(begin_a - self.fuse_a, end_a - self.fuse_a) for begin_a, end_a in lines)
            self.above_as += mean_a * (now_s - self._at_s)
        self._at_s, self._amps = now_s, after_a


@dataclass(frozen=True)
class Visit:
    """A session as it really is. behaviour : of its vehicle."""

    session: Session
    behaviour: Behaviour = field(default_factory=Behaviour)


class EmulatedPlant:
    """Chargers without anybody who commands them; whoever does uses `signal` and `cut`, and reads their hardware."""

    def __init__(self, site: Site, *, since: datetime) -> None:
        """Nobody is there at `since`. arrived, left : are called with the session of every vehicle."""
        self.site, self.since, self.now_s = site, since, 0.0
        self.meter, self.lines, self.fuse = LineMeter(), PhaseMeter(), FuseRecord(site.fuse_a)
        self.chargers = {each.id: EmulatedCharger(each, floor_a=site.floor_a) for each in site.chargers}
        self.plugs = {id: plug for each in self.chargers.values() for id, plug in each.plugs.items()}
        self.arrived: Callable[[Session], None] = lambda session: None
        self.left: Callable[[Session], None] = lambda session: None
        self.other_a: PhaseAmps = (0.0, 0.0, 0.0)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._visits: dict[str, Visit] = {}
        self._ended: dict[str, DriverOutcome] = {}
        self._there: dict[str, EmulatedPlug] = {}
        self._corner_s: dict[str, float] = {}

    def seconds(self, moment: datetime) -> float:
        """Since the start."""
        return (moment - self.since).total_seconds()

    def at(self, when_s: float, event: Callable[[], None]) -> None:
        """Let something happen."""
        self._count += 1
        heappush(self._events, (when_s, self._count, event))

    def run_until(self, now_s: float) -> None:
        """Let time pass."""
        events = self._events
        while events and events[0][0] <= now_s:
            when_s, _, event = heappop(events)
            self.now_s = max(self.now_s, when_s)
            event()
        self.now_s = now_s
        self._mark()

    def expect(self, visits: Iterable[Visit]) -> None:
        """Let these vehicles come as well, at most one at a plug at a time; one that is known comes once."""
        for each in visits:
            session = each.session
            if session.id in self._visits or self.seconds(session.departs) <= self.now_s:
                continue
            self._visits[session.id] = each
            self.at(max(self.now_s, self.seconds(session.arrives)), partial(self._arrive, each))
            self.at(self.seconds(session.departs), partial(self.leave, session.id))

    def load(self, other_a: PhaseAmps) -> None:
        """What everything else behind the fuse draws from now on, feeding in negative."""
        self._change(lambda: setattr(self, "other_a", other_a))

    def leave(self, session: str) -> None:
        """A vehicle is unplugged, if it is still there."""
        own = self.plugs[self._visits[session].session.plug]
        if own.session != session or own.vehicle is None:
            return
        own.vehicle.advance(self.now_s)
        self._ended[session] = self._outcome(session, own.vehicle)
        self._change(own.unplug)
        del self._there[own.plug.id]
        self.left(self._visits[session].session)

    def signal(self, plug: str, limit_a: int, *, until_s: float = inf) -> None:
        """Command a pilot, see EmulatedCharger.signal."""
        own, hardware = self.plugs[plug], self.chargers[self.plugs[plug].plug.charger]
        hardware.signal(plug, limit_a, self.now_s, until_s=until_s)
        if until_s < inf:
            self.at(until_s, partial(self._fall_back, hardware))
        self._turn(own)

    def cut(self, plug: str) -> None:
        """Open a contactor, see EmulatedCharger.open_contactor."""
        own, hardware = self.plugs[plug], self.chargers[self.plugs[plug].plug.charger]
        self._change(lambda: hardware.open_contactor(plug))
        self._turn(own)

    def power_off(self, charger: str) -> None:
        """A charger has no power: it does not answer, and every pilot is at 0 until somebody commands it again."""
        hardware = self.chargers[charger]
        hardware.silent = True
        for own in hardware.plugs.values():
            own.signal(0, self.now_s)
            self._turn(own)

    @property
    def settled_w(self) -> float:
        """Power of all plugs once their vehicles follow the present signals [W]."""
        there = [each.vehicle for each in self._there.values() if each.vehicle is not None and not each.open]
        return sum(each.settled_a * each.vehicle.watts_per_amp for each in there)

    def outcomes(self) -> tuple[DriverOutcome, ...]:
        """Every session that has begun, in the order in which they were expected."""
        begun = dict(self._ended)
        for own in self._there.values():
            if own.vehicle is not None and own.session is not None:
                own.vehicle.advance(self.now_s)
                begun[own.session] = self._outcome(own.session, own.vehicle)
        return tuple(begun[id] for id in self._visits if id in begun)

    def forget(self, before_s: float, *, metered_before_s: float) -> tuple[str, ...]:
        """Sessions that ended before, whose ids are returned, and what meters counted before."""
        gone = tuple(id for id, each in self._ended.items() if self.seconds(each.departs) <= before_s)
        for id in gone:
            del self._ended[id], self._visits[id]
        self.meter.forget(metered_before_s)
        self.lines.forget(metered_before_s)
        return gone

    def _outcome(self, session: str, vehicle: EmulatedVehicle) -> DriverOutcome:
        own = self._visits[session].session
        got_wh = own.energy_wh - vehicle.wanted_wh
        return DriverOutcome(
            own.id, own.plug, own.arrives, own.departs, own.energy_wh, got_wh, vehicle.discharged_wh, vehicle.lowest_wh
        )

    def _arrive(self, visit: Visit) -> None:
        session = visit.session
        own = self.plugs[session.plug]
        if own.session is not None:
            self.leave(own.session)
        vehicle = EmulatedVehicle(session.vehicle, session.energy_wh, session.stored_wh, visit.behaviour)
        own.plug_in(session.id, vehicle, self.now_s)
        self._there[own.plug.id] = own
        self._turn(own)
        self.arrived(session)

    def _fall_back(self, hardware: EmulatedCharger) -> None:
        hardware.fall_back(self.now_s)
        for own in hardware.plugs.values():
            self._turn(own)

    def _turn(self, own: EmulatedPlug) -> None:
        """Look at a plug again where its current turns a corner."""
        if own.vehicle is None:
            return
        corner_s = own.vehicle.next_corner_s()
        if self._corner_s.get(own.plug.id) != corner_s:
            self._corner_s[own.plug.id] = corner_s
            if corner_s < inf:
                self.at(corner_s, partial(self._corner, own, corner_s))

    def _corner(self, own: EmulatedPlug, corner_s: float) -> None:
        if own.vehicle is None or self._corner_s[own.plug.id] != corner_s:
            return
        own.vehicle.advance(self.now_s)
        self._mark()
        self._turn(own)

    def _change(self, change: Callable[[], None]) -> None:
        """Something that may make currents jump; what flows before and after it is written down."""
        before_a, before_w = self._flows_now()
        change()
        self._record(before_a, before_w, *self._flows())

    def _mark(self) -> None:
        """What flows now is written down; as long as nothing does, it stands already."""
        if not (self._there or any(self.other_a)):
            return
        flows = self._flows_now()
        self._record(*flows, *flows)

    def _flows_now(self) -> tuple[PhaseAmps, float]:
        for own in self._there.values():
            if own.vehicle is not None and own.vehicle.sloped:
                own.vehicle.advance(self.now_s)
        return self._flows()

    def _record(self, before_a: PhaseAmps, before_w: float, after_a: PhaseAmps, after_w: float) -> None:
        self.fuse.record(self.now_s, before_a, after_a)
        self.lines.record(self.now_s, before_a, after_a)
        self.meter.record(self.now_s, before_w, after_w)

    def _flows(self) -> tuple[PhaseAmps, float]:
        """Through the fuse on each phase [A], and to all plugs [W]."""
        amps, power_w = list(self.other_a), 0.0
        for own in self._there.values():
            current_a = own.current_a
            if current_a:
                for phase in own.phases:
                    amps[phase] += current_a
                    power_w += current_a * PHASE_V
        return (amps[0], amps[1], amps[2]), power_w


def _mean_above(begin_a: float, end_a: float) -> float:
    """Of the part above zero of a straight line."""
    if begin_a <= 0 and end_a <= 0:
        return 0.0
    if begin_a >= 0 and end_a >= 0:
        return (begin_a + end_a) / 2
    high_a = max(begin_a, end_a)
    return high_a / 2 * high_a / abs(begin_a - end_a)
