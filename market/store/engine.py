"""Opening the database: durable, one writer at a time on SQLite, and migrated to the newest schema."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000")

ONLY_READS = "flexmarket_only_reads"
"""Execution option of a connection that will not write: on SQLite its transaction takes no write lock."""


def open_engine(url: str) -> Engine:
    """An engine for a database URL. On SQLite every transaction begins IMMEDIATE.

    A SQLite transaction that reads first and writes later fails where another wrote in between; taking the write lock
    at the start makes it wait instead. Every commit is synced to the disk before it returns.
    """
    engine = create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest version; safe to call at every start."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _prepare(connection: Any, _: Any) -> None:
    # The driver would begin transactions by itself, too late and DEFERRED.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    only_reads = connection.get_execution_options().get(ONLY_READS, False)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")
