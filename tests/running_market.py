"""A market on loopback: the real application under a real server, with a clock that the test moves."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import uvicorn

from api_spec.organisation import Credentials
from market.api.app import create_app
from market.clock import SimulatedClock
from market.settings import Settings
from market.store import migrate, open_engine
from market.workflow.identity import bootstrap_operator


@dataclass(frozen=True)
class RunningMarket:
    """Where it listens, its clock, and its operator's credentials."""

    url: str
    clock: SimulatedClock
    operator: Credentials


@contextlib.contextmanager
def running_market(
    folder: Path, *, now: datetime, watch_gates: bool = False, settings: Settings | None = None
) -> Iterator[RunningMarket]:
    """Serve a new market from a database in `folder`."""
    engine = open_engine(f"sqlite:///{folder / 'market.db'}")
    migrate(engine)
    clock = SimulatedClock(now)
    operator = bootstrap_operator("operator", engine=engine, clock=clock)
    api = create_app(settings or Settings(), clock=clock, engine=engine, watch_gates=watch_gates)
    server = uvicorn.Server(uvicorn.Config(api, log_level="warning"))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield RunningMarket(f"http://127.0.0.1:{listening.getsockname()[1]}", clock, operator)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        engine.dispose()
