"""Events as they happen (text/event-stream)."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import Depends, Header

from market.api.auth import OrderReader
from market.api.feed import Feed
from market.api.intake import StrictRoute
from market.api.sections import Section
from market.api.streaming import EventStream, Reader, stream_of
from market.api.world import WorldOf
from market.notices.story import audiences_of

router = Section(route_class=StrictRoute)
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Events, each with its type, id and document"}
}


async def _seat(who: OrderReader, world: WorldOf) -> AsyncIterator[Feed]:
    async with world.feed.seat(who.id):
        yield world.feed


@router.get("/events", status_code=200, response_class=EventStream, responses=_STREAM)
async def events(
    who: OrderReader,
    world: WorldOf,
    feed: Annotated[Feed, Depends(_seat)],
    last: Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)] = None,
) -> EventStream:
    """What the caller may hear of, from now on or after Last-Event-ID ("start" = from the first event).

    A stream ends when an access token would; go on after its last id with a new one. An event that is too old to be
    kept, or was never the caller's to hear, answers 404: begin at "start", and read the rest over the API.
    """
    life_s = world.settings.token_ttl.total_seconds()
    return await stream_of(feed, Reader(audiences_of(who), None, last), engine=world.engine, life_s=life_s)
