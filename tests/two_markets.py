"""A market of two DSOs, with an open, a delivered and a settled auction each, to see who reaches what.

`north` and `south` are streets of one cable. In the auctions of the first DSO two aggregators take part, `homes` and
`parking`; in those of the second a third one, so that there is something to be reached. Everybody has two clients, a
webhook with something on its way, and whatever else has an id: see `tests/belongings.py`.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pydantic import TypeAdapter
from sqlalchemy import Engine

from api_spec.auction import AuctionTerms
from api_spec.case import Injection
from api_spec.client import MarketClient
from api_spec.flexibility import AnyOfferTerms, AnyRequestTerms
from api_spec.grid import Network
from api_spec.metering import BaselineNomination, BusPower, Forecast, ReadingTerms
from api_spec.organisation import ClientTerms, Credentials, OrganisationTerms, Role, Scope
from api_spec.period import MarketPeriod
from api_spec.product import Product
from market.api.app import create_app
from market.api.serving import serving
from market.api.tokens import Tokens
from market.clock import SimulatedClock
from market.settings import Settings
from market.store import UnitOfWork, migrate, open_engine
from market.workflow.auditing import build_log
from market.workflow.hashing import CHEAP
from market.workflow.identity import bootstrap_operator
from tests.belongings import NETWORKS, after_clearing, after_settlement, at_last, before_auctions
from tests.small_cases import Document, bus, line

NOON: Final = datetime(2026, 1, 14, 12, tzinfo=UTC)
DAY: Final = timedelta(days=1)
NOW: Final = NOON + 2 * DAY
SETTINGS: Final = Settings(token_ttl=timedelta(days=30), clearing_limit=None, webhooks_allow_private=True)
DATABASE: Final = "market.db"
KEYS: Final = f"{DATABASE}.key"
"""What its secrets are sealed with, beside it."""
DELIVERED: Final = NOON + DAY + timedelta(hours=4)
Phase: TypeAlias = Literal["open", "delivered", "settled"]

MOST_PAID: Final = "787.313131"
LIMIT: Final[Document] = {
    "kind": "capacity",
    "element": "cable",
    "import_limit_w": 20_000,
    "max_price_eur_per_mwh": MOST_PAID,
}
OFFER: Final[Document] = {
    "kind": "curve",
    "bus": "far",
    "steps": [{"power_w": [-9_000, -9_000], "price_eur_per_mwh": 120}],
}


DAY_AHEAD: Final = Product(name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100))


def street(name: str) -> Document:
    """28 and 24 kW will flow through its cable."""
    cable = line("cable", "s", "far", r_ohm=0.0, x_ohm=0.001)
    return {"name": name, "phases": 1, "source": {"bus": "s"}, "buses": [bus("s"), bus("far")], "lines": [cable]}


def auction_terms(network: str, *, begins: datetime, product: Product = DAY_AHEAD) -> Document:
    """Two hours from `begins`; the gate closes 12 hours before."""
    delivery = MarketPeriod(start=begins, resolution=timedelta(hours=1), count=2)
    terms = AuctionTerms(network=network, product=product, delivery=delivery, gate_closure=begins - DAY / 2)
    return terms.model_dump(mode="json", exclude_unset=True)


@dataclass(frozen=True)
class Party:
    """One organisation. spare : its second client.

    owns : a kind of id, and which of it is its own; "offer delivered" is the one in the auction of that phase.
    """

    role: Role
    organisation: str
    client: str
    spare: str
    owns: Mapping[str, str]


@dataclass(frozen=True)
class TwoMarkets:
    """What stands in the database of `folder`. auctions : of the first and of the second DSO, by phase."""

    folder: Path
    parties: Mapping[str, Party]
    auctions: Mapping[Phase, tuple[str, str]]

    def token(self, engine: Engine, party: str, scopes: frozenset[Scope], *, now: datetime = NOW) -> str:
        """An access token for some scopes."""
        with UnitOfWork(engine) as work:
            login = work.identities.login(self.parties[party].client)
        assert login is not None
        issuer = Tokens(engine, SimulatedClock(now), ttl=SETTINGS.token_ttl, issuer="urn:flexmarket:market")
        return issuer.issue(login, scopes).access_token


def build(folder: Path) -> TwoMarkets:
    """Play it, over HTTP."""
    engine = open_engine(f"sqlite:///{folder / DATABASE}")
    migrate(engine)
    clock = SimulatedClock(NOON)
    operator = bootstrap_operator("first operator", engine=engine, clock=clock, hashing=CHEAP)
    try:
        app = create_app(SETTINGS, clock=clock, engine=engine, watch_gates=False, send_webhooks=False, hashing=CHEAP)
        with serving(app) as url:
            return asyncio.run(_played(folder, url, clock, engine, operator))
    finally:
        engine.dispose()


async def _played(
    folder: Path, url: str, clock: SimulatedClock, engine: Engine, credentials: Credentials
) -> TwoMarkets:
    names: dict[str, Role] = {"grid": "dso", "other grid": "dso", "homes": "aggregator", "parking": "aggregator"}
    names |= {"elsewhere": "aggregator", "second operator": "operator"}
    async with AsyncExitStack() as stack:
        operator = await stack.enter_async_context(MarketClient(url, credentials))
        clients, logins = {"operator": operator}, {"operator": credentials.client_id}
        for name, role in names.items():
            account = await operator.register_organisation(OrganisationTerms(name=name, role=role))
            clients[name] = await stack.enter_async_context(MarketClient(url, account))
            logins[name] = account.client_id
        auctions: dict[Phase, tuple[str, str]] = {}
        owns: dict[str, dict[str, str]] = {name: {} for name in clients}
        for dso, network in NETWORKS.items():
            await clients[dso].register_network(Network.model_validate(street(network)))
            owns[dso]["network"] = network
        owns["operator"]["network"] = owns["second operator"]["network"] = "north"
        await before_auctions(clients, owns, now=NOON)
        reserved = await _auctions(clients, owns, begins=DELIVERED, reserving=True)
        auctions["settled"] = await _auctions(clients, owns, begins=NOON + DAY, phase="settled")
        auctions["delivered"] = await _auctions(clients, owns, begins=DELIVERED, phase="delivered")
        clock.advance_to(DELIVERED - DAY / 2)
        for each in (*reserved, *auctions["settled"], *auctions["delivered"]):
            assert (await operator.clear(each)).state == "published"
        await after_clearing(clients, owns)
        clock.advance_to(NOW)
        await _settle(clients, auctions["settled"], start=NOON + DAY)
        await after_settlement(clients, owns, auctions["settled"], start=NOON + DAY)
        build_log(now=NOW, engine=engine)
        auctions["open"] = await _auctions(clients, owns, begins=NOW + DAY, phase="open")
        build_log(now=NOW, engine=engine)
        await at_last(clients, owns)
        parties = {
            name: Party(
                role=(me := await client.me()).role,
                organisation=me.id,
                client=logins[name],
                spare=(await client.add_client(me.id, ClientTerms(name="spare"))).client_id,
                owns=owns[name],
            )
            for name, client in clients.items()
        }
    return TwoMarkets(folder, parties, auctions)


async def _auctions(
    clients: Mapping[str, MarketClient],
    owns: Mapping[str, dict[str, str]],
    *,
    begins: datetime,
    phase: Phase | None = None,
    reserving: bool = False,
) -> tuple[str, str]:
    """An auction of each DSO: 14 kW forecast, 20 kW asked for, and offers; their ids are kept in `owns`."""
    opened = []
    for dso, network, fleets in (
        ("grid", "north", {"homes": (10_000, 10_000), "parking": (4_000, 4_000)}),
        ("other grid", "south", {"elsewhere": (14_000, 14_000)}),
    ):
        terms = AuctionTerms.model_validate(auction_terms(network, begins=begins))
        if reserving:
            terms = terms.model_copy(update={"product": f"reserve_{network}"})
        auction = (await clients[dso].open_auction(terms)).id
        load = Injection(bus="far", p_w=(14_000, 14_000), q_var=(0, 0))
        await clients[dso].submit_forecast(auction, Forecast(injections=(load,)))
        request = await clients[dso].submit_request(auction, _read(AnyRequestTerms, LIMIT))
        owns[dso][f"request {phase}"] = request.request.id
        for name, power_w in fleets.items():
            await clients[name].nominate_baseline(auction, BaselineNomination(buses=far(*power_w)))
            offer = await clients[name].submit_offer(auction, _read(AnyOfferTerms, OFFER))
            owns[name][f"offer {phase}"] = offer.offer.id
        opened.append(auction)
    return opened[0], opened[1]


async def _settle(clients: Mapping[str, MarketClient], auctions: tuple[str, str], *, start: datetime) -> None:
    reading = ReadingTerms(start=start, buses=far(2_000, 2_000))
    for auction, names in zip(auctions, (("homes", "parking"), ("elsewhere",)), strict=True):
        for name in names:
            await clients[name].submit_reading(auction, reading)
        await clients["operator"].settle(auction)


def far(*power_w: int) -> tuple[BusPower, ...]:
    """Consumption at the far end [W]."""
    return (BusPower(bus="far", power_w=power_w),)


def _read(kind: Any, document: Document) -> Any:
    return TypeAdapter(kind).validate_python(document)
