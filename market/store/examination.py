"""What a database says of itself, asked quickly and without changing anything that stays."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Engine, text

from market.store.beginning import BEGINS, READS

_PROBES: Final = 10


@dataclass(frozen=True)
class DatabaseFacts:
    """version : of the server or library. settings : those that durability depends on, by name.

    clock_ahead : of the database's clock to this machine's; None where it is the same. commit_s : a durable commit, in
    the middle of several; None where it was not measured.
    """

    version: str
    settings: dict[str, str]
    clock_ahead: timedelta | None
    commit_s: float | None


def facts_of(engine: Engine) -> DatabaseFacts:
    """What this database says of itself; SQLAlchemyError where it does not answer."""
    return _of_sqlite(engine) if engine.dialect.name == "sqlite" else _of_postgresql(engine)


def _of_sqlite(engine: Engine) -> DatabaseFacts:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with engine.connect().execution_options(**{BEGINS: READS}) as connection:
        version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
        settings = {name: str(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in names}
    return DatabaseFacts(f"SQLite {version}", settings, None, None)


def _of_postgresql(engine: Engine) -> DatabaseFacts:
    names = ("synchronous_commit", "fsync", "full_page_writes", "TimeZone", "max_connections")
    with engine.connect() as connection:
        version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        settings = {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in names}
        before = datetime.now(UTC)
        there: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        ahead = there - (before + (datetime.now(UTC) - before) / 2)
        connection.rollback()

        def commit() -> None:
            # A message in the write-ahead log, which no one reads: the least that a commit has to make durable.
            connection.execute(text("SELECT pg_logical_emit_message(true, 'flexmarket doctor', '')"))
            connection.commit()

        commit_s = middle_s(commit)
    return DatabaseFacts(f"PostgreSQL {version}", settings, ahead, commit_s)


def middle_s(step: Callable[[], None]) -> float:
    """How long a step takes: the middle of several times, the first of which is not counted."""
    step()
    times = []
    for _ in range(_PROBES):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return sorted(times)[_PROBES // 2]
