"""What all profiles together allow now, and for a while to come.

Of each purpose the profile with the highest stack level counts that is valid and whose schedule says something now. A
TxProfile counts instead of a TxDefaultProfile, the one of a plug instead of the station's, and both are bounded by the
station's own limits:

    composite = min(station maximum, external constraints, TxProfile or else TxDefaultProfile)

(OCPP 1.6, 3.13.3; OCPP 2.0.1, K01 and "Combining charging profile purposes".)
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, floor, inf
from typing import Final

from aggregator_agents.charging.chargepoint.profiles import STATION, UNLIMITED, Kind, Limit, Profile, Purpose
from aggregator_agents.fleet import MIN_A

_HAIR_A: Final = 1e-6
"""Nothing that a division of watts leaves of a whole ampere may cost it."""


@dataclass(frozen=True)
class Moment:
    """When, and in which circumstances: the transaction at the plug, and for how long there is no connection."""

    now: datetime
    transaction: str | None = None
    started: datetime | None = None
    offline_s: float = 0.0

    def later(self, seconds: float) -> "Moment":
        """So many seconds from now, when nothing else changes."""
        offline_s = self.offline_s + seconds if self.offline_s else 0.0
        return replace(self, now=self.now + timedelta(seconds=seconds), offline_s=offline_s)


def composite(profiles: Iterable[Profile], plug: int, moment: Moment) -> Limit:
    """The limit of a plug as if no other were charging; with plug 0 that of all together."""
    every = tuple(profiles)
    station = station_limit(every, moment)
    return station if plug == STATION else plug_limit(every, plug, moment).meet(station)


def station_limit(profiles: Iterable[Profile], moment: Moment) -> Limit:
    """What all plugs of the station may do together."""
    every = tuple(profiles)
    return _leading(every, Purpose.STATION_MAX, STATION, moment).meet(
        _leading(every, Purpose.EXTERNAL, STATION, moment)
    )


def plug_limit(profiles: Iterable[Profile], plug: int, moment: Moment) -> Limit:
    """What one plug may do by itself."""
    every = tuple(profiles)
    own = _in_force(every, Purpose.TX, plug, moment)
    return own if own is not None else _leading(every, Purpose.TX_DEFAULT, plug, moment)


def limit_of(profile: Profile, moment: Moment) -> Limit | None:
    """What one profile says now; None while it says nothing."""
    if profile.purpose is Purpose.TX and profile.transaction not in {None, moment.transaction}:
        return None
    if profile.valid_from is not None and moment.now < profile.valid_from:
        return None
    if profile.valid_to is not None and moment.now >= profile.valid_to:
        return None
    if 0 < moment.offline_s >= profile.max_offline_s:
        return None
    start = _start(profile, moment)
    return None if start is None else profile.schedule.at((moment.now - start).total_seconds())


def forecast(profiles: Iterable[Profile], plug: int, moment: Moment, duration_s: int) -> tuple[tuple[int, Limit], ...]:
    """The composite limits of the next `duration_s` seconds: from which second on which one, the first at 0."""
    every, moment = tuple(profiles), replace(moment, started=moment.started or moment.now)
    seconds = sorted({0} | {second for each in every for second in _changes(each, moment, duration_s)})
    found: list[tuple[int, Limit]] = []
    for second in seconds:
        limit = composite(every, plug, moment.later(second))
        if not found or found[-1][1] != limit:
            found.append((second, limit))
    return tuple(found)


def pilot_a(limit: Limit, *, terminals: Iterable[int] = (0, 1, 2), max_a: int, feeds_a: int = 0) -> int:
    """The signal that keeps a limit: 0, or whole amps from MIN_A to max_a, or negative down to -feeds_a to discharge.

    One pilot speaks for all terminals that the vehicle uses, so the tightest of them counts.
    """
    used = tuple(terminals)
    charge_a = min(max_a, *(limit.charge_a[each] for each in used))
    if limit.setpoint_a is not None:
        least_a = min((limit.setpoint_a[each] for each in used), key=abs)
        if least_a < 0:
            discharge_a = limit.discharge_a or UNLIMITED.charge_a
            return -floor(min(feeds_a, -least_a, *(discharge_a[each] for each in used)) + _HAIR_A)
        charge_a = min(charge_a, least_a)
    signal_a = floor(charge_a + _HAIR_A)
    return signal_a if signal_a >= max(MIN_A, limit.min_a) else 0


def _leading(profiles: Iterable[Profile], purpose: Purpose, plug: int, moment: Moment) -> Limit:
    found = _in_force(profiles, purpose, plug, moment)
    return UNLIMITED if found is None else found


def _in_force(profiles: Iterable[Profile], purpose: Purpose, plug: int, moment: Moment) -> Limit | None:
    """Of one purpose: the plug's before the station's, then the highest level, then the newest."""
    found = [
        ((each.plug != STATION, each.stack_level, order), limit)
        for order, each in enumerate(profiles)
        if each.purpose is purpose and each.plug in {plug, STATION} and (limit := limit_of(each, moment)) is not None
    ]
    return max(found, key=lambda each: each[0])[1] if found else None


def _start(profile: Profile, moment: Moment) -> datetime | None:
    """Since when the seconds of a schedule count; None before."""
    start = profile.schedule.start
    if profile.kind is Kind.DYNAMIC:
        return profile.updated
    if profile.kind is Kind.RELATIVE or start is None:
        return moment.started or moment.now
    if moment.now < start or profile.kind is Kind.ABSOLUTE:
        return start
    return start + (moment.now - start) // profile.every * profile.every


def _changes(profile: Profile, moment: Moment, duration_s: int) -> Iterable[int]:
    """Whole seconds from now at which a profile may begin to say something else."""
    edges = [step.start_s for step in profile.schedule.steps] + [profile.schedule.duration_s]
    start = _start(profile, moment)
    origins = []
    if start is not None:
        first_s = (start - moment.now).total_seconds()
        every_s = profile.every.total_seconds() if profile.kind is Kind.RECURRING else inf
        rounds = 1 if every_s == inf else 2 + int(duration_s // every_s)
        origins = [first_s + (number * every_s if number else 0.0) for number in range(rounds)]
    instants = [origin + edge for origin in origins for edge in edges]
    for valid in (profile.valid_from, profile.valid_to):
        if valid is not None:
            instants.append((valid - moment.now).total_seconds())
    if moment.offline_s:
        instants.append(profile.max_offline_s - moment.offline_s)
    return (ceil(each) for each in instants if 0 < each < duration_s)
