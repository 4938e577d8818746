"""The market's HTTP application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from sqlalchemy import Engine

from market.api import problems
from market.api.feed import Feed
from market.api.intake import BodyLimit
from market.api.pages import elsewhere, pages
from market.api.routes import auctions, events, identity, orders, outcome, webhooks
from market.api.tokens import Tokens
from market.api.world import World
from market.clock import Clock
from market.ids import NewId, random_id
from market.push.calling import Caller
from market.push.sender import Sender
from market.settings import Settings
from market.workflow.clearing import clear_auction, due_auctions

log = structlog.get_logger()


def create_app(
    settings: Settings,
    *,
    clock: Clock,
    engine: Engine,
    watch_gates: bool = True,
    send_webhooks: bool = True,
    new_id: NewId = random_id,
) -> FastAPI:
    """The application over a migrated database.

    watch_gates : close gates and clear when their time has come. send_webhooks : send what is due to webhooks.
    """
    world = World(settings, clock, engine, Tokens(clock, settings.token_ttl), new_id, Feed(engine))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_watch_gates(world))] if watch_gates else []
        tasks += [asyncio.create_task(_send_webhooks(world))] if send_webhooks else []
        yield
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # FastAPI's own pages of the API load from other hosts, so they are off; openapi.json is served.
    app = FastAPI(title="flexmarket", version=version("flexmarket"), docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.world = world
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    problems.install(app)
    app.include_router(identity.tokens)
    for router in (identity.router, auctions.router, orders.router, outcome.router, webhooks.router, events.router):
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


async def _send_webhooks(world: World) -> None:
    async with Caller(allow_private=world.settings.webhooks_allow_private) as caller:
        await Sender(world.engine, world.clock, caller).run()


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log what goes wrong, and go on: no failure of one auction may stop the others."""
    try:
        yield
    except Exception as failure:
        log.error("interrupted", what=what, error=type(failure).__name__, exc_info=failure)
