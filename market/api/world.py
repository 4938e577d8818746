"""What the routes stand on: settings, clock and database of one running market."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlalchemy import Engine

from market.api.feed import Feed
from market.api.tokens import Tokens
from market.api.waiting import ALONE
from market.clearing.watched import Clearing
from market.clock import Clock
from market.ids import NewId
from market.settings import Settings
from market.store import UnitOfWork, transact
from market.store.writer import BatchWriter
from market.workflow.hashing import HASHING, Hashing

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """One market.

    tokens : its issuer of access tokens. new_id : where identifiers come from. clear : how auctions are cleared.
    writer : of everything that is posted. feed : what its event streams share. hashing : of secrets of organisations.
    """

    settings: Settings
    clock: Clock
    engine: Engine
    tokens: Tokens
    new_id: NewId
    clear: Clearing
    writer: BatchWriter
    feed: Feed
    hashing: Hashing = HASHING

    def reading(self) -> UnitOfWork:
        """A transaction that only reads."""
        return UnitOfWork(self.engine, reading=True)

    def write(self, step: Callable[[UnitOfWork], T]) -> T:
        """Run a step in a transaction, and return what it returns once that is durable; Overloaded."""
        # Who is alone has nobody to share a commit with.
        return transact(self.engine, step) if ALONE.get() else self.writer.write(step)


def world_of(request: Request) -> World:
    """The market that a request came to."""
    world: World = request.app.state.world
    return world


async def _world(request: Request) -> World:
    return world_of(request)


WorldOf = Annotated[World, Depends(_world)]
