"""What the routes stand on: settings, clock and database of one running market."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlalchemy import Engine

from market.api.feed import Feed
from market.api.tokens import Tokens
from market.clearing.watched import Clearing
from market.clock import Clock
from market.ids import NewId
from market.settings import Settings
from market.store import UnitOfWork
from market.store.writer import BatchWriter

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """One market.

    tokens : its issuer of access tokens. new_id : where identifiers come from. clear : how auctions are cleared.
    writer : of everything that is posted. feed : what its event streams share.
    """

    settings: Settings
    clock: Clock
    engine: Engine
    tokens: Tokens
    new_id: NewId
    clear: Clearing
    writer: BatchWriter
    feed: Feed

    def reading(self) -> UnitOfWork:
        """A transaction that only reads."""
        return UnitOfWork(self.engine, reading=True)

    def write(self, step: Callable[[UnitOfWork], T]) -> T:
        """Run a step in a transaction, and return what it returns once that is durable; Overloaded."""
        return self.writer.write(step)


async def _world(request: Request) -> World:
    world: World = request.app.state.world
    return world


WorldOf = Annotated[World, Depends(_world)]
