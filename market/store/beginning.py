"""How transactions begin on SQLite: with the write lock, but for those that only read.

One that reads first and writes later fails where another wrote in between; taking the lock at the start makes it wait
instead.
"""

import sqlite3
from typing import Any, Final

from sqlalchemy import Dialect, Engine
from sqlalchemy.engine.characteristics import ConnectionCharacteristic

BEGINS: Final = "flexmarket_begins"
"""The execution option of a connection that says how its transactions begin; on PostgreSQL it says nothing."""
WRITES: Final = "BEGIN IMMEDIATE"
READS: Final = "BEGIN"
"""Waits for no writer, and no writer for it: all that it reads is of one moment."""
READS_ONCE: Final = ""
"""One answer is of one moment without a transaction."""


class BegunConnection(sqlite3.Connection):
    """begins : how its next transaction does."""

    begins: str = WRITES


class _Begins(ConnectionCharacteristic):
    """The execution option, as SQLAlchemy hands it to a connection and takes it back for the next who gets it."""

    def set_characteristic(self, _: Dialect, connection: Any, value: str) -> None:
        connection.begins = value

    def get_characteristic(self, _: Dialect, connection: Any) -> str:
        begins: str = connection.begins
        return begins

    def reset_characteristic(self, _: Dialect, connection: Any) -> None:
        connection.begins = WRITES


def begin_as_told(engine: Engine) -> None:
    """Let transactions of an engine, whose connections are `BegunConnection`, begin as their option says."""
    dialect: Any = engine.dialect
    dialect.connection_characteristics = dialect.connection_characteristics.union({BEGINS: _Begins()})
    # Not by a listener to `begin`: with one, SQLAlchemy looks for listeners before and after every statement, too.
    dialect.do_begin = _begin


def _begin(connection: BegunConnection) -> None:
    if connection.begins:
        connection.execute(connection.begins)
