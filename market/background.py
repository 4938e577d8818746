"""What a market does by itself, in every process that serves or works: nothing is done by one kind of process only.

Any number of processes may do it over one database. Whoever finds something due takes it under a lock or a lease, and
the others find nothing left to do; where one is killed, another takes it up.
"""

import contextlib
from collections.abc import AsyncIterator, Callable

from sqlalchemy import Engine

from market.clearing.watched import Clearing
from market.clock import Clock
from market.push.sender import sending
from market.repeating import repeated
from market.settings import Settings
from market.workflow.bookkeeping import watching_settlements
from market.workflow.forgetting import forgetting_events
from market.workflow.gatekeeping import watching_gates
from market.workflow.logkeeping import keeping_log


@contextlib.asynccontextmanager
async def looked_after(
    settings: Settings, *, clock: Clock, engine: Engine, clear: Clearing
) -> AsyncIterator[Callable[[], bool]]:
    """Clear, match, settle and build the audit log while the block runs; gives whether all of it is looked after."""
    with repeated(
        *watching_gates(clear, clock=clock, engine=engine, at_once=settings.clearings_at_once),
        watching_settlements(clock=clock, engine=engine),
        keeping_log(clock=clock, engine=engine),
    ) as alive:
        yield alive


@contextlib.asynccontextmanager
async def told(settings: Settings, *, clock: Clock, engine: Engine) -> AsyncIterator[None]:
    """Send what is due to webhooks, and forget what was told long ago, while the block runs."""
    forgetting = forgetting_events(after=settings.events_kept_for, clock=clock, engine=engine)
    async with sending(engine=engine, clock=clock, allow_private=settings.webhooks_allow_private):
        with repeated(forgetting):
            yield
