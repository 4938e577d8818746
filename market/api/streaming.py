"""Server-sent events (HTML Living Standard, 9.2): a reader's own part of the outbox, from where it stopped reading."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy import Engine
from starlette.types import Message, Send

from market.api.feed import Feed
from market.store import UnitOfWork
from market.store.outbox import Told

HEARTBEAT_S: Final = 15.0
_PATIENCE_S: Final = 30.0
_COME_BACK_MS: Final = 2000
_PAGE: Final = 100


class EventStream(StreamingResponse):
    """A stream of events that ends where its reader does not read on."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        """Of encoded events."""
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def stream_response(self, send: Send) -> None:
        """Send what comes; a reader who takes too long to take it is cut off, and can resume."""

        async def in_time(message: Message) -> None:
            async with asyncio.timeout(_PATIENCE_S):
                await send(message)

        try:
            await super().stream_response(in_time)
        except TimeoutError:
            return


@dataclass(frozen=True)
class Reader:
    """Who reads what: events for some audiences, of one auction or of all. last : id of the last one that it has."""

    audiences: tuple[str, ...]
    auction: str | None = None
    last: str | None = None


async def stream_of(feed: Feed, reader: Reader, *, engine: Engine, life_s: float) -> EventStream:
    """Events after the reader's last one, or from now on, for `life_s` at most; NotFound for one that is not its own.

    Begins with the id to resume from, so that a reader who is cut off before its first event misses nothing either.
    """
    place, last = await asyncio.to_thread(_start, engine, reader)
    return EventStream(_events(feed, reader, engine, place, last, life_s))


async def _events(
    feed: Feed, reader: Reader, engine: Engine, place: int, last: str, life_s: float
) -> AsyncIterator[bytes]:
    yield format_sse_event(id=last, retry=_COME_BACK_MS)
    ends, beat = time.monotonic() + life_s, time.monotonic() + HEARTBEAT_S
    while not feed.closed and time.monotonic() < ends:
        end = feed.end
        told = await asyncio.to_thread(_read, engine, reader, place)
        for each in told:
            yield format_sse_event(event=each.event.type, data_str=each.event.model_dump_json(), id=each.event.id)
            place, beat = each.place, time.monotonic() + HEARTBEAT_S
        if len(told) == _PAGE:
            continue
        place = max(place, end)
        await feed.beyond(place, patience_s=min(beat, ends) - time.monotonic())
        # By its own clock: what is told to others must not show in when this stream's heart beats.
        if time.monotonic() >= beat:
            yield KEEPALIVE_COMMENT
            beat = time.monotonic() + HEARTBEAT_S


def _start(engine: Engine, reader: Reader) -> tuple[int, str]:
    with UnitOfWork(engine, reading=True) as work:
        if reader.last is None:
            return work.outbox.newest(reader.audiences)
        return work.outbox.place(reader.last, reader.audiences), reader.last


def _read(engine: Engine, reader: Reader, place: int) -> list[Told]:
    with UnitOfWork(engine, reading=True) as work:
        return work.outbox.after(place, reader.audiences, auction=reader.auction, limit=_PAGE)
