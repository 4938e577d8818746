"""A served market that is killed again and again while eight clients submit: what did they hear, and what is there?"""

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from api_spec.auction import AuctionTerms
from api_spec.client import MarketClient, MarketUnreachable
from api_spec.metering import BaselineNomination, BusPower
from api_spec.organisation import Credentials, OrganisationTerms
from api_spec.period import MarketPeriod
from api_spec.product import Product
from market.clock import SystemClock
from market.store import UnitOfWork, migrate, open_engine
from market.workflow.identity import bootstrap_operator
from tests.integration.test_gates import NETWORK, OFFER

WRITERS = 8
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Soaked:
    """How it ended. acknowledged, stored : ids of offers, in order; equal where nothing was lost or doubled."""

    kills: int
    acknowledged: tuple[str, ...]
    stored: tuple[str, ...]


class KilledMarket:
    """A server process on one port that is killed and started again."""

    def __init__(self, database_url: str) -> None:
        """Choose a port; the server is started by `start`."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._environment = {
            **os.environ,
            "FLEXMARKET_DATABASE_URL": database_url,
            "FLEXMARKET_PORT": str(self._port),
        }
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "market", "serve"],
            cwd=_ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            time.sleep(0.02)
        raise AssertionError("the server did not come up")

    def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def killed_market(database_url: str) -> Iterator[KilledMarket]:
    """A running market to be killed; ended with the block."""
    market = KilledMarket(database_url)
    try:
        market.start()
        yield market
    finally:
        market.kill()


def soak(database_url: str, *, kills: int, seed: int) -> Soaked:
    """Kill a market `kills` times at random instants while eight clients submit offers as fast as they can."""
    engine = open_engine(database_url)
    try:
        migrate(engine)
        operator = bootstrap_operator("operator", engine=engine, clock=SystemClock())
        with killed_market(database_url) as market:
            auction, acknowledged = asyncio.run(_soaked(market, operator, kills, random.Random(seed)))
        with UnitOfWork(engine, reading=True) as work:
            stored = [each.offer.id for each in work.orders.offers(auction)]
    finally:
        engine.dispose()
    return Soaked(kills, tuple(sorted(acknowledged)), tuple(sorted(stored)))


async def _soaked(
    market: KilledMarket, operator: Credentials, kills: int, chance: random.Random
) -> tuple[str, list[str]]:
    async with contextlib.AsyncExitStack() as stack:
        admin = await stack.enter_async_context(MarketClient(market.url, operator))
        clients = []
        for name, role in [("grid", "dso"), *((f"agg-{number}", "aggregator") for number in range(WRITERS))]:
            terms = OrganisationTerms.model_validate({"name": name, "role": role})
            account = await admin.register_organisation(terms)
            clients.append(await stack.enter_async_context(MarketClient(market.url, account)))
        dso, *aggregators = clients
        await dso.register_network(NETWORK)
        now = datetime.now(UTC)
        opening = AuctionTerms(
            network=NETWORK.name,
            product=Product(name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100)),
            delivery=MarketPeriod(start=now + timedelta(days=2), resolution=timedelta(hours=1), count=1),
            gate_closure=now + timedelta(days=1),
        )
        auction = (await dso.open_auction(opening)).id
        for client in aggregators:
            await client.nominate_baseline(auction, BaselineNomination(buses=(BusPower(bus="far", power_w=(2000,)),)))
        over = asyncio.Event()
        writing = [asyncio.create_task(_write(client, auction, over)) for client in aggregators]
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.1, 1.0))
            await asyncio.to_thread(market.kill)
            await asyncio.to_thread(market.start)
        await asyncio.sleep(0.5)
        over.set()
        return auction, [offer for done in await asyncio.gather(*writing) for offer in done]


async def _write(client: MarketClient, auction: str, over: asyncio.Event) -> list[str]:
    """Submit until it is over; what was not answered is sent again under its key until it is."""
    acknowledged, number = [], 0
    while not over.is_set():
        number += 1
        receipt = None
        while receipt is None:
            with contextlib.suppress(MarketUnreachable):
                receipt = await client.submit_offer(auction, OFFER, key=f"key-{number}")
        acknowledged.append(receipt.offer.id)
    return acknowledged
