"""The market's HTTP application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from sqlalchemy import Engine

from market.api import problems
from market.api.intake import BodyLimit
from market.api.pages import elsewhere, pages
from market.api.routes import auctions, audit, identity, orders, outcome
from market.api.tokens import Tokens
from market.api.world import World
from market.clock import Clock
from market.ids import NewId, random_id
from market.settings import Settings
from market.workflow.auditing import build_log
from market.workflow.clearing import clear_auction, due_auctions

log = structlog.get_logger()


def create_app(
    settings: Settings, *, clock: Clock, engine: Engine, watch_gates: bool = True, new_id: NewId = random_id
) -> FastAPI:
    """The application over a migrated database.

    watch_gates : close gates and clear when their time has come, and build the audit log.
    """
    world = World(settings, clock, engine, Tokens(clock, settings.token_ttl), new_id)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(each(world)) for each in (_watch_gates, _build_log) if watch_gates]
        yield
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # FastAPI's own pages of the API load from other hosts, so they are off; openapi.json is served.
    app = FastAPI(title="flexmarket", version=version("flexmarket"), docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.world = world
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    problems.install(app)
    app.include_router(identity.tokens)
    for router in (identity.router, auctions.router, orders.router, outcome.router, audit.router):
        app.include_router(router, prefix="/v1")
    app.include_router(pages)

    @app.get("/health")
    def health() -> dict[str, str]:
        """Whether the market answers."""
        return {"status": "ok"}

    app.include_router(elsewhere)
    return app


async def _watch_gates(world: World, *, every_s: float = 1.0) -> None:
    """Clear what is due; an auction whose clearing was interrupted is taken up again in the next round."""
    while True:
        with _logged("looking for due auctions"):
            for auction in await asyncio.to_thread(due_auctions, now=world.clock.now(), engine=world.engine):
                with _logged(f"clearing {auction}"):
                    await asyncio.to_thread(
                        clear_auction, auction, now=world.clock.now(), engine=world.engine, clear=world.clearing
                    )
        await asyncio.sleep(every_s)


async def _build_log(world: World, *, every_s: float = 1.0, between_lots_s: float = 0.1) -> None:
    """Take new leaves into the audit log, one lot after the other; what is missed is there in the next round.

    The pause between lots is for requests: SQLite does not serve those who wait for its lock in their order.
    """
    while True:
        built = None
        with _logged("building the audit log"):
            built = await asyncio.to_thread(build_log, now=world.clock.now(), engine=world.engine)
        await asyncio.sleep(every_s if built is None else between_lots_s)


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log what goes wrong, and go on: no failure of one auction may stop the others."""
    try:
        yield
    except Exception as failure:
        log.error("interrupted", what=what, error=type(failure).__name__, exc_info=failure)
