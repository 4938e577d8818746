"""Who comes when: sessions drawn from a pattern, the same for the same seed, plug and day."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal
from zlib import crc32
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field

from aggregator_agents.fleet import Session, Site
from aggregator_agents.straying import Stay, workplace
from aggregator_agents.vehicle_mix import VehicleMix
from api_spec.period import MarketPeriod
from api_spec.units import Fraction, Message, NonNegative, Positive

_LONGEST: Final = timedelta(hours=18)
"""Who overstays is gone by then, so that the plug is free for who comes the next day."""
_DAY: Final = timedelta(days=1)
Hour = Annotated[NonNegative, Field(lt=24)]


class Pattern(Message):
    """How drivers behave: normal distributions, cut off where they make no sense.

    arrives_h, departs_h : local hour of the day; departure at an hour before arrival is the next day's. presence :
    chance that a plug is used on a day. late_minutes : drivers arrive up to this much before or after what they said.
    drivers : `punctual` ones leave when they said and take what they asked for; those at a `workplace` stray as real
    ones did, see aggregator_agents.straying. leaves_early : share of those who leave at some time of their stay,
    whatever they said.
    vehicles : in what they come; nobody asks for more than its battery takes.
    """

    arrives_h: Hour
    arrives_std_h: NonNegative = 0.75
    departs_h: Hour
    departs_std_h: NonNegative = 0.5
    energy_kwh: Positive
    energy_std_kwh: NonNegative = 0.0
    presence: Fraction = 1.0
    late_minutes: NonNegative = 0.0
    leaves_early: Fraction = 0.0
    drivers: Literal["punctual", "workplace"] = "punctual"
    vehicles: VehicleMix = VehicleMix()
    timezone: str = "Europe/Copenhagen"


def announced(site: Site, pattern: Pattern, period: MarketPeriod, *, seed: int) -> tuple[Session, ...]:
    """The sessions that touch `period`, whole, as drivers announce them; in the order of ids."""
    touching = (each for each in _sessions(site, pattern, period, seed) if each.departs > period.start)
    return tuple(sorted((each for each in touching if each.arrives < period.end), key=lambda each: each.id))


def actual(announced: tuple[Session, ...], pattern: Pattern, *, seed: int) -> tuple[Session, ...]:
    """What really happens: drivers come, leave and charge as the pattern's drivers do."""
    return tuple(_strayed(each, pattern, seed) for each in announced)


def past(site: Site, pattern: Pattern, now: datetime, *, days: int, seed: int) -> tuple[Stay, ...]:
    """The stays of the last `days` days that were over by `now`; in the order of ids."""
    days_before = MarketPeriod(start=now - timedelta(days=days), resolution=_DAY, count=days)
    said = announced(site, pattern, days_before, seed=seed)
    both = (Stay(each, did) for each, did in zip(said, actual(said, pattern, seed=seed), strict=True))
    return tuple(each for each in both if each.did.departs <= now)


def _sessions(site: Site, pattern: Pattern, period: MarketPeriod, seed: int) -> Iterator[Session]:
    zone = ZoneInfo(pattern.timezone)
    first, last = period.start.astimezone(zone).date(), period.end.astimezone(zone).date()
    # The day before as well: who came in the evening may still be there.
    for number in range(-1, (last - first).days + 1):
        day = first + timedelta(days=number)
        for plug in site.plugs:
            if (session := _session(plug.id, plug.max_a, day, pattern, seed)) is not None:
                yield session


@lru_cache(maxsize=10_000)
def _session(plug: str, max_a: int, day: date, pattern: Pattern, seed: int) -> Session | None:
    """Who comes to a plug on a day; None for nobody."""
    zone, random = ZoneInfo(pattern.timezone), _random(seed, plug, day)
    if random.random() >= pattern.presence:
        return None
    arrives_h = _within_a_day(random.normal(pattern.arrives_h, pattern.arrives_std_h))
    departs_h = _within_a_day(random.normal(pattern.departs_h, pattern.departs_std_h))
    energy_kwh = random.normal(pattern.energy_kwh, pattern.energy_std_kwh)
    wanted_wh = 1000.0 * float(np.clip(energy_kwh, 0.2 * pattern.energy_kwh, 2 * pattern.energy_kwh))
    overnight = timedelta(days=int(departs_h <= arrives_h))
    arrived = pattern.vehicles.draw(random, max_a)
    return Session(
        id=f"{plug} {day.isoformat()}",
        plug=plug,
        arrives=_local(day, arrives_h, zone),
        departs=_local(day + overnight, departs_h, zone),
        energy_wh=min(wanted_wh, arrived.room_wh),
        vehicle=arrived.vehicle,
        priority=arrived.priority,
        stored_wh=arrived.stored_wh,
        floor_wh=arrived.floor_wh,
    )


@lru_cache(maxsize=10_000)
def _strayed(session: Session, pattern: Pattern, seed: int) -> Session:
    random = _random(seed, f"{session.plug} in fact", session.arrives.date())
    arrives = session.arrives + timedelta(minutes=random.uniform(-1, 1) * pattern.late_minutes)
    session = replace(session, arrives=min(arrives, session.departs))
    if pattern.drivers == "workplace":
        happens = workplace().happens(session, random)
        session = replace(happens, departs=min(happens.departs, max(session.departs, session.arrives + _LONGEST)))
    if pattern.leaves_early == 0:
        return session
    hurry = _random(seed, f"{session.plug} leaves early", session.arrives.date())
    if hurry.random() < pattern.leaves_early:
        session = replace(session, departs=session.arrives + hurry.random() * (session.departs - session.arrives))
    return session


def _within_a_day(hour: float) -> float:
    return float(np.clip(hour, 0.0, 23.99))


def _local(day: date, hour: float, zone: ZoneInfo) -> datetime:
    whole = time(int(hour), int(hour % 1 * 60))
    return datetime.combine(day, whole, tzinfo=zone).astimezone(UTC)


def _random(seed: int, name: str, day: date) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(name.encode()), day.toordinal()])
