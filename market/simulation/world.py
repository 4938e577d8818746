"""The world of a simulation: a real market within this process, in virtual time, and the scenario's agents on it."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import httpx
from pydantic import ValidationError
from sqlalchemy import Engine

from api_spec.client import MarketClient
from api_spec.defects import defects_of, unknown
from api_spec.grid import Network
from api_spec.known_keys import with_nearest
from api_spec.organisation import Credentials, OrganisationTerms
from market.api.app import create_app
from market.api.inside import BASE_URL, inside
from market.clock import SimulatedClock
from market.errors import FlexmarketError
from market.ids import SeededIds
from market.settings import Settings
from market.simulation.participant import HasConnections, Participant, participant_class, table_type
from market.simulation.scenario import BadScenario, Scenario
from market.simulation.timing import Stopwatch, TimedTransport
from market.store import migrate, open_engine
from market.workflow.hashing import CHEAP
from market.workflow.identity import bootstrap_operator

DATABASE: Final = "market.db"


@dataclass(frozen=True)
class Market:
    """A running market without anybody on it.

    transport : how clients reach it, at `market.api.inside.BASE_URL`. engine : of its database.
    """

    transport: httpx.AsyncBaseTransport
    engine: Engine
    clock: SimulatedClock
    ids: SeededIds


@dataclass(frozen=True)
class World:
    """A running market and who takes part in it.

    accounts : the operator's, and those of participants. participants, clients, accounts : by the name of the scenario;
    a client sees what its organisation may see.
    """

    market: Market
    operator: MarketClient
    operator_account: Credentials
    participants: Mapping[str, Participant]
    clients: Mapping[str, MarketClient]
    accounts: Mapping[str, Credentials]

    @property
    def engine(self) -> Engine:
        """Of the market's database."""
        return self.market.engine

    @property
    def clock(self) -> SimulatedClock:
        """The market's."""
        return self.market.clock


@contextlib.asynccontextmanager
async def market_on(
    file: Path, *, clock: SimulatedClock, ids: SeededIds, settings: Settings, watch: Stopwatch
) -> AsyncIterator[Market]:
    """Run a market on a database file, new or old, in this process. watch : counts what its answers take."""
    with _database(file) as engine:
        # The simulation says when gates close: a watcher on the machine's clock would make runs differ.
        api = create_app(
            settings,
            clock=clock,
            engine=engine,
            watch_gates=False,
            send_webhooks=False,
            new_id=ids,
            hashing=CHEAP,
        )
        async with inside(api) as transport:
            yield Market(TimedTransport(transport, watch), engine, clock, ids)


@contextlib.asynccontextmanager
async def world_of(
    scenario: Scenario, *, folder: Path, settings: Settings, watch: Stopwatch | None = None
) -> AsyncIterator[World]:
    """Run a new market on `folder`/DATABASE, register every organisation and build its agent.

    watch : counts what the market's answers take. Raises BadScenario for an agent that does not exist, before anything
    is started.
    """
    classes = {name: participant_class(entry.agent) for name, entry in scenario.agents.items()}
    network = scenario.around().network if scenario.knows_network else None
    clock, ids = SimulatedClock(scenario.begins), SeededIds(scenario.seed)
    async with contextlib.AsyncExitStack() as stack:
        market = await stack.enter_async_context(
            market_on(folder / DATABASE, clock=clock, ids=ids, settings=settings, watch=watch or Stopwatch())
        )
        account = bootstrap_operator("operator", engine=market.engine, clock=clock, hashing=CHEAP)
        operator = await _client(market, account, stack)
        accounts = {
            name: await operator.register_organisation(OrganisationTerms(name=name, role=entry.role))
            for name, entry in scenario.agents.items()
        }
        clients = {name: await _client(market, own, stack) for name, own in accounts.items()}
        participants = {name: built_agent(classes[name], client, scenario, name) for name, client in clients.items()}
        if network is not None:
            _refuse_strangers(participants, network)
        yield World(market, operator, account, participants, clients, accounts)


@contextlib.asynccontextmanager
async def resumed_world(
    file: Path,
    *,
    clock: SimulatedClock,
    ids: SeededIds,
    settings: Settings,
    watch: Stopwatch,
    operator: Credentials,
    accounts: Mapping[str, Credentials],
) -> AsyncIterator[World]:
    """Run the market of an earlier world on its database; who takes part in it is still to be said."""
    async with contextlib.AsyncExitStack() as stack:
        market = await stack.enter_async_context(market_on(file, clock=clock, ids=ids, settings=settings, watch=watch))
        clients = {name: await _client(market, own, stack) for name, own in accounts.items()}
        yield World(market, await _client(market, operator, stack), operator, {}, clients, accounts)


def built_agent(agent: type[Participant], client: MarketClient, scenario: Scenario, name: str) -> Participant:
    """The agent of the scenario's table for it; BadScenario says what is wrong at which key."""
    table = scenario.table_of(name)
    try:
        return agent.build(client, table)
    except ValidationError as failure:
        read_as = table_type(scenario.agents[name].agent)
        defects = defects_of(failure, table)
        lines = [
            f"agents.{name}.config{each.pointer.replace('/', '.')}: {each.reason}"
            for each in (defects if read_as is None else with_nearest(defects, read_as))
        ]
        raise BadScenario("\n".join(lines)) from failure
    except (ValueError, OSError, FlexmarketError) as failure:
        lines = str(failure).splitlines() or [type(failure).__name__]
        raise BadScenario("\n".join(f"agents.{name}: {line}" for line in lines)) from failure


def _refuse_strangers(participants: Mapping[str, Participant], network: Network) -> None:
    """Raise BadScenario for connections at buses that are not there."""
    buses, where = network.bus_ids, f'on network "{network.name}"'
    connected = {name: each.connections() for name, each in participants.items() if isinstance(each, HasConnections)}
    lines = [
        f"agents.{name}: {unknown('bus', bus, buses, where)}"
        for name, own in connected.items()
        for bus in own
        if bus not in buses
    ]
    if lines:
        raise BadScenario("\n".join(lines))


async def _client(market: Market, account: Credentials, stack: contextlib.AsyncExitStack) -> MarketClient:
    client = MarketClient(BASE_URL, account, transport=market.transport)
    return await stack.enter_async_context(client)


@contextlib.contextmanager
def _database(file: Path) -> Iterator[Engine]:
    new = not file.exists()
    if new:
        file.write_bytes(_migrated())
    engine = open_engine(f"sqlite:///{file}", durable=False)
    try:
        if not new:
            migrate(engine)
        yield engine
    finally:
        engine.dispose()


@cache
def _migrated() -> bytes:
    """A database without anything in it: made once in a process, since that takes as long as some hours of a market."""
    with tempfile.TemporaryDirectory(prefix="flexmarket-") as folder:
        file = Path(folder) / DATABASE
        engine = open_engine(f"sqlite:///{file}", durable=False)
        migrate(engine)
        engine.dispose()
        return file.read_bytes()
