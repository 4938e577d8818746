"""The world of a simulation: a real market within this process, in virtual time, and the scenario's agents on it."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import httpx
from pydantic import ValidationError
from sqlalchemy import Engine

from api_spec.client import MarketClient
from api_spec.defects import defects_of
from api_spec.organisation import OrganisationTerms
from market.api.app import create_app
from market.api.inside import BASE_URL, inside
from market.clock import SimulatedClock
from market.errors import FlexmarketError
from market.ids import seeded_ids
from market.settings import Settings
from market.simulation.participant import Participant, participant_class
from market.simulation.scenario import BadScenario, Scenario
from market.store import migrate, open_engine
from market.workflow.identity import bootstrap_operator

DATABASE: Final = "market.db"


@dataclass(frozen=True)
class World:
    """A running market and who takes part in it.

    transport : how clients reach the market, at `market.api.inside.BASE_URL`.
    participants, clients : by the name of the scenario; a client sees what its organisation may see. engine : of the
    market's database.
    """

    transport: httpx.AsyncBaseTransport
    engine: Engine
    clock: SimulatedClock
    operator: MarketClient
    participants: Mapping[str, Participant]
    clients: Mapping[str, MarketClient]


@contextlib.asynccontextmanager
async def world_of(scenario: Scenario, *, folder: Path, settings: Settings) -> AsyncIterator[World]:
    """Run a new market on `folder`/DATABASE, register every organisation and build its agent.

    BadScenario for an agent that does not exist, before anything is started.
    """
    classes = {name: participant_class(entry.agent) for name, entry in scenario.agents.items()}
    clock = SimulatedClock(scenario.begins)
    async with contextlib.AsyncExitStack() as stack:
        engine = stack.enter_context(_database(folder / DATABASE))
        credentials = bootstrap_operator("operator", engine=engine, clock=clock)
        # The simulation says when gates close: a watcher on the machine's clock would make runs differ.
        api = create_app(
            settings,
            clock=clock,
            engine=engine,
            watch_gates=False,
            send_webhooks=False,
            new_id=seeded_ids(scenario.seed),
        )
        transport = await stack.enter_async_context(inside(api))
        operator = await stack.enter_async_context(MarketClient(BASE_URL, credentials, transport=transport))
        participants: dict[str, Participant] = {}
        clients: dict[str, MarketClient] = {}
        for name, entry in scenario.agents.items():
            account = await operator.register_organisation(OrganisationTerms(name=name, role=entry.role))
            client = await stack.enter_async_context(MarketClient(BASE_URL, account, transport=transport))
            clients[name] = client
            participants[name] = built_agent(classes[name], client, scenario, name)
        yield World(transport, engine, clock, operator, MappingProxyType(participants), MappingProxyType(clients))


def built_agent(agent: type[Participant], client: MarketClient, scenario: Scenario, name: str) -> Participant:
    """The agent of the scenario's table for it; BadScenario says what is wrong at which key."""
    table = scenario.table_of(name)
    try:
        return agent.build(client, table)
    except ValidationError as failure:
        lines = [
            f"agents.{name}.config{each.pointer.replace('/', '.')}: {each.reason}"
            for each in defects_of(failure, table)
        ]
        raise BadScenario("\n".join(lines)) from failure
    except (ValueError, OSError, FlexmarketError) as failure:
        raise BadScenario(f"agents.{name}: {failure}") from failure


@contextlib.contextmanager
def _database(file: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{file}", durable=False)
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()
