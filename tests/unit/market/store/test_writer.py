"""The batch writer: what it answers is durable, what fails is undone alone, and too much is refused at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from api_spec.organisation import Organisation
from market.errors import AlreadyExists, NotFound, Overloaded
from market.store import UnitOfWork
from market.store.writer import BatchWriter

NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)


def register(name: str, work: UnitOfWork) -> str:
    who = Organisation(id=name, name=name, role="dso")
    work.participants.add(who, client_id=name, secret_hash="#", now=NOW)
    return name


def names(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(text("SELECT id FROM organisation")).scalars())


def commits_of(engine: Engine) -> list[None]:
    """Grows by one with every commit."""
    commits: list[None] = []
    event.listen(engine, "commit", lambda _: commits.append(None))
    return commits


def held_up(writer: BatchWriter, pool: ThreadPoolExecutor) -> threading.Event:
    """Keeps the writer busy until the event is set."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: UnitOfWork) -> None:
        begun.set()
        go_on.wait(10)

    pool.submit(writer.write, wait)
    assert begun.wait(10)
    return go_on


def test_what_waits_together_is_committed_together(migrated: Engine) -> None:
    with BatchWriter(migrated) as writer, ThreadPoolExecutor(21) as pool:
        go_on = held_up(writer, pool)
        answers = [pool.submit(writer.write, lambda work, n=n: register(f"o{n}", work)) for n in range(20)]
        while writer.depth < 20:
            pass
        commits = commits_of(migrated)
        go_on.set()
        assert [each.result() for each in answers] == [f"o{n}" for n in range(20)]
    assert names(migrated) == {f"o{n}" for n in range(20)}
    assert len(commits) == 1


def test_nobody_is_answered_before_the_commit(migrated: Engine) -> None:
    seen_before: list[set[str]] = []
    with BatchWriter(migrated) as writer:
        event.listen(migrated, "commit", lambda _: seen_before.append(names_elsewhere(migrated)))
        writer.write(lambda work: register("o1", work))
        assert names(migrated) == {"o1"}
    assert seen_before == [set()]


def names_elsewhere(engine: Engine) -> set[str]:
    """What another connection can see; reading needs no lock on either database."""
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("SELECT id FROM organisation")
        return {name for (name,) in cursor.fetchall()}
    finally:
        raw.close()


def test_a_step_that_fails_is_undone_alone_and_told(migrated: Engine) -> None:
    def registers_and_fails(work: UnitOfWork) -> str:
        register("half", work)
        raise NotFound("auction", "x")

    with BatchWriter(migrated) as writer, ThreadPoolExecutor(4) as pool:
        go_on = held_up(writer, pool)
        good = pool.submit(writer.write, lambda work: register("good", work))
        bad = pool.submit(writer.write, registers_and_fails)
        while writer.depth < 2:
            pass
        go_on.set()
        assert good.result() == "good"
        with pytest.raises(NotFound):
            bad.result()
    assert names(migrated) == {"good"}


def test_a_batch_that_the_database_gives_up_is_tried_again_step_by_step(migrated: Engine) -> None:
    """One step sends what no database understands: the others are written all the same."""

    def nonsense(work: UnitOfWork) -> str:
        register("half", work)
        raise OperationalError("SELECT", {}, Exception("no space left"))

    with BatchWriter(migrated) as writer, ThreadPoolExecutor(4) as pool:
        go_on = held_up(writer, pool)
        good = [pool.submit(writer.write, lambda work, n=n: register(f"o{n}", work)) for n in range(2)]
        bad = pool.submit(writer.write, nonsense)
        while writer.depth < 3:
            pass
        go_on.set()
        assert {each.result() for each in good} == {"o0", "o1"}
        with pytest.raises(OperationalError):
            bad.result()
    assert names(migrated) == {"o0", "o1"}


def test_too_many_are_refused_at_once(migrated: Engine) -> None:
    with BatchWriter(migrated, waiting=2) as writer, ThreadPoolExecutor(4) as pool:
        go_on = held_up(writer, pool)
        waiting = [pool.submit(writer.write, lambda work, n=n: register(f"o{n}", work)) for n in range(2)]
        while writer.depth < 2:
            pass
        with pytest.raises(Overloaded):
            writer.write(lambda work: register("one too many", work))
        go_on.set()
        for each in waiting:
            each.result()
    assert names(migrated) == {"o0", "o1"}


def test_what_waits_at_the_end_is_written(migrated: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        with BatchWriter(migrated) as writer:
            go_on = held_up(writer, pool)
            answers = [pool.submit(writer.write, lambda work, n=n: register(f"o{n}", work)) for n in range(5)]
            while writer.depth < 5:
                pass
            go_on.set()
        assert [each.result() for each in answers] == [f"o{n}" for n in range(5)]


def test_the_same_name_twice_in_one_batch_is_taken_once(migrated: Engine) -> None:
    def add_network(work: UnitOfWork) -> None:
        if "n" in names_in(work):
            raise AlreadyExists("organisation", "n")
        register("n", work)

    with BatchWriter(migrated) as writer, ThreadPoolExecutor(4) as pool:
        go_on = held_up(writer, pool)
        both = [pool.submit(writer.write, add_network) for _ in range(2)]
        while writer.depth < 2:
            pass
        go_on.set()
        outcomes = [each.exception() for each in both]
    assert [type(each) for each in outcomes if each is not None] == [AlreadyExists]


def names_in(work: UnitOfWork) -> set[str]:
    try:
        return {work.participants.organisation("n").id}
    except NotFound:
        return set()
