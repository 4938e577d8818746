"""Who listens: open event streams of this process, counted, and woken when the outbox has grown.

One query at a time looks for growth, however many listen. Every process of the market does so for its own streams, and
so it does not matter which one wrote the event.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import structlog
from sqlalchemy import Engine

from market.errors import TooManyStreams
from market.store import UnitOfWork

log = structlog.get_logger()

MOST_STREAMS: Final = 500
MOST_PER_READER: Final = 10


class Feed:
    """What the streams of one process share. end : place of the newest event; closed : whether the market ends."""

    def __init__(self, engine: Engine, *, every_s: float = 0.5, most: int = MOST_STREAMS) -> None:
        """Nothing is asked of the database before somebody listens. every_s : how often it is asked then."""
        self._engine, self._every_s, self._most = engine, every_s, most
        self._seats: Counter[str] = Counter()
        self._grown = asyncio.Condition()
        self._watch: asyncio.Task[None] | None = None
        self.end, self.closed = 0, False

    @contextlib.asynccontextmanager
    async def seat(self, reader: str, *, most: int = MOST_PER_READER) -> AsyncIterator[None]:
        """Listen as `reader`, who may have at most so many streams at once; TooManyStreams."""
        if self._seats[reader] >= most or self._seats.total() >= self._most:
            raise TooManyStreams("too many event streams are open; close one, or come back later")
        self._seats[reader] += 1
        if self._watch is None:
            self._watch = asyncio.create_task(self._follow(), name="outbox")
        try:
            yield
        finally:
            self._seats[reader] -= 1
            self._seats += Counter()  # forgets readers without a stream
            if not self._seats and self._watch is not None:
                self._watch.cancel()
                self._watch = None

    async def beyond(self, place: int, *, patience_s: float) -> None:
        """Wait until the outbox reaches beyond `place`, patience is over, or the market ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._grown:
                await self._grown.wait_for(lambda: self.closed or self.end > place)

    async def close(self) -> None:
        """Let every stream end: the server goes down, and their readers are to come back to another."""
        self.closed = True
        async with self._grown:
            self._grown.notify_all()

    async def _follow(self) -> None:
        while True:
            try:
                end = await asyncio.to_thread(self._read_end)
            except Exception as failure:  # the database may be away for a while; streams wait, and lose nothing
                log.error("interrupted", what="looking for events", error=type(failure).__name__)
            else:
                if end > self.end:
                    self.end = end
                    async with self._grown:
                        self._grown.notify_all()
            await asyncio.sleep(self._every_s)

    def _read_end(self) -> int:
        with UnitOfWork(self._engine, reading=True) as work:
            return work.outbox.end()
