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
from market.workflow.clearing import clearing_within

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """One market.

    tokens : its issuer of access tokens. new_id : where identifiers come from. writer : of everything that is posted.
    feed : what its event streams share.
    """

    settings: Settings
    clock: Clock
    engine: Engine
    tokens: Tokens
    new_id: NewId
    writer: BatchWriter
    feed: Feed

    @property
    def clearing(self) -> Clearing:
        """How auctions are cleared here."""
        return clearing_within(self.settings.clearing_limit)

    def write(self, step: Callable[[UnitOfWork], T]) -> T:
        """Run a step in a transaction, and return what it returns once that is durable; Overloaded."""
        return self.writer.write(step)


def _world(request: Request) -> World:
    world: World = request.app.state.world
    return world


WorldOf = Annotated[World, Depends(_world)]
