"""Databases that are migrated once in each test process, and copied from then on."""

import tempfile
from functools import cache
from pathlib import Path

import psycopg

from market.store import migrate, open_engine

_TEMPLATE = "migrated"


@cache
def migrated_sqlite() -> bytes:
    """The file of a migrated SQLite database."""
    with tempfile.TemporaryDirectory(prefix="flexmarket-") as folder:
        file = Path(folder) / "migrated.db"
        engine = open_engine(f"sqlite:///{file}")
        migrate(engine)
        engine.dispose()
        return file.read_bytes()


@cache
def migrated_postgres(server: str) -> str:
    """Name of a migrated database on a PostgreSQL server, to be a template of others."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE}".encode())
    engine = open_engine(server.replace("/postgres?", f"/{_TEMPLATE}?"))
    migrate(engine)
    engine.dispose()
    return _TEMPLATE
