"""What an aggregator remembers of its drivers: what those who came in the past weeks said, and what they did."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from aggregator_agents.fleet import Session, Site
from aggregator_agents.offering.record import Record
from aggregator_agents.sessions import Pattern, past


class Memory:
    """Of one site. It is read again once a day."""

    def __init__(self, site: Site, pattern: Pattern, *, seed: int, days: int) -> None:
        """Days : how far back it goes. pattern, seed : of who came."""
        self._site, self._pattern, self._seed, self._days = site, pattern, seed, days
        self._read: tuple[date, Record] | None = None

    def record(self, now: datetime) -> Record:
        """Of the days before `now`."""
        today = now.astimezone(ZoneInfo(self._pattern.timezone)).date()
        if self._read is None or self._read[0] != today:
            stays = past(self._site, self._pattern, now, days=self._days, seed=self._seed)
            self._read = today, Record.of(stays, zone=self._pattern.timezone)
        return self._read[1]

    def likely(self, said: Iterable[Session], taken_wh: Mapping[str, float], now: datetime) -> dict[str, float]:
        """Energy that sessions take in the end, as far as that can be told by now, by id [Wh]."""
        return {each.id: each.energy_wh for each in self.record(now).expected(said, now=now, taken_wh=taken_wh)}
