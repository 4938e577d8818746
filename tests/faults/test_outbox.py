"""No event is lost or invented: not by kill -9, not by a failed step, not by transactions that overtake each other."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from api_spec.events import START
from api_spec.organisation import Organisation
from api_spec.webhooks import WebhookTerms
from market.clock import SimulatedClock, SystemClock
from market.errors import NotFound
from market.notices.story import EVERYBODY, opened
from market.push.calling import Caller
from market.push.sender import LEASE, Sender
from market.store import UnitOfWork
from market.store.writer import BatchWriter
from market.workflow.webhooks import create_webhook
from tests.receiver import Receiver, nothing

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
WRITES_AND_DIES = """
import os, signal, sys
from datetime import UTC, datetime
from market.notices.story import opened
from market.store import UnitOfWork, open_engine
with UnitOfWork(open_engine(sys.argv[1])) as work:
    work.outbox.add(opened("auc_1", now=datetime.now(UTC)))
    if sys.argv[2] == "after":
        work.commit()
    else:
        work.outbox.write()
    os.kill(os.getpid(), signal.SIGKILL)
"""
SENDS = """
import asyncio, sys
from market.clock import SystemClock
from market.push.sender import sending
from market.store import open_engine
async def main():
    engine = open_engine(sys.argv[1])
    async with sending(engine=engine, clock=SystemClock(), allow_private=True):
        await asyncio.sleep(60)
asyncio.run(main())
"""


def listen(engine: Engine, url: str) -> None:
    with UnitOfWork(engine) as work:
        work.participants.add(
            Organisation(id="a", name="a", role="aggregator"), client_id="a", secret_hash="#", now=NOON
        )
        create_webhook(WebhookTerms(url=url), organisation="a", allow_private=True, now=NOON, work=work)
        work.commit()


def told(engine: Engine) -> list[str]:
    with UnitOfWork(engine) as work:
        return [each.event.auction for each in work.outbox.after(0, (EVERYBODY,))]


def python(script: str, *arguments: str) -> "subprocess.Popen[bytes]":
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=root)


@pytest.mark.parametrize(("dies", "arrives"), [("after", 1), ("before", 0)])
async def test_an_event_is_sent_if_and_only_if_its_transaction_was_committed(
    migrated: Engine, database_url: str, dies: str, arrives: int
) -> None:
    """The process that wrote it is killed in between; another one sends."""
    async with Receiver() as receiver:
        listen(migrated, receiver.url)
        assert python(WRITES_AND_DIES, database_url, dies).wait(30) == -signal.SIGKILL
        async with Caller(allow_private=True) as caller:
            await Sender(migrated, SystemClock(), caller).settle()

        assert len(receiver.received) == len(told(migrated)) == arrives


async def test_what_a_killed_sender_was_sending_arrives_under_the_same_id(migrated: Engine, database_url: str) -> None:
    async with Receiver([nothing]) as receiver:
        listen(migrated, receiver.url)
        with UnitOfWork(migrated) as work:
            work.outbox.add(opened("auc_1", now=NOON))
            work.commit()
        killed = python(SENDS, database_url)
        deadline = time.monotonic() + 30
        while not receiver.received:
            assert time.monotonic() < deadline, "nothing was sent"
            await asyncio.sleep(0.05)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait(30)
        later = SimulatedClock(datetime.now(UTC) + LEASE)
        async with Caller(allow_private=True) as caller:
            await Sender(migrated, later, caller).settle()

        first, second = receiver.received
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body


def test_what_a_failed_step_gave_to_tell_is_not_told(migrated: Engine) -> None:
    """Two steps of one batch, one of which fails after it gave its event."""
    held, go = threading.Event(), threading.Event()

    def hold(_: UnitOfWork) -> None:
        held.set()
        go.wait(10)

    def fail(work: UnitOfWork) -> None:
        work.outbox.add(opened("auc_failed", now=NOON))
        raise NotFound("network", "n")

    with BatchWriter(migrated) as writer:
        threads = [threading.Thread(target=writer.write, args=(hold,))]
        threads[0].start()
        held.wait(10)
        failures: list[Exception] = []

        def failing() -> None:
            try:
                writer.write(fail)
            except NotFound as failure:
                failures.append(failure)

        def succeeding() -> None:
            writer.write(lambda work: work.outbox.add(opened("auc_opened", now=NOON)))

        threads += [threading.Thread(target=each) for each in (failing, succeeding)]
        for each in threads[1:]:
            each.start()
        while writer.depth < 2:
            time.sleep(0.01)
        go.set()
        for each in threads:
            each.join()

    assert told(migrated) == ["auc_opened"]
    assert len(failures) == 1


def test_a_reader_never_passes_a_place_that_is_still_to_be_filled(migrated: Engine) -> None:
    """Eight threads tell 25 events each while a reader follows: it sees all of them, in the order of their places."""
    writing = [threading.Thread(target=_write, args=(migrated, k)) for k in range(8)]
    for each in writing:
        each.start()
    seen: list[str] = []
    place, alive = 0, True
    while alive:
        alive = any(each.is_alive() for each in writing)
        with UnitOfWork(migrated) as work:
            end = work.outbox.end()
            read = work.outbox.after(place, (EVERYBODY,), limit=1000)
        seen += [each.event.auction for each in read]
        place = max(place, end, *(each.place for each in read))

    assert sorted(seen) == sorted(f"auc_{k}_{n}" for k in range(8) for n in range(25))
    assert seen == told_all(migrated)


def told_all(engine: Engine) -> list[str]:
    with UnitOfWork(engine) as work:
        return [each.event.auction for each in work.outbox.after(0, (EVERYBODY,), limit=1000)]


def _write(engine: Engine, writer: int) -> None:
    for n in range(25):
        with UnitOfWork(engine) as work:
            work.outbox.add(opened(f"auc_{writer}_{n}", now=NOON))
            work.commit()


def test_a_place_is_found_by_those_only_who_may_hear_of_its_event(migrated: Engine) -> None:
    with UnitOfWork(migrated) as work:
        (notice,) = opened("auc_1", now=NOON)
        work.outbox.add([notice])
        work.commit()
        assert work.outbox.place(START, ()) == 0
        assert work.outbox.place(notice.event.id, (EVERYBODY,)) == 1
        assert work.outbox.newest(("a",)) == (0, START)
        with pytest.raises(NotFound):
            work.outbox.place(notice.event.id, ("a",))
