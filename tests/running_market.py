"""A market on loopback: the real application under a real server, with a clock that the test moves."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from api_spec.organisation import Credentials
from market.api.app import create_app
from market.api.serving import serving
from market.clock import SimulatedClock
from market.settings import Settings
from market.store import migrate, open_engine
from market.workflow.hashing import CHEAP
from market.workflow.identity import bootstrap_operator
from tests.templates import migrated_sqlite


@dataclass(frozen=True)
class RunningMarket:
    """Where it listens, its clock, and its operator's credentials."""

    url: str
    clock: SimulatedClock
    operator: Credentials


@contextlib.contextmanager
def running_market(
    folder: Path,
    *,
    now: datetime,
    watch_gates: bool = False,
    send_webhooks: bool = False,
    settings: Settings | None = None,
    database_url: str | None = None,
) -> Iterator[RunningMarket]:
    """Serve a new market from an empty database, or from a file in `folder`; secrets of its organisations are cheap."""
    file = folder / "market.db"
    if database_url is None and not file.exists():
        file.write_bytes(migrated_sqlite())
    engine = open_engine(database_url or f"sqlite:///{file}")
    try:
        migrate(engine)
        clock = SimulatedClock(now)
        operator = bootstrap_operator("operator", engine=engine, clock=clock, hashing=CHEAP)
        api = create_app(
            settings or Settings(),
            clock=clock,
            engine=engine,
            watch_gates=watch_gates,
            send_webhooks=send_webhooks,
            hashing=CHEAP,
        )
        with serving(api) as url:
            yield RunningMarket(url, clock, operator)
    finally:
        engine.dispose()
