"""The world of a simulation: a real market on loopback in virtual time, and the scenario's agents connected to it."""

import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import uvicorn

from api_spec.client import MarketClient
from api_spec.organisation import Credentials, OrganisationTerms
from market.api.app import create_app
from market.clock import SimulatedClock
from market.errors import FlexmarketError
from market.settings import Settings
from market.simulation.participant import Participant, participant_class
from market.simulation.scenario import Scenario
from market.store import migrate, open_engine
from market.workflow.identity import bootstrap_operator

_START_TIMEOUT_S: Final = 30.0


class MarketDidNotStart(FlexmarketError):
    """The simulation's server did not come up."""


@dataclass(frozen=True)
class World:
    """A running market and who takes part in it; participants by the name of the scenario."""

    url: str
    clock: SimulatedClock
    operator: MarketClient
    participants: Mapping[str, Participant]


@contextlib.asynccontextmanager
async def world_of(scenario: Scenario, *, folder: Path, settings: Settings) -> AsyncIterator[World]:
    """Serve a new market from `folder`/market.db, register every organisation and build its agent.

    BadScenario for an agent that does not exist, before anything is started.
    """
    classes = {name: participant_class(entry.agent) for name, entry in scenario.agents.items()}
    clock = SimulatedClock(scenario.begins)
    async with contextlib.AsyncExitStack() as stack:
        url, credentials = stack.enter_context(_served(folder / "market.db", clock=clock, settings=settings))
        operator = await stack.enter_async_context(MarketClient(url, credentials))
        participants: dict[str, Participant] = {}
        for name, entry in scenario.agents.items():
            account = await operator.register_organisation(OrganisationTerms(name=name, role=entry.role))
            client = await stack.enter_async_context(MarketClient(url, account))
            participants[name] = classes[name].build(client, entry.config)
        yield World(url, clock, operator, MappingProxyType(participants))


@contextlib.contextmanager
def _served(database: Path, *, clock: SimulatedClock, settings: Settings) -> Iterator[tuple[str, Credentials]]:
    """The market's own application under its own server, in a thread, on a free port of loopback."""
    engine = open_engine(f"sqlite:///{database}")
    try:
        migrate(engine)
        credentials = bootstrap_operator("operator", engine=engine, clock=clock)
        # The simulation says when gates close: a watcher on the machine's clock would make runs differ.
        api = create_app(settings, clock=clock, engine=engine, watch_gates=False)
        server = uvicorn.Server(uvicorn.Config(api, log_level="warning"))
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="market")
            thread.start()
            try:
                _await_start(server, thread)
                yield f"http://127.0.0.1:{listening.getsockname()[1]}", credentials
            finally:
                server.should_exit = True
                thread.join()
    finally:
        engine.dispose()


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise MarketDidNotStart("the simulation's market did not start")
        time.sleep(0.01)
