"""The gate under a race: what was acknowledged is in the book that is cleared, and nothing else is."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import Engine

from api_spec.auction import Auction, AuctionTerms
from api_spec.case import Case
from api_spec.flexibility import AnyOfferTerms
from api_spec.grid import Network
from api_spec.metering import BaselineNomination, BusPower
from api_spec.organisation import Organisation
from api_spec.period import MarketPeriod
from api_spec.product import Product
from api_spec.result import Result
from market.clearing import Options, clear
from market.errors import GateClosed, LeaseLost
from market.store import UnitOfWork, migrate, open_engine, transact
from market.store.auctions import Auctions
from market.workflow import ordering
from market.workflow.clearing import Worker, clear_auction, clear_next
from tests.small_cases import bus, line

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
GATE = NOON + timedelta(hours=8)
NETWORK = Network.model_validate(
    {
        "name": "street",
        "phases": 1,
        "source": {"bus": "s"},
        "buses": [bus("s"), bus("far")],
        "lines": [line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
    }
)
TERMS = AuctionTerms(
    network="street",
    product=Product(name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100)),
    delivery=MarketPeriod(start=NOON + timedelta(hours=12), resolution=timedelta(hours=1), count=1),
    gate_closure=GATE,
)
OFFER: AnyOfferTerms = TypeAdapter(AnyOfferTerms).validate_python(
    {"bus": "far", "kind": "curve", "steps": [{"power_w": [-1000], "price_eur_per_mwh": 100}]}
)
WRITERS = 8
PAUSE_S = 0.01


def set_up(engine: Engine) -> None:
    """A DSO, eight aggregators and a network."""
    with UnitOfWork(engine) as work:
        for name in ("dso", *(f"agg-{number}" for number in range(WRITERS))):
            role = "dso" if name == "dso" else "aggregator"
            who = Organisation.model_validate({"id": name, "name": name, "role": role})
            work.participants.add(who, client_id=name, secret_hash="#", now=NOON)
        ordering.register_network(NETWORK, dso="dso", now=NOON, work=work)
        work.commit()


def opened(engine: Engine) -> Auction:
    """An auction for which all eight have nominated a baseline."""
    with UnitOfWork(engine) as work:
        auction = ordering.open_auction(TERMS, dso="dso", now=NOON, work=work)
        for number in range(WRITERS):
            own = BaselineNomination(buses=(BusPower(bus="far", power_w=(2000,)),))
            ordering.nominate_baseline(auction.id, own, participant=f"agg-{number}", now=NOON, work=work)
        work.commit()
    return auction


@pytest.fixture
def engine(migrated: Engine) -> Engine:
    set_up(migrated)
    return migrated


def race(engine: Engine) -> tuple[set[str], set[str]]:
    """Ids of offers that were acknowledged, and of those that were cleared, of eight writers that do not stop.

    The writers' clocks are late: by them the gate is open throughout. Only its row in the database can stop them.
    """
    auction, acknowledged = opened(engine).id, set()
    begun, over = threading.Barrier(WRITERS + 1), threading.Event()

    def submit(number: int) -> None:
        begun.wait()
        while not over.is_set():
            # SQLite's lock is not fair: without a pause the gate may wait for longer than it is ready to.
            time.sleep(PAUSE_S)
            try:
                receipt = transact(
                    engine,
                    lambda work: slowly(
                        ordering.submit_offer(auction, OFFER, participant=f"agg-{number}", now=NOON, work=work)
                    ),
                )
            except GateClosed:
                return
            acknowledged.add(receipt.offer.id)

    cleared: list[Case] = []

    def kept(case: Case, options: Options) -> Result:
        cleared.append(case)
        return clear(case, options)

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(submit, number) for number in range(WRITERS)]
        begun.wait()
        time.sleep(0.3)
        try:
            assert clear_auction(auction, now=GATE, engine=engine, clear=kept).state == "published"
        except BaseException:
            over.set()  # or its writers would be waited for without an end
            raise
        for each in writers:
            each.result()
    (case,) = cleared
    return acknowledged, {offer.id for offer in case.offers}


def slowly(receipt: Any) -> Any:
    """Between the check of the gate and the commit: the time in which an offer can slip by."""
    time.sleep(0.01)
    return receipt


def test_eight_writers_and_a_gate_lose_no_offer_and_slip_none_by(engine: Engine) -> None:
    acknowledged, cleared = race(engine)

    assert cleared == acknowledged
    assert len(cleared) >= WRITERS


def test_without_the_row_lock_offers_are_acknowledged_that_are_not_cleared(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: with the lock taken away, some of a few races go wrong."""
    locked = Auctions.get

    def unlocked(self: Auctions, auction: str, *, lock: str | None = None) -> Auction:
        return locked(self, auction)

    monkeypatch.setattr(Auctions, "get", unlocked)
    engine = open_engine(postgres_url)
    try:
        migrate(engine)
        set_up(engine)
        lost = 0
        for _ in range(5):
            acknowledged, cleared = race(engine)
            lost += len(acknowledged - cleared)
    finally:
        engine.dispose()
    assert lost > 0


def workers(engine: Engine, count: int, clear: Callable[[Case, Options], Result]) -> list[Auction]:
    """What `count` workers clear, each until nothing is due."""

    def work(_: int) -> list[Auction]:
        worker, done = Worker.new(clear), []
        while (auction := clear_next(worker, now=GATE, engine=engine)) is not None:
            done.append(auction)
        return done

    with ThreadPoolExecutor(count) as pool:
        return [auction for done in pool.map(work, range(count)) for auction in done]


def test_three_workers_clear_six_auctions_each_once(engine: Engine) -> None:
    auctions = [opened(engine).id for _ in range(6)]
    cleared: list[str] = []

    def counted(case: Case, options: Options) -> Result:
        cleared.append(case.name)
        return clear(case, options)

    done = workers(engine, 3, counted)

    assert sorted(each.id for each in done) == sorted(cleared) == sorted(auctions)
    assert {each.state for each in done} == {"published"}


def test_a_worker_that_was_thought_dead_cannot_publish(engine: Engine) -> None:
    """Its lease runs out while it computes (its heart does not beat); another clears; what it brings is refused."""
    auction = opened(engine).id
    hashes: list[str] = []

    def hangs_while_another_clears(case: Case, options: Options) -> Result:
        result = clear(case, options)
        transact(engine, lambda work: work.jobs.release(auction, worker=slow.name, rest=timedelta(0)))
        other = Worker.new(clear)
        assert clear_next(other, now=GATE, engine=engine) is not None
        hashes.append(result.input_sha256)
        return result

    slow = Worker.new(hangs_while_another_clears)
    with pytest.raises(LeaseLost):
        clear_next(slow, now=GATE, engine=engine)

    with UnitOfWork(engine) as work:
        outcome = work.auctions.published(auction)
        assert outcome is not None
        assert (outcome.version, outcome.result.input_sha256) == (1, hashes[0])


def test_a_heartbeat_holds_an_auction_for_longer_than_one_lease(engine: Engine) -> None:
    auction = opened(engine).id

    def longer_than_a_lease(case: Case, options: Options) -> Result:
        time.sleep(1.0)
        with UnitOfWork(engine) as work:
            assert work.jobs.claim_due(GATE, worker="other", lease=timedelta(seconds=1)) is None
        return clear(case, options)

    worker = Worker.new(longer_than_a_lease, lease=timedelta(seconds=0.4))
    done = clear_next(worker, now=GATE, engine=engine)
    assert done is not None and (done.id, done.state) == (auction, "published")
