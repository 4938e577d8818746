"""kill -9 at every commit of submission, clearing, publication and settlement, on both databases.

A process of its own does the step and kills itself right before or right after a commit: before, and nothing of it is
there; after, and all of it is, though nobody was told. Either way the work is taken up again, once.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final, Literal, TypeAlias

import pytest
from pydantic import TypeAdapter
from sqlalchemy import Engine

from api_spec.auction import Auction, OfferReceipt
from api_spec.case import Case, Injection
from api_spec.flexibility import AnyRequestTerms
from api_spec.metering import BusPower, Forecast, ReadingTerms
from api_spec.result import Result
from market.clearing import Options, clear
from market.ledger.transfers import balances
from market.store import UnitOfWork, migrate, open_engine
from market.store.writer import BatchWriter
from market.workflow import ordering
from market.workflow.clearing import Worker, clear_next
from market.workflow.settling import settle_auction, submit_reading
from tests.integration.test_gates import GATE, NOON, OFFER, TERMS, opened, set_up
from tests.waiting import until

Moment: TypeAlias = Literal["before", "after"]
MOMENTS: Final[tuple[Moment, ...]] = ("before", "after")
REQUEST: AnyRequestTerms = TypeAdapter(AnyRequestTerms).validate_python(
    {"kind": "capacity", "element": "l1", "import_limit_w": 16_000, "max_price_eur_per_mwh": 800}
)
LEASE: Final = timedelta(seconds=0.3)
END: Final = TERMS.delivery.end

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


@contextmanager
def killed_at(commit: int, moment: Moment) -> Iterator[None]:
    """This process kills itself at its commit number `commit`, counted from 1."""
    committed, count = UnitOfWork.commit, 0

    def commit_or_die(work: UnitOfWork) -> None:
        nonlocal count
        if threading.current_thread().name == "heartbeat":
            committed(work)
            return
        count += 1
        if count == commit and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        committed(work)
        if count == commit:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(UnitOfWork, "commit", commit_or_die)  # noqa: B010  (of this process, which is about to die)
    yield


def submits(url: str, auction: str, commit: int, moment: Moment) -> None:
    """Eight offers through the batch writer, one commit each."""
    engine = open_engine(url)
    with killed_at(commit, moment), BatchWriter(engine) as writer:
        for number in range(8):
            who = f"agg-{number}"
            writer.write(partial(_submit, auction, who))


def _submit(auction: str, who: str, work: UnitOfWork) -> OfferReceipt:
    return ordering.submit_offer(auction, OFFER, participant=who, now=NOON, work=work)


def clears(url: str, auction: str, commit: int, moment: Moment) -> None:
    with killed_at(commit, moment):
        clear_next(Worker.new(clear, lease=LEASE), now=GATE, engine=open_engine(url))


def dies_in_the_solver(url: str, auction: str, commit: int, moment: Moment) -> None:
    def dies(case: Case, options: Options) -> Result:
        clear(case, options)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it is dead")

    clear_next(Worker.new(dies, lease=LEASE), now=GATE, engine=open_engine(url))


def settles(url: str, auction: str, commit: int, moment: Moment) -> None:
    with killed_at(commit, moment):
        settle_auction(auction, now=END, engine=open_engine(url))


def run_to_its_death(
    step: Callable[[str, str, int, Moment], None], url: str, auction: str, commit: int = 0, moment: Moment = "before"
) -> None:
    process = _processes.Process(target=step, args=(url, auction, commit, moment))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, "it was to be killed"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    migrate(engine)
    set_up(engine)
    yield engine
    engine.dispose()


def standing(engine: Engine) -> str:
    """An auction with a request for 2.5 kW: eight baselines of 2 kW and 2.5 kW of forecast load behind 16 kW."""
    auction = opened(engine).id
    with UnitOfWork(engine) as work:
        load = Injection(bus="far", p_w=(2500,), q_var=(0,))
        ordering.submit_forecast(auction, Forecast(injections=(load,)), dso="dso", now=NOON, work=work)
        ordering.submit_request(auction, REQUEST, dso="dso", now=NOON, work=work)
        for who in ("agg-0", "agg-1", "agg-2"):
            ordering.submit_offer(auction, OFFER, participant=who, now=NOON, work=work)
        work.commit()
    return auction


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("commit", [1, 4, 8])
def test_an_offer_is_there_or_not_and_never_half(
    engine: Engine, database_url: str, commit: int, moment: Moment
) -> None:
    auction = opened(engine).id
    run_to_its_death(submits, database_url, auction, commit, moment)

    with UnitOfWork(engine, reading=True) as work:
        kept = [each.offer.participant for each in work.orders.offers(auction)]
    durable = commit if moment == "after" else commit - 1
    assert sorted(kept) == [f"agg-{number}" for number in range(durable)]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("name", "commit"), [("claim", 1), ("gate", 2), ("publication", 3)])
def test_a_clearing_is_taken_up_again_and_published_once(
    engine: Engine, database_url: str, name: str, commit: int, moment: Moment
) -> None:
    auction = standing(engine)
    run_to_its_death(clears, database_url, auction, commit, moment)
    assert_published_once(engine, auction)


def test_a_death_in_the_solver_is_taken_up_again(engine: Engine, database_url: str) -> None:
    auction = standing(engine)
    run_to_its_death(dies_in_the_solver, database_url, auction)
    with UnitOfWork(engine, reading=True) as work:
        assert work.auctions.get(auction).state == "clearing"
    assert_published_once(engine, auction)


def assert_published_once(engine: Engine, auction: str) -> None:
    """Somebody else finishes; what is published is what the frozen book gives, once, and so are its reservations."""
    worker = Worker.new(clear)
    until(lambda: state_after_a_try(engine, worker, auction) == "published", within_s=30, what="published")
    with UnitOfWork(engine, reading=True) as work:
        outcome, awards = work.auctions.published(auction), work.auctions.awards(auction)
        pending, due = work.money.transfers(auction), list(work.jobs.due(GATE))
    assert outcome is not None and outcome.version == 1
    again = clear(outcome.case)
    assert outcome.result.model_copy(update={"solver": again.solver}) == again
    assert sum(award.power_w[0] for award in awards) == -2500, "exactly what was too much"
    assert len({award.offer for award in awards}) == len(awards)
    assert sorted(each.stage for each in pending) == ["pending"] * len({award.participant for award in awards})
    assert sum(balances(pending).values()) == 0
    assert due == []


def state_after_a_try(engine: Engine, worker: Worker, auction: str) -> str:
    clear_next(worker, now=GATE, engine=engine)
    with UnitOfWork(engine, reading=True) as work:
        return work.auctions.get(auction).state


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_settlement_is_written_once_and_its_ledger_sums_to_zero(
    engine: Engine, database_url: str, moment: Moment
) -> None:
    auction = standing(engine)
    clear_next(Worker.new(clear), now=GATE, engine=engine)
    drawn = ReadingTerms(start=TERMS.delivery.start, buses=(BusPower(bus="far", power_w=(1000,)),))
    with UnitOfWork(engine) as work:
        for number in range(8):
            submit_reading(auction, drawn, participant=f"agg-{number}", now=END, work=work)
        work.commit()
    run_to_its_death(settles, database_url, auction, 1, moment)

    settled = settled_by_now(engine, auction)
    with UnitOfWork(engine, reading=True) as work:
        transfers = work.money.transfers(auction)
        participants = {award.participant for award in work.auctions.awards(auction)}
        statements = [work.money.statement(auction, each) for each in sorted(participants)]
    assert settled.state == "settled"
    assert [each.version for each in statements if each is not None] == [1] * len(participants)
    assert sum(balances(transfers).values()) == 0
    paid = sum(each.amount_eur for each in transfers if each.stage == "posted")
    assert paid == sum(each.net_eur for each in statements if each is not None) > 0


def settled_by_now(engine: Engine, auction: str) -> Auction:
    """The auction as it stands, settled now where it was not."""
    with UnitOfWork(engine, reading=True) as work:
        standing = work.auctions.get(auction)
    return standing if standing.state == "settled" else settle_auction(auction, now=END, engine=engine)
