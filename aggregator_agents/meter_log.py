"""What the meters of sites have counted, kept on disk: readings for the market survive a restart of the aggregator."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
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

    def meter(self, name: str) -> "LoggedMeter":
        """One of the meters."""
        return LoggedMeter(self, name)

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
    """One meter of a log; a SiteMeter. Between two readings power counts as constant."""

    def __init__(self, log: MeterLog, name: str) -> None:
        """Reads `log` every time."""
        self._log, self._name = log, name

    def metered_wh(self, start: datetime, end: datetime) -> float:
        """As SiteMeter."""
        return float(np.diff(self._at([start.timestamp(), end.timestamp()], start, end))[0])

    def mean_w(self, start: datetime, step: timedelta, count: int) -> FloatArray:
        """As SiteMeter."""
        edges_s = [start.timestamp() + step.total_seconds() * each for each in range(count + 1)]
        mean: FloatArray = np.diff(self._at(edges_s, start, start + count * step)) * 3600 / step.total_seconds()
        return mean

    def _at(self, edges_s: list[float], start: datetime, end: datetime) -> FloatArray:
        instants, registers = self._log.registers(self._name, start, end)
        if len(instants) == 0 or instants[0] > edges_s[0] or instants[-1] < edges_s[-1]:
            raise NotMetered(f"{self._name} from {start} to {end}")
        found: FloatArray = np.interp(edges_s, instants, registers)
        return found
