"""What a database can do to a market: break transactions off, drop connections, run out of space, set its clock."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from market.store import UnitOfWork, migrate, open_engine, transact
from market.store.database_clock import DatabaseClock
from market.store.writer import BatchWriter
from market.workflow import ordering
from tests.integration.test_gates import NOON, OFFER, opened, set_up


def submit(auction: str, who: str, work: UnitOfWork) -> str:
    return ordering.submit_offer(auction, OFFER, participant=who, now=NOON, work=work).offer.id


@pytest.fixture
def postgres_engine(postgres_url: str) -> Iterator[Engine]:
    engine = open_engine(postgres_url)
    migrate(engine)
    set_up(engine)
    yield engine
    engine.dispose()


def test_a_deadlock_is_ended_by_the_database_and_both_transactions_get_through(postgres_engine: Engine) -> None:
    """Two transactions lock two auctions in opposite order: PostgreSQL breaks one off (40P01), which is run again."""
    first, second = opened(postgres_engine).id, opened(postgres_engine).id
    both_hold_one = threading.Barrier(2)
    attempts: list[str] = []

    def lock(one: str, other: str, work: UnitOfWork) -> None:
        attempts.append(one)
        work.auctions.get(one, lock="close")
        if len(attempts) <= 2:
            both_hold_one.wait(10)
        work.auctions.get(other, lock="close")

    with ThreadPoolExecutor(2) as pool:
        pairs = [(first, second), (second, first)]
        done = [pool.submit(transact, postgres_engine, partial(lock, *pair)) for pair in pairs]
        for each in done:
            each.result(30)
    assert len(attempts) == 3, "one of the two ran twice"


def test_a_serialization_failure_is_run_again(postgres_engine: Engine) -> None:
    runs: list[None] = []

    def fails_twice(work: UnitOfWork) -> str:
        runs.append(None)
        if len(runs) <= 2:
            conflict = "DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$"
            work.orders._session.connection().exec_driver_sql(conflict)
        return "through"

    assert transact(postgres_engine, fails_twice) == "through"
    assert len(runs) == 3


def test_connections_that_the_server_dropped_are_replaced(postgres_engine: Engine, postgres_url: str) -> None:
    auction = opened(postgres_engine).id
    with BatchWriter(postgres_engine) as writer:
        for number in range(3):
            drop_all_connections(postgres_url)
            writer.write(partial(submit, auction, f"agg-{number}"))
    with UnitOfWork(postgres_engine, reading=True) as work:
        assert len(work.orders.offers(auction)) == 3


def test_a_connection_dropped_within_a_transaction_leaves_nothing_and_is_told(
    postgres_engine: Engine, postgres_url: str
) -> None:
    auction = opened(postgres_engine).id

    def cut_off(work: UnitOfWork) -> None:
        submit(auction, "agg-0", work)
        drop_all_connections(postgres_url)

    with BatchWriter(postgres_engine) as writer:
        with pytest.raises(OperationalError):
            writer.write(cut_off)
        writer.write(partial(submit, auction, "agg-1"))
    with UnitOfWork(postgres_engine, reading=True) as work:
        assert [each.offer.participant for each in work.orders.offers(auction)] == ["agg-1"]


def drop_all_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_keeps_nothing_partial_and_recovers(migrated: Engine) -> None:
    """SQLite is told that its file may not grow; the error is the one of a full disk (SQLITE_FULL)."""
    set_up(migrated)
    auction = opened(migrated).id
    with migrated.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    limit = {"pages": pages}

    def restrict(connection: object, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={limit['pages']}")  # type: ignore[attr-defined]

    event.listen(migrated, "checkout", restrict)
    acknowledged = []
    with BatchWriter(migrated) as writer:
        with pytest.raises(OperationalError, match="full"):
            for _ in range(500):
                acknowledged.append(writer.write(partial(submit, auction, "agg-0")))
        limit["pages"] = 1_000_000
        acknowledged.append(writer.write(partial(submit, auction, "agg-0")))
    with UnitOfWork(migrated, reading=True) as work:
        assert sorted(each.offer.id for each in work.orders.offers(auction)) == sorted(acknowledged)


def test_a_clock_that_is_set_back_never_opens_a_gate_again(migrated: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [datetime(2026, 1, 14, 20, 0, tzinfo=UTC)]
    counted = [100.0]
    monkeypatch.setattr(DatabaseClock, "_ask", lambda _: told[0])
    monkeypatch.setattr("market.store.database_clock.time.monotonic", lambda: counted[0])
    clock = DatabaseClock(migrated)

    assert clock.now() == told[0]
    counted[0] += 3
    assert clock.now() == told[0] + timedelta(seconds=3), "counted by a clock that nobody sets"
    told[0] -= timedelta(hours=1)
    counted[0] += 10
    assert clock.now() == datetime(2026, 1, 14, 20, 0, 3, tzinfo=UTC), "it stands still until time has caught up"
    told[0] += timedelta(hours=2)
    counted[0] += 10
    assert clock.now() == datetime(2026, 1, 14, 21, tzinfo=UTC)
