"""What the meters of sites have counted, kept on disk: readings for the market survive a restart of the aggregator."""

import contextlib
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from typing import Protocol

import numpy as np

from aggregator_agents.fleet import FloatArray


class NotMetered(Exception):
    """The meter's readings do not reach over the interval that is asked for."""


class SiteMeter(Protocol):
    """The meter of one site: energy through it, consumption positive."""

    def metered_wh(self, start: datetime, end: datetime) -> float:
        """From `start` to `end` [Wh]. Raises NotMetered."""
        ...

    def mean_w(self, start: datetime, step: timedelta, count: int) -> FloatArray:
        """Mean power in `count` steps from `start` on, (step,) [W]. Raises NotMetered."""
        ...


class MeterLog:
    """Registers of several meters over time in one SQLite file."""

    def __init__(self, file: Path) -> None:
        """Opens or makes `file`; `:memory:` keeps nothing."""
        self._database = sqlite3.connect(file, isolation_level=None)
        # Where two open a new file at once, one of them changes the mode for both.
        with contextlib.suppress(sqlite3.OperationalError):
            self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS register"
            " (meter TEXT NOT NULL, at_s REAL NOT NULL, wh REAL NOT NULL, PRIMARY KEY (meter, at_s))"
            " STRICT, WITHOUT ROWID"
        )

    def close(self) -> None:
        """Nothing can be written afterwards."""
        self._database.close()

    def record(self, meter: str, at: datetime, register_wh: float) -> None:
        """A reading of the register, whose energy out counts negative; the later of two at one instant counts."""
        row = (meter, at.timestamp(), register_wh)
        self._database.execute("INSERT OR REPLACE INTO register VALUES (?, ?, ?)", row)

    def forget(self, before: datetime) -> None:
        """Erase what is older."""
        self._database.execute("DELETE FROM register WHERE at_s < ?", (before.timestamp(),))

    def meter(self, *names: str, waits: timedelta | None = None) -> "LoggedMeter":
        """One of the meters, or several together; see LoggedMeter."""
        return LoggedMeter(self, names, waits)

    def newest_s(self, meter: str) -> float:
        """Instant of the last reading [s since the epoch]; minus infinity without any."""
        query = "SELECT max(at_s) FROM register WHERE meter = ?"
        with closing(self._database.execute(query, (meter,))) as cursor:
            (newest_s,) = cursor.fetchone()
        return -inf if newest_s is None else float(newest_s)

    def registers(self, meter: str, start: datetime, end: datetime) -> tuple[FloatArray, FloatArray]:
        """Instants [s since the epoch] and registers [Wh] from the last before `start` to the first after `end`."""
        query = (
            "SELECT at_s, wh FROM register WHERE meter = :meter"
            " AND at_s >= coalesce((SELECT max(at_s) FROM register WHERE meter = :meter AND at_s <= :start), :start)"
            " AND at_s <= coalesce((SELECT min(at_s) FROM register WHERE meter = :meter AND at_s >= :end), :end)"
            " ORDER BY at_s"
        )
        bounds = {"meter": meter, "start": start.timestamp(), "end": end.timestamp()}
        with closing(self._database.execute(query, bounds)) as cursor:
            rows = np.array(cursor.fetchall(), dtype=np.float64).reshape(-1, 2)
        return rows[:, 0], rows[:, 1]


class LoggedMeter:
    """Meters of a log together; a SiteMeter. Between two readings power counts as constant.

    A meter that began to count within an interval counts from then on, and one that was never read counts nothing.
    Where one has fallen silent nobody knows, until others have been read for `waits` longer: then it counts as having
    stood still since its last reading, so that one that is gone for ever keeps nobody from reporting the rest.
    """

    def __init__(self, log: MeterLog, names: tuple[str, ...], waits: timedelta | None = None) -> None:
        """Reads `log` every time. waits : None = for ever."""
        self._log, self._names = log, names
        self._waits_s = inf if waits is None else waits.total_seconds()

    def silent(self, end: datetime) -> tuple[str, ...]:
        """Meters that were read once and are taken to stand still before `end`."""
        newest_s = {name: self._log.newest_s(name) for name in self._names}
        known_s = max(newest_s.values(), default=-inf)
        waited_s = min(end.timestamp(), known_s - self._waits_s)
        return tuple(name for name, at_s in newest_s.items() if -inf < at_s < end.timestamp() and at_s <= waited_s)

    def metered_wh(self, start: datetime, end: datetime) -> float:
        """As SiteMeter."""
        return float(np.diff(self._at([start.timestamp(), end.timestamp()], start, end))[0])

    def mean_w(self, start: datetime, step: timedelta, count: int) -> FloatArray:
        """As SiteMeter."""
        edges_s = [start.timestamp() + step.total_seconds() * each for each in range(count + 1)]
        mean: FloatArray = np.diff(self._at(edges_s, start, start + count * step)) * 3600 / step.total_seconds()
        return mean

    def _at(self, edges_s: list[float], start: datetime, end: datetime) -> FloatArray:
        total, known, still = np.zeros(len(edges_s)), False, None
        for name in self._names:
            instants, registers = self._log.registers(name, start, end)
            if len(instants) == 0:
                continue
            if instants[-1] < edges_s[-1]:
                still = self.silent(end) if still is None else still
                if name not in still:
                    raise NotMetered(f"{name} from {start} to {end}")
            known = True
            total += np.interp(edges_s, instants, registers)
        if not known:
            raise NotMetered(f"{', '.join(self._names)} from {start} to {end}")
        found: FloatArray = total
        return found
