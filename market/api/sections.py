"""Groups of routes that see at a glance whether a path may be theirs.

FastAPI asks one group after the other, and each of its routes, twice for every request: of an application with a
hundred routes that is a fifth of what a short answer takes.
"""

from functools import cached_property
from typing import Final, TypeAlias

from fastapi import APIRouter
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

VERSION: Final = "/v1"
"""Before the path of every route of a section."""
_Shape: TypeAlias = tuple[int | str, ...]
"""How many parts a path has, and what does not depend on whose it is: its first part and its third."""


class Section(APIRouter):
    """Routes below VERSION, such as /auctions/{auction}/offers: what is named stands second, if at all."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As FastAPI's, which asks route by route, where some route has a path of this shape."""
        if (
            scope["type"] == "http"
            and _shape(scope["path"].removeprefix(scope.get("root_path", ""))) not in self._shapes
        ):
            return Match.NONE, {}
        return super().matches(scope)

    @cached_property
    def _shapes(self) -> frozenset[_Shape]:
        return frozenset(map(_shape_of_route, self.routes))


def _shape_of_route(route: BaseRoute) -> _Shape:
    """ValueError for a path with a name in another place."""
    path: str = getattr(route, "path", "")
    shape = _shape(VERSION + path)
    if ":path}" in path or any("{" in str(part) for part in shape):
        raise ValueError(f"{path}: what is named in a section's routes stands second, or after the third part")
    return shape


def _shape(path: str) -> _Shape:
    parts = path.split("/")
    return len(parts), *parts[2:5:2]
