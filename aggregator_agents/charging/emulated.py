"""Emulated chargers with vehicles: they obey caps late and not quite exactly, as real ones do. Time is an argument."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from aggregator_agents.charging.station import VEHICLE_LAG, PlugStatus, held_a
from aggregator_agents.fleet import MIN_A, WATTS_PER_AMP, FloatArray, Session, Site
from api_spec.units import Message, NonNegative, Positive

_FULL_WH: Final = 1e-6
_TOLERATED_SHARE: Final = 0.1
_TOLERATED_A: Final = 0.5
_TOLERATED_FOR: Final = timedelta(seconds=7)
"""A vehicle that draws a tenth and half an amp above the signal for this long is cut off (charging.md, I7)."""


class Behaviour(Message):
    """How vehicles follow. lag_s : from a new signal to the current. accuracy : what they draw of what they may.

    A lag of more than 7 s or an accuracy of more than 1.1 is a vehicle that breaks the rules, and is cut off for it.
    """

    lag_s: Annotated[NonNegative, Field(le=30)] = 4.0
    accuracy: Annotated[Positive, Field(le=2)] = 0.985


@dataclass(frozen=True)
class DriverOutcome:
    """A finished or running session: what its driver asked for and got [Wh]."""

    session: str
    plug: str
    arrives: datetime
    departs: datetime
    asked_wh: float
    delivered_wh: float


@dataclass(frozen=True)
class _Cap:
    limit_a: int
    expires: datetime


class _EmulatedPlug:
    """One plug with its control pilot, its meter and the vehicle of the moment.

    signal_a, before_a : of the pilot, and before it changed at `changed`. obeyed_a : the signal that the vehicle
    follows. over_since : since when it draws more than it may. cut_off : the session that drew too much.
    """

    def __init__(self, plug: str, since: datetime, sessions: Iterable[Session], behaviour: Behaviour) -> None:
        self.plug = plug
        self.sessions = sorted(sessions, key=lambda each: each.arrives)
        self.behaviour = behaviour
        self.register_wh = 0.0
        self.delivered_wh: dict[str, float] = defaultdict(float)
        self.cap: _Cap | None = None
        self.signal_a = self.before_a = self.obeyed_a = 0
        self.changed = since - VEHICLE_LAG
        self.over_since: datetime | None = None
        self.cut_off: str | None = None

    def session(self, at: datetime) -> Session | None:
        return next((each for each in self.sessions if each.arrives <= at < each.departs), None)

    def faulted(self, at: datetime) -> bool:
        session = self.session(at)
        return session is not None and session.id == self.cut_off

    @property
    def follows_at(self) -> datetime:
        return self.changed + timedelta(seconds=self.behaviour.lag_s)

    def follow(self, at: datetime) -> None:
        if at >= self.follows_at:
            self.obeyed_a = self.signal_a

    def cap_at(self, at: datetime) -> int | None:
        """The cap in force [A], None without one."""
        return self.cap.limit_a if self.cap is not None and at < self.cap.expires else None

    def signal(self, limit_a: int, at: datetime) -> None:
        """Set the pilot; the vehicle follows later."""
        if limit_a != self.signal_a:
            self.before_a, self.signal_a, self.changed = self.signal_a, limit_a, at

    def drawn_a(self, at: datetime, signal_a: int) -> float:
        """What the vehicle draws per phase when it follows `signal_a` [A]."""
        session = self.session(at)
        if session is None or self.faulted(at) or signal_a < MIN_A:
            return 0.0
        if session.energy_wh - self.delivered_wh[session.id] <= _FULL_WH:
            return 0.0
        return min(signal_a, session.vehicle.max_a) * self.behaviour.accuracy

    def held_a(self, at: datetime) -> int:
        drawn_a = self.drawn_a(at, self.obeyed_a)
        since = at - self.changed
        return held_a(limit_a=self.signal_a, before_a=self.before_a, drawn_a=drawn_a, since_change=since)

    def guard(self, at: datetime) -> None:
        """Open the contactor on a vehicle that has drawn too much for too long."""
        allowed_a = self.signal_a * (1 + _TOLERATED_SHARE) + _TOLERATED_A
        session = self.session(at)
        if session is None or self.drawn_a(at, self.obeyed_a) <= allowed_a:
            self.over_since = None
            return
        self.over_since = self.over_since or at
        if at >= self.over_since + _TOLERATED_FOR:
            self.cut_off, self.over_since = session.id, None

    def charge(self, at: datetime, hours: float) -> None:
        session = self.session(at)
        if session is None:
            return
        wanted_wh = session.energy_wh - self.delivered_wh[session.id]
        energy_wh = min(wanted_wh, self.drawn_a(at, self.obeyed_a) * WATTS_PER_AMP * hours)
        self.delivered_wh[session.id] += energy_wh
        self.register_wh += energy_wh

    def changes(self) -> Iterable[datetime]:
        """When something may change by itself."""
        yield from (self.follows_at, self.changed + VEHICLE_LAG)
        if self.cap is not None:
            yield self.cap.expires
        if self.over_since is not None:
            yield self.over_since + _TOLERATED_FOR
        for each in self.sessions:
            yield from (each.arrives, each.departs)


class EmulatedStation:
    """The chargers of one site with the vehicles of its sessions; a Station."""

    def __init__(
        self,
        site: Site,
        sessions: Iterable[Session],
        *,
        since: datetime,
        behaviour: Behaviour,
        own_behaviour: Mapping[str, Behaviour] | None = None,
    ) -> None:
        """Idle at `since`; sessions : what really happens, at most one at a plug at a time.

        own_behaviour : of the vehicles at some plugs, where it is not `behaviour`.
        """
        self._site, self._at = site, since
        by_plug = defaultdict[str, list[Session]](list)
        for each in sessions:
            by_plug[each.plug].append(each)
        own = own_behaviour or {}
        self._plugs = {
            id: _EmulatedPlug(id, since, by_plug[id], own.get(id, behaviour))
            for id in sorted(each.id for each in site.plugs)
        }
        self._beside = {
            id: [
                self._plugs[each.id] for each in site.plugs if each.charger == site.charger_of(id).id and each.id != id
            ]
            for id in self._plugs
        }
        self._instants, self._registers = [since.timestamp()], [0.0]
        self._settle(since)

    def expect(self, sessions: Iterable[Session]) -> None:
        """Let these vehicles come as well; one that is known already comes once."""
        for each in sessions:
            own = self._plugs[each.plug].sessions
            if each.departs > self._at and all(each.id != known.id for known in own):
                own.append(each)
                own.sort(key=lambda session: session.arrives)

    async def plugs(self, now: datetime) -> tuple[PlugStatus, ...]:
        """As Station."""
        self._advance(now)
        return tuple(self._status(each, now) for each in self._plugs.values())

    async def cap(self, plug: str, limit_a: int, *, now: datetime, expires_in: timedelta) -> None:
        """As Station; ValueError for a current that the control pilot cannot signal."""
        if limit_a != 0 and not MIN_A <= limit_a <= self._site.charger_of(plug).max_a:
            raise ValueError(f"{limit_a} A at {plug}: 0, or {MIN_A} to {self._site.charger_of(plug).max_a}")
        self._advance(now)
        self._plugs[plug].cap = _Cap(limit_a, now + expires_in)
        self._settle(now)

    async def metered_wh(self, start: datetime, end: datetime) -> float:
        """As Station; power is constant between two entries, so interpolation is exact."""
        self._advance(end)
        before, after = np.interp([start.timestamp(), end.timestamp()], self._instants, self._registers)
        return float(after - before)

    async def mean_w(self, start: datetime, step: timedelta, count: int) -> FloatArray:
        """As Station."""
        self._advance(start + count * step)
        step_s = step.total_seconds()
        edges = start.timestamp() + step_s * np.arange(count + 1)
        mean: FloatArray = np.diff(np.interp(edges, self._instants, self._registers)) * 3600 / step_s
        return mean

    def drawn_w(self, now: datetime) -> float:
        """True power of all plugs at this moment [W]."""
        self._advance(now)
        return WATTS_PER_AMP * sum(each.drawn_a(now, each.obeyed_a) for each in self._plugs.values())

    def settled_w(self, now: datetime) -> float:
        """True power of all plugs once their vehicles follow the present signals [W]."""
        self._advance(now)
        return WATTS_PER_AMP * sum(each.drawn_a(now, each.signal_a) for each in self._plugs.values())

    def outcomes(self) -> tuple[DriverOutcome, ...]:
        """Every session that has begun."""
        return tuple(
            DriverOutcome(each.id, plug.plug, each.arrives, each.departs, each.energy_wh, plug.delivered_wh[each.id])
            for plug in self._plugs.values()
            for each in plug.sessions
            if each.arrives <= self._at
        )

    def _status(self, own: _EmulatedPlug, now: datetime) -> PlugStatus:
        session = own.session(now)
        return PlugStatus(
            plug=own.plug,
            session=session,
            energy_wh=own.delivered_wh[session.id] if session else 0.0,
            limit_a=own.signal_a,
            held_a=own.held_a(now),
            register_wh=own.register_wh,
            faulted=own.faulted(now),
        )

    def _advance(self, now: datetime) -> None:
        """Let time pass, from change to change."""
        while self._at < now:
            coming = (each for own in self._plugs.values() for each in own.changes() if each > self._at)
            until = min(now, min(coming, default=now))
            hours = (until - self._at).total_seconds() / 3600
            for own in self._plugs.values():
                own.charge(self._at, hours)
            self._instants.append(until.timestamp())
            self._registers.append(sum(own.register_wh for own in self._plugs.values()))
            self._at = until
            self._settle(until)

    def _settle(self, at: datetime) -> None:
        """What is true at this moment: pilots signal what holds now, vehicles follow, contactors open."""
        for own in self._plugs.values():
            own.follow(at)
        for own in self._plugs.values():
            cap_a = own.cap_at(at)
            own.signal(self._alone_a(own, at) if cap_a is None else cap_a, at)
            own.follow(at)
            own.guard(at)

    def _alone_a(self, own: _EmulatedPlug, at: datetime) -> int:
        """What a charger gives without any coordination: what is safe, to one of its plugs.

        A plug does not begin before those beside it have been seen to give back what they had.
        """
        beside = self._beside[own.plug]
        before_it = [each for each in beside if each.plug < own.plug and self._waits(each, at)]
        if not self._waits(own, at) or before_it or any(each.held_a(at) > 0 for each in beside):
            return 0
        return self._site.floor_a

    @staticmethod
    def _waits(own: _EmulatedPlug, at: datetime) -> bool:
        return own.session(at) is not None and not own.faulted(at)
