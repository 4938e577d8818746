"""Several processes over one database: real servers and workers, and what happens when one is killed."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
from pydantic import TypeAdapter
from sqlalchemy import Engine

from api_spec.auction import Auction, AuctionState, AuctionTerms
from api_spec.case import Injection
from api_spec.client import MarketClient, MarketRefused, MarketUnreachable
from api_spec.events import EVENT
from api_spec.flexibility import AnyOfferTerms, AnyRequestTerms
from api_spec.metering import BaselineNomination, BusPower, Forecast, ReadingTerms
from api_spec.organisation import Credentials, OrganisationTerms
from api_spec.period import MarketPeriod
from api_spec.problem import ProblemType
from api_spec.product import Product
from api_spec.webhooks import WebhookTerms
from market.store import UnitOfWork, migrate, open_engine
from market.workflow.auditing import verify_log
from tests.integration.test_gates import opened, set_up
from tests.receiver import Receiver
from tests.street_network import STREET
from tests.waiting import until

FLEXMARKET = str(Path(sys.executable).with_name("flexmarket"))
SMALL: AnyOfferTerms = TypeAdapter(AnyOfferTerms).validate_python(
    {"bus": "far", "kind": "curve", "steps": [{"power_w": [-100], "price_eur_per_mwh": 120}]}
)
LIMIT: AnyRequestTerms = TypeAdapter(AnyRequestTerms).validate_python(
    {"kind": "capacity", "element": "l1", "import_limit_w": 20_000, "max_price_eur_per_mwh": 800}
)


@contextlib.contextmanager
def process(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process of the market, ended with the block."""
    # Nobody reads what it tells; a pipe that is full would make it wait.
    settings = {"LOG_LEVEL": "warning", **environment}
    running = subprocess.Popen(
        command,
        env={**os.environ, **{f"FLEXMARKET_{name}": value for name, value in settings.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
        running.communicate(timeout=30)


def served_at(server: subprocess.Popen[str]) -> str:
    """Where a server says that it listens."""
    assert server.stdout is not None
    line = server.stdout.readline()
    found = re.search(r"http://[0-9.]+:\d+", line)
    assert found, line
    return found[0]


def test_sqlite_refuses_a_second_worker_and_says_what_to_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'market.db'}"
    with process(FLEXMARKET, "serve", DATABASE_URL=url, PORT="0") as first:
        served_at(first)
        for command in ("serve", "work"):
            with process(FLEXMARKET, command, DATABASE_URL=url, PORT="0") as second:
                _, told = second.communicate(timeout=30)
            assert second.returncode == 1
            assert "is served by another process" in told
            assert "FLEXMARKET_DATABASE_URL=postgresql://" in told
        first.send_signal(signal.SIGKILL)
        first.wait()
        with process(FLEXMARKET, "serve", DATABASE_URL=url, PORT="0") as third:
            assert served_at(third), "a killed process holds nothing"


def test_workers_beside_each_other_clear_everything_once(postgres_url: str) -> None:
    """Two clearing workers and no server; five auctions whose gates have closed long ago."""
    engine = open_engine(postgres_url)
    try:
        migrate(engine)
        set_up(engine)
        auctions = [opened(engine).id for _ in range(5)]
        worker = {"DATABASE_URL": postgres_url, "CLEARINGS_AT_ONCE": "2"}
        with process(FLEXMARKET, "work", **worker), process(FLEXMARKET, "work", **worker):
            until(lambda: versions(engine, auctions) == [1] * 5, within_s=90, what="five published auctions")
    finally:
        engine.dispose()


def versions(engine: Engine, auctions: list[str]) -> list[int | None]:
    """Version of each published result; None where there is none."""
    with UnitOfWork(engine, reading=True) as work:
        outcomes = [work.auctions.published(each) for each in auctions]
    return [None if each is None else each.version for each in outcomes]


def test_an_unreachable_cluster_is_told_at_the_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'market.db'}"
    with process(FLEXMARKET, "serve", DATABASE_URL=url, PORT="0", CLUSTER="tcp://127.0.0.1:9") as server:
        _, told = server.communicate(timeout=60)
    assert server.returncode == 1
    assert "the cluster at tcp://127.0.0.1:9 cannot clear: its scheduler does not answer" in told


async def test_a_market_of_several_processes_loses_nothing_when_one_is_killed(postgres_url: str) -> None:
    """Two servers, one of which is killed while offers come in, and a worker: one book, cleared once, all told.

    4 kW are asked for; each offer is of 100 W at 120 EUR/MWh and rests on its own nominated kilowatt.
    """
    operator, environment = created_operator(postgres_url), {"DATABASE_URL": postgres_url, "PORT": "0"}
    async with Receiver() as receiver, contextlib.AsyncExitStack() as open_clients:
        private = {**environment, "WEBHOOKS_ALLOW_PRIVATE": "1"}
        servers = [open_clients.enter_context(process(FLEXMARKET, "serve", **private)) for _ in range(2)]
        worker = open_clients.enter_context(process(FLEXMARKET, "work", **private))
        urls = [served_at(each) for each in servers]

        async def client(server: int, credentials: Credentials) -> MarketClient:
            return await open_clients.enter_async_context(MarketClient(urls[server], credentials))

        operators = [await client(server, operator) for server in (0, 1)]
        dso = await client(1, await operators[1].register_organisation(OrganisationTerms(name="Grid", role="dso")))
        lot = await operators[0].register_organisation(OrganisationTerms(name="Lot", role="aggregator"))
        doors = [await client(0, lot), await client(1, lot)]
        await doors[1].create_webhook(WebhookTerms(url=receiver.url, types=("auction.published", "auction.settled")))

        # A token that one gave out is believed by the other.
        token = await doors[0]._bearer()
        async with httpx.AsyncClient(base_url=urls[1]) as other:
            assert (await other.get("/v1/organisations/me", headers=token)).json()["id"] == lot.organisation

        auction = await an_auction(dso, closes_in=timedelta(seconds=9))
        await doors[0].nominate_baseline(auction.id, BaselineNomination(buses=drawn(10_000)))
        acknowledged: set[str] = set()

        async def offer_until_the_gate(door: MarketClient) -> None:
            while True:
                try:
                    acknowledged.add((await door.submit_offer(auction.id, SMALL)).offer.id)
                except MarketRefused as refusal:
                    assert refusal.problem.kind is ProblemType.GATE_CLOSED
                    return
                except MarketUnreachable:
                    return
                await asyncio.sleep(0.05)

        offering = [asyncio.create_task(offer_until_the_gate(door)) for door in doors]
        await asyncio.sleep(2)
        through_both = len(acknowledged)
        servers[0].send_signal(signal.SIGKILL)
        await asyncio.gather(*offering)
        assert through_both > 10 and len(acknowledged) > through_both, "before the kill, and after it"

        await until_state(operators[1], auction.id, "published")
        result = await operators[1].result(auction.id)
        cleared = {each.id for each in result.offers}
        assert acknowledged <= cleared, "an offer whose answer the kill cut off may be in the book, too"
        assert result.version == 1
        accepted_w = -sum(sum(each.power_w) for each in result.offers)
        needed_w = min(4_000, 100 * len(cleared))
        assert needed_w - len(cleared) < accepted_w <= needed_w, "equal asks share; each share is a whole watt"

        # The rest is done without anybody who serves: by the worker alone.
        await asyncio.sleep(max(0.0, (auction.delivery.end - datetime.now(UTC)).total_seconds()) + 1.0)
        await doors[1].submit_reading(auction.id, ReadingTerms(start=auction.delivery.start, buses=drawn(6_000)))
        servers[1].send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(servers[1].wait, 30) == 0
        engine = open_engine(postgres_url)
        try:
            await asyncio.to_thread(until, lambda: settled_and_logged(engine, auction.id), within_s=90, what="the rest")
            assert verify_log(engine=engine).findings == ()
            assert len(set(versions(engine, [auction.id]))) == 1
        finally:
            engine.dispose()
        await asyncio.to_thread(until, lambda: len(receiver.received) >= 2, within_s=30, what="two webhooks")
        told = [EVENT.validate_json(each.body).type for each in receiver.received]
        assert told == ["auction.published", "auction.settled"]
        assert worker.poll() is None


async def an_auction(dso: MarketClient, *, closes_in: timedelta) -> Auction:
    """One second of delivery on a street behind 20 kW, of which a load and the nominated baseline take 24."""
    await dso.register_network(STREET)
    gate = datetime.now(UTC) + closes_in
    terms = AuctionTerms(
        network=STREET.name,
        product=Product(name="now", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100)),
        delivery=MarketPeriod(start=gate, resolution=timedelta(seconds=1), count=1),
        gate_closure=gate,
    )
    auction = await dso.open_auction(terms)
    load = Injection(bus="far", p_w=(14_000,), q_var=(0,))
    await dso.submit_forecast(auction.id, Forecast(injections=(load,)))
    await dso.submit_request(auction.id, LIMIT)
    return auction


def created_operator(url: str) -> Credentials:
    """The first operator of a market, as the command makes it."""
    with process(FLEXMARKET, "operator", "create", "Operator", DATABASE_URL=url) as made:
        printed, _ = made.communicate(timeout=60)
    return Credentials.model_validate_json(printed)


def drawn(power_w: int) -> tuple[BusPower, ...]:
    return (BusPower(bus="far", power_w=(power_w,)),)


async def until_state(operator: MarketClient, auction: str, state: AuctionState) -> None:
    async with asyncio.timeout(60):
        while (await operator.auction(auction)).state != state:
            await asyncio.sleep(0.2)


def settled_and_logged(engine: Engine, auction: str) -> bool:
    """Whether an auction is settled, and no leaf waits for the audit log."""
    with UnitOfWork(engine, reading=True) as work:
        return work.auctions.get(auction).state == "settled" and not work.audit.pending(1)
