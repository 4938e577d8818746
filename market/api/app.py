"""The market's HTTP application."""

import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version

from fastapi import FastAPI
from sqlalchemy import Engine

from market import clearing
from market.api import problems
from market.api.intake import BodyLimit, CrowdLimit
from market.api.pages import elsewhere, pages
from market.api.routes import auctions, audit, identity, orders, outcome
from market.api.tokens import Tokens
from market.api.world import World
from market.clearing.watched import Clearing
from market.clock import Clock
from market.ids import NewId, random_id
from market.settings import Settings
from market.store.writer import BatchWriter
from market.workflow.gatekeeping import watched_gates
from market.workflow.logkeeping import kept_log


def create_app(
    settings: Settings,
    *,
    clock: Clock,
    engine: Engine,
    clear: Clearing = clearing.clear,
    watch_gates: bool = True,
    new_id: NewId = random_id,
) -> FastAPI:
    """The application over a migrated database.

    watch_gates : close gates and clear when their time has come, and build the audit log.
    """
    tokens = Tokens(clock, settings.token_ttl)
    world = World(settings, clock, engine, tokens, new_id, clear, BatchWriter(engine, waiting=settings.most_waiting))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with contextlib.ExitStack() as running:
            running.enter_context(world.writer)
            if watch_gates:
                at_once = settings.clearings_at_once
                running.enter_context(watched_gates(clear, clock=clock, engine=engine, at_once=at_once))
                running.enter_context(kept_log(clock=clock, engine=engine))
            yield

    # FastAPI's own pages of the API load from other hosts, so they are off; openapi.json is served.
    app = FastAPI(title="flexmarket", version=version("flexmarket"), docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.world = world
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(CrowdLimit, most=settings.most_at_once)
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
