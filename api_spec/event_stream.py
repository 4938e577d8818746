"""Reading a text/event-stream (HTML Living Standard, 9.2.6): lines to messages."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import NamedTuple


class StreamMessage(NamedTuple):
    """One message. name : its type; id : what to resume after, once it is read; empty `data` announces only an id."""

    name: str
    data: str
    id: str | None


async def messages(lines: AsyncIterable[str]) -> AsyncIterator[StreamMessage]:
    """Messages of a stream, in order; comments and what was not sent to its end are passed over."""
    name, data, last = "message", list[str](), None
    async for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data or last is not None:
                yield StreamMessage(name, "\n".join(data), last)
            name, data, last = "message", [], None
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            last = value
