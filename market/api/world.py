"""What the routes stand on: settings, clock and database of one running market."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine

from market.api.feed import Feed
from market.api.tokens import Tokens
from market.clock import Clock
from market.ids import NewId
from market.settings import Settings
from market.workflow.clearing import Clearing, clearing_within


@dataclass(frozen=True)
class World:
    """One market. tokens : its issuer of access tokens. new_id : where identifiers come from. feed : its streams."""

    settings: Settings
    clock: Clock
    engine: Engine
    tokens: Tokens
    new_id: NewId
    feed: Feed

    @property
    def clearing(self) -> Clearing:
        """How auctions are cleared here."""
        return clearing_within(self.settings.clearing_limit)


def _world(request: Request) -> World:
    world: World = request.app.state.world
    return world


WorldOf = Annotated[World, Depends(_world)]
