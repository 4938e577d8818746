"""Emulated chargers with vehicles: they obey caps late and not quite exactly, as real ones do. Time is an argument."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from aggregator_agents.charging.station import PlugStatus
from aggregator_agents.fleet import MIN_A, WATTS_PER_AMP, Session, Site
from api_spec.units import Fraction, Message, NonNegative

_FULL_WH: Final = 1e-6


class Behaviour(Message):
    """How vehicles follow. lag_s : from a new cap to the current. accuracy : what they draw of what they may."""

    lag_s: Annotated[NonNegative, Field(le=30)] = 4.0
    accuracy: Annotated[Fraction, Field(gt=0)] = 0.985


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
    """One plug, its vehicle of the moment and its meter. obeys : the caps that take effect, oldest first."""

    def __init__(self, plug: str, since: datetime, sessions: Iterable[Session]) -> None:
        self.plug = plug
        self.sessions = sorted(sessions, key=lambda each: each.arrives)
        self.register_wh = 0.0
        self.delivered_wh: dict[str, float] = defaultdict(float)
        self.cap: _Cap | None = None
        self.drawn_a = 0
        self.follows_at = since

    def session(self, at: datetime) -> Session | None:
        return next((each for each in self.sessions if each.arrives <= at < each.departs), None)


class EmulatedStation:
    """The chargers of one site with the vehicles of its sessions; a Station."""

    def __init__(self, site: Site, sessions: Iterable[Session], *, since: datetime, behaviour: Behaviour) -> None:
        """Idle at `since`; sessions : what really happens, at most one at a plug at a time."""
        self._site, self._behaviour, self._at = site, behaviour, since
        by_plug = defaultdict[str, list[Session]](list)
        for each in sessions:
            by_plug[each.plug].append(each)
        self._plugs = {each.id: _EmulatedPlug(each.id, since, by_plug[each.id]) for each in site.plugs}
        self._instants, self._registers = [since.timestamp()], [0.0]

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
        return tuple(self._status(each, now) for _, each in sorted(self._plugs.items()))

    async def cap(self, plug: str, limit_a: int, *, now: datetime, expires_in: timedelta) -> None:
        """As Station; ValueError for a current that the control pilot cannot signal."""
        if limit_a != 0 and not MIN_A <= limit_a <= self._site.charger_a:
            raise ValueError(f"{limit_a} A at {plug}: 0, or {MIN_A} to {self._site.charger_a}")
        self._advance(now)
        own = self._plugs[plug]
        if self._limit_a(own, now) != limit_a:
            own.follows_at = now + timedelta(seconds=self._behaviour.lag_s)
        own.cap = _Cap(limit_a, now + expires_in)

    async def metered_wh(self, start: datetime, end: datetime) -> float:
        """As Station; power is constant between two entries, so interpolation is exact."""
        self._advance(end)
        before, after = np.interp([start.timestamp(), end.timestamp()], self._instants, self._registers)
        return float(after - before)

    def drawn_w(self, now: datetime) -> float:
        """True power of all plugs [W] once their vehicles follow the present caps."""
        self._advance(now)
        return sum(self._power_w(each, self._limit_a(each, now), now) for each in self._plugs.values())

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
        energy_wh = own.delivered_wh[session.id] if session else 0.0
        return PlugStatus(own.plug, session, energy_wh, self._limit_a(own, now), own.register_wh)

    def _advance(self, now: datetime) -> None:
        """Let time pass, from change to change."""
        while self._at < now:
            until = min([now, *(each for own in self._plugs.values() for each in self._changes(own))])
            hours = (until - self._at).total_seconds() / 3600
            for own in self._plugs.values():
                limit_a = self._limit_a(own, self._at)
                if self._at >= own.follows_at:
                    own.drawn_a = limit_a
                self._charge(own, hours)
            self._at = until
            self._instants.append(until.timestamp())
            self._registers.append(sum(own.register_wh for own in self._plugs.values()))

    def _changes(self, own: _EmulatedPlug) -> Iterable[datetime]:
        """When something changes at a plug, after now."""
        ends = [own.follows_at] + ([own.cap.expires] if own.cap else [])
        ends += [end for each in own.sessions for end in (each.arrives, each.departs)]
        return (end for end in ends if end > self._at)

    def _charge(self, own: _EmulatedPlug, hours: float) -> None:
        session = own.session(self._at)
        if session is None:
            return
        wanted_wh = session.energy_wh - own.delivered_wh[session.id]
        energy_wh = min(wanted_wh, self._power_w(own, own.drawn_a, self._at) * hours)
        own.delivered_wh[session.id] += energy_wh
        own.register_wh += energy_wh

    def _power_w(self, own: _EmulatedPlug, limit_a: int, at: datetime) -> float:
        session = own.session(at)
        if session is None or limit_a < MIN_A or session.energy_wh - own.delivered_wh[session.id] <= _FULL_WH:
            return 0.0
        return min(limit_a, session.max_a) * WATTS_PER_AMP * self._behaviour.accuracy

    def _limit_a(self, own: _EmulatedPlug, at: datetime) -> int:
        if own.cap is not None and at < own.cap.expires:
            return own.cap.limit_a
        return self._site.safe_a if own.plug == self._first_occupied(own, at) else 0

    def _first_occupied(self, own: _EmulatedPlug, at: datetime) -> str | None:
        """Of the plugs at the same charger: one of them charges when nobody coordinates."""
        charger = self._site.charger_of(own.plug)
        beside = sorted(each.id for each in self._site.plugs if each.charger == charger)
        return next((plug for plug in beside if self._plugs[plug].session(at) is not None), None)
