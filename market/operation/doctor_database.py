"""What the doctor looks at in the database: whether it answers, whether it is durable, and what is in it."""

import os
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from market.errors import NoSuchDatabase
from market.operation.doctor_secrets import examine_secrets
from market.operation.finding import Finding, ok, problem, warning
from market.settings import Settings
from market.store import UnitOfWork, open_engine
from market.store.examination import DatabaseFacts, facts_of, middle_s
from market.store.inspection import schema_of

_AREA: Final = "database"
_DURABLE: Final = {
    "sqlite": {"journal_mode": ("wal",), "synchronous": ("2", "3"), "foreign_keys": ("1",)},
    "postgresql": {
        "synchronous_commit": ("on", "remote_apply", "remote_write"),
        "fsync": ("on",),
        "full_page_writes": ("on",),
        "TimeZone": ("UTC", "Etc/UTC", "GMT"),
    },
}
"""Values with which an acknowledged order survives a crash, and times are what they say."""
_CLOCK_OFF: Final = timedelta(seconds=1)
_SLOW_COMMIT_S: Final = 0.05


def examine_database(settings: Settings) -> Iterator[Finding]:
    """Findings of the database area; a database that is down is one of them."""
    try:
        engine = open_engine(settings.database_url, key_file=settings.key_file)
    except (ArgumentError, ImportError, NoSuchDatabase) as failure:
        yield problem(_AREA, "address", _words(failure), "FLEXMARKET_DATABASE_URL: sqlite:///... or postgresql://...")
        return
    try:
        yield from _examine(engine)
    finally:
        engine.dispose()


def _examine(engine: Engine) -> Iterator[Finding]:
    sqlite = engine.dialect.name == "sqlite"
    file = Path(engine.url.database or "").absolute()
    if sqlite and not file.exists():
        yield from _no_file(file)
        return
    try:
        facts = facts_of(engine)
    except (SQLAlchemyError, OSError) as failure:
        advice = "make the file readable and writable for this user" if sqlite else "start it, or correct its address"
        yield problem(_AREA, "answers", f"no: {_words(failure)}", advice)
        return
    yield ok(_AREA, "answers", facts.version + (f" at {file}" if sqlite else ""))
    yield from _durability(facts, engine.dialect.name)
    yield _latency(_fsync_s(file.parent) if sqlite else facts.commit_s)
    yield _clock(facts.clock_ahead)
    yield from _schema(engine)


def _no_file(file: Path) -> Iterator[Finding]:
    folder = file.parent
    if not folder.is_dir():
        yield problem(_AREA, "answers", f"the folder {folder} does not exist", f"make it: mkdir -p {folder}")
    elif not os.access(folder, os.W_OK):
        yield problem(_AREA, "answers", f"the folder {folder} cannot be written", "give this user the right to write")
    else:
        advice = 'flexmarket operator create "NAME" makes it'
        yield warning(_AREA, "answers", f"there is none yet at {file}", advice)
        yield _latency(_fsync_s(folder))


def _durability(facts: DatabaseFacts, kind: str) -> Iterator[Finding]:
    for name, accepted in _DURABLE[kind].items():
        value = facts.settings[name]
        if value in accepted:
            yield ok(_AREA, name, value)
        elif name == "TimeZone":
            yield warning(_AREA, name, value, "logs and queries by hand show local time; set timezone = 'UTC'")
        else:
            yield problem(_AREA, name, value, f"set it to {accepted[0]}: acknowledged orders can be lost so")


def _latency(seconds: float | None) -> Finding:
    name = "durable write"
    if seconds is None:
        return warning(_AREA, name, "not measured", "measure it on the server: pg_test_fsync")
    seen = f"{seconds * 1000:.1f} ms"
    if seconds > _SLOW_COMMIT_S:
        return warning(_AREA, name, seen, "every acknowledgement waits for one: put the database on faster storage")
    if seconds < 2e-5:
        return warning(
            _AREA, name, f"{seconds * 1e6:.0f} µs", "too fast to be durable: is it a disk, and does it sync?"
        )
    return ok(_AREA, name, seen)


def _fsync_s(folder: Path) -> float | None:
    """A small write and its sync, where the database is."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:

            def write() -> None:
                probe.write(b"\0" * 4096)
                probe.flush()
                os.fsync(probe.fileno())

            return middle_s(write)
    except OSError:
        return None


def _clock(ahead: timedelta | None) -> Finding:
    if ahead is None:
        return ok(_AREA, "clock", "this machine's")
    seconds = ahead.total_seconds()
    seen = f"{abs(seconds) * 1000:.0f} ms {'ahead of' if seconds > 0 else 'behind'} this machine's"
    if abs(ahead) > _CLOCK_OFF:
        return problem(_AREA, "clock", seen, "gates close by it: synchronise both machines (chrony, systemd-timesyncd)")
    return ok(_AREA, "clock", seen)


def _schema(engine: Engine) -> Iterator[Finding]:
    schema = schema_of(engine)
    if schema.fits:
        yield ok(_AREA, "schema", f"{schema.current}, the newest")
        yield from _operator(engine)
        yield from examine_secrets(engine)
    elif schema.current is None:
        advice = 'flexmarket operator create "NAME" makes the tables'
        yield warning(_AREA, "schema", "none yet", advice)
    elif schema.behind is None:
        yield problem(_AREA, "schema", f"{schema.current}, which this program does not know", "install a newer program")
    else:
        seen = f"{schema.current}, {schema.behind} behind {schema.newest}"
        yield warning(_AREA, "schema", seen, "flexmarket serve migrates it when it starts; make a backup before")


def _operator(engine: Engine) -> Iterator[Finding]:
    with UnitOfWork(engine, reading=True) as work:
        there = work.participants.has_operator()
    if there:
        yield ok(_AREA, "operator", "registered")
    else:
        yield problem(_AREA, "operator", "nobody", 'flexmarket operator create "NAME" registers one')


def _words(failure: Exception) -> str:
    """What went wrong, in the database's own words; drivers quote no password."""
    lines = str(getattr(failure, "orig", None) or failure).strip().splitlines()
    return lines[0] if lines else type(failure).__name__
