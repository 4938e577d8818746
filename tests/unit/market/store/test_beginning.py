"""On SQLite who writes takes the lock as it begins, who reads takes none, and a connection forgets which it was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from market.store import open_engine
from market.store.engine import ONE_ANSWER, ONLY_READS


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """With one connection, so that everybody gets the same one after the other."""
    engine = open_engine(f"sqlite:///{tmp_path}/market.db", connections=1)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE lamp (light INTEGER)")
        connection.exec_driver_sql("INSERT INTO lamp VALUES (1)")
    yield engine
    engine.dispose()


@pytest.fixture
def other(tmp_path: Path, engine: Engine) -> Iterator[Engine]:
    """Another process, as it were, that does not wait."""
    other = open_engine(f"sqlite:///{tmp_path}/market.db", connections=1)
    with other.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
    yield other
    other.dispose()


def light(connection: Connection) -> int:
    found: int = connection.exec_driver_sql("SELECT light FROM lamp").scalar_one()
    return found


def switch_off(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE lamp SET light = 0")


def test_who_may_write_keeps_other_writers_out_before_it_has_written(engine: Engine, other: Engine) -> None:
    with engine.connect() as connection:
        assert light(connection) == 1
        with pytest.raises(OperationalError, match="locked"):
            switch_off(other)


def test_who_only_reads_keeps_nobody_out_and_sees_one_moment(engine: Engine, other: Engine) -> None:
    with engine.connect().execution_options(**ONLY_READS) as connection:
        assert light(connection) == 1
        switch_off(other)
        assert light(connection) == 1


def test_who_asks_one_question_has_no_transaction(engine: Engine, other: Engine) -> None:
    with engine.connect().execution_options(**ONE_ANSWER) as connection:
        assert light(connection) == 1
        switch_off(other)
        assert light(connection) == 0


@pytest.mark.parametrize("options", [ONLY_READS, ONE_ANSWER])
def test_the_next_who_gets_the_connection_may_write(engine: Engine, other: Engine, options: dict[str, Any]) -> None:
    with engine.connect().execution_options(**options) as connection:
        light(connection)
    with engine.connect() as connection:
        light(connection)
        with pytest.raises(OperationalError, match="locked"):
            switch_off(other)
