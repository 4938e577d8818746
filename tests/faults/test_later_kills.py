"""kill -9 at the commits of what follows on an offer: matches, corrections, the audit log, and webhooks."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from api_spec.metering import ReadingTerms
from market.clock import SimulatedClock, SystemClock
from market.ledger.transfers import balances
from market.notices.story import opened
from market.push.calling import Caller
from market.push.sender import LEASE, Sender
from market.store import UnitOfWork, open_engine
from market.workflow.auditing import build_log, verify_log
from market.workflow.clearing import clear_auction
from market.workflow.matching import match_auction
from market.workflow.settling import settle_auction, submit_reading, take_corrections
from tests.faults.test_kills import MOMENTS, Moment, killed_at, run_to_its_death
from tests.faults.test_outbox import listen
from tests.integration.test_continuous import DELIVERY, GATE, nomination, prepare, sold, submit
from tests.integration.test_continuous import NOON as MATCHING
from tests.receiver import Receiver


def matches(url: str, auction: str, commit: int, moment: Moment) -> None:
    with killed_at(commit, moment):
        match_auction(auction, now=MATCHING, engine=open_engine(url))


def corrects(url: str, auction: str, commit: int, moment: Moment) -> None:
    with killed_at(commit, moment):
        take_corrections(auction, now=DELIVERY.end, engine=open_engine(url))


def builds(url: str, _: str, commit: int, moment: Moment) -> None:
    with killed_at(commit, moment):
        build_log(now=MATCHING, engine=open_engine(url))


def sends(url: str, _: str, commit: int, moment: Moment) -> None:
    async def settle() -> None:
        async with Caller(allow_private=True) as caller:
            await Sender(open_engine(url), SystemClock(), caller).settle()

    with killed_at(commit, moment):
        asyncio.run(settle())


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_match_is_published_once(migrated: Engine, database_url: str, moment: Moment) -> None:
    """24 kW behind 20: all of 3 kW at 100 are taken, in one version, with one pending transfer of 0.3 EUR."""
    auction = prepare(migrated).id
    submit(migrated, auction, 3000, 100)
    run_to_its_death(matches, database_url, auction, 1, moment)

    match_auction(auction, now=MATCHING, engine=migrated)
    assert [(who, version, power_w) for who, version, power_w, _ in sold(migrated, auction)] == [("agg", 1, -3000)]
    with UnitOfWork(migrated, reading=True) as work:
        pending = work.money.transfers(auction)
    assert [each.stage for each in pending] == ["pending"]
    assert sum(balances(pending).values()) == 0


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_correction_is_posted_once(migrated: Engine, database_url: str, moment: Moment) -> None:
    """3 kW are sold at 100; first 1 kWh counts as delivered, then a late reading says 3: 0.3 EUR in the end."""
    auction = prepare(migrated).id
    submit(migrated, auction, 3000, 100)
    clear_auction(auction, now=GATE, engine=migrated)
    _read(migrated, auction, 9_000)
    settle_auction(auction, now=DELIVERY.end, engine=migrated)
    _read(migrated, auction, 7_000)
    run_to_its_death(corrects, database_url, auction, 1, moment)

    take_corrections(auction, now=DELIVERY.end, engine=migrated)
    with UnitOfWork(migrated, reading=True) as work:
        statement, transfers = work.money.statement(auction, "agg"), work.money.transfers(auction)
    assert statement is not None and statement.version == 2
    ledger = balances(transfers)
    assert ledger["participant:agg"] == statement.net_eur > 0, "the deltas sum to what a recomputation gives"
    assert sum(ledger.values()) == 0


def _read(engine: Engine, auction: str, power_w: int) -> None:
    with UnitOfWork(engine) as work:
        for name in ("agg", "other"):
            buses = nomination(power_w if name == "agg" else 10_000).buses
            reading = ReadingTerms(start=DELIVERY.start, buses=buses)
            submit_reading(auction, reading, participant=name, now=DELIVERY.end, work=work)
        work.commit()


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_audit_log_goes_on_where_it_was(migrated: Engine, database_url: str, moment: Moment) -> None:
    auction = prepare(migrated).id
    run_to_its_death(builds, database_url, auction, 1, moment)
    submit(migrated, auction, 3000, 100)
    while build_log(now=MATCHING, engine=migrated) is not None:
        pass

    found = verify_log(engine=migrated)
    assert found.findings == () and found.waiting == 0
    assert found.rows + found.erased <= found.leaves


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("commit", [1, 2])
async def test_an_event_arrives_whichever_commit_its_sender_died_at(
    migrated: Engine, database_url: str, commit: int, moment: Moment
) -> None:
    """Once, or twice under the same id where the sender died between the answer and its note of it."""
    async with Receiver() as receiver:
        listen(migrated, receiver.url)
        with UnitOfWork(migrated) as work:
            work.outbox.add(opened("auc_1", now=MATCHING))
            work.commit()
        await asyncio.to_thread(run_to_its_death, sends, database_url, "", commit, moment)
        later = SimulatedClock(datetime.now(UTC) + LEASE + timedelta(seconds=1))
        async with Caller(allow_private=True) as caller:
            await Sender(migrated, later, caller).settle()

        assert 1 <= len(receiver.received) <= 2
        assert len(set(receiver.ids)) == len({each.body for each in receiver.received}) == 1
