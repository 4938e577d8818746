"""What fails at an aggregator's sites and on the way to the market, drawn from a seed; nothing by default. Pure.

Outages of one thing begin at random (Poisson) and last exponentially distributed times, at most a day. Those that begin
on one day depend on nothing but the seed, the name of the thing and the day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Final
from zlib import crc32

import numpy as np
from pydantic import Field

from api_spec.units import Count, Message, NonNegative, Positive

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Outage:
    """From `start` until `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class FaultRecord:
    """Something was out of order. kind : a field of Faults. where : charger, bus of the site, or "market"."""

    kind: str
    where: str
    start: datetime
    end: datetime


class Outages(Message):
    """per_day : how many a day are expected of each thing. minutes : their mean length."""

    per_day: Annotated[NonNegative, Field(le=1440)] = 0.0
    minutes: Annotated[Positive, Field(le=1440)] = 60.0

    def beginning(self, name: str, *, since: datetime, until: datetime, seed: int) -> tuple[Outage, ...]:
        """Those of a thing that begin from `since` on and before `until`, in the order of time."""
        return tuple(each for each in self._of_days(name, since, until, seed) if since <= each.start < until)

    def at(self, name: str, now: datetime, *, seed: int) -> Outage | None:
        """The one that the thing is in, if it is out of order."""
        recent = self._of_days(name, now - _DAY, now, seed)
        return next((each for each in recent if each.start <= now < each.end), None)

    def _of_days(self, name: str, since: datetime, until: datetime, seed: int) -> Iterator[Outage]:
        if self.per_day == 0:
            return
        day = since.astimezone(UTC).date()
        while day <= until.astimezone(UTC).date():
            random = np.random.default_rng([seed, crc32(name.encode()), day.toordinal()])
            midnight = datetime.combine(day, time(), tzinfo=UTC)
            for begins in np.sort(random.random(random.poisson(self.per_day))).tolist():
                start = midnight + begins * _DAY
                yield Outage(start, start + min(_DAY, timedelta(minutes=random.exponential(self.minutes))))
            day += timedelta(days=1)


class Faults(Message):
    """What fails, and how often.

    Of each charger: dead, it gives no current and no answer; ignoring, it answers and does nothing of what it is told;
    stuck, it does not answer and goes on with what it was told. The last two are ended by the charger's own watchdog
    where nobody commands it for too long. lines : between a charger and the cloud aggregator. cloud : the cloud
    aggregator of a site, which starts again without a memory. market : between the agent and the market, for reading
    and for sending. seed : of all of these; absent = the aggregator's.
    """

    dead: Outages = Outages()
    ignoring: Outages = Outages()
    stuck: Outages = Outages()
    lines: Outages = Outages()
    cloud: Outages = Outages()
    market: Outages = Outages()
    seed: Count | None = None

    @property
    def break_sites(self) -> bool:
        """Whether anything at a site is going to fail."""
        return any(each.per_day for each in (self.dead, self.ignoring, self.stuck, self.lines, self.cloud))


class CutOff:
    """The way to the market, while it fails. log : what has been seen of it."""

    def __init__(self, outages: Outages, *, seed: int) -> None:
        """Of one agent."""
        self._outages, self._seed = outages, seed
        self.log: list[FaultRecord] = []

    def at(self, now: datetime) -> bool:
        """Whether nothing gets through."""
        outage = self._outages.at("market", now, seed=self._seed)
        if outage is None:
            return False
        record = FaultRecord("market", "market", outage.start, outage.end)
        if record not in self.log:
            self.log.append(record)
        return True

    def forget(self, before: datetime) -> None:
        """What was over before will not be asked for."""
        self.log = [each for each in self.log if each.end >= before]
