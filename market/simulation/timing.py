"""Where the time of a run goes: seconds of the machine by what they were spent on."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import httpx

Seconds: TypeAlias = dict[str, float]

MARKET: Final = "HTTP and store"
"""Inside of what agents do on the market, and of settling."""


class Stopwatch:
    """Adds up what the parts of a run take; what is measured within another part is taken off it."""

    def __init__(self) -> None:
        """At zero."""
        self._spent = defaultdict[str, float](float)
        self._inner = [0.0]

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count the block's time as this part."""
        started = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self._spent[part] += took - self._inner.pop()
            self._inner[-1] += took

    def taken(self) -> Seconds:
        """What has been counted, and from zero again."""
        found = {name: round(seconds, 6) for name, seconds in sorted(self._spent.items())}
        self._spent.clear()
        return found


class TimedTransport(httpx.AsyncBaseTransport):
    """Counts what answers of a market take."""

    def __init__(self, inner: httpx.AsyncBaseTransport, watch: Stopwatch) -> None:
        """Around another transport."""
        self._inner, self._watch = inner, watch

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx."""
        with self._watch.timed(MARKET):
            return await self._inner.handle_async_request(request)


def total(parts: Iterable[Seconds]) -> Seconds:
    """Of several, by what it was spent on."""
    found = defaultdict[str, float](float)
    for each in parts:
        for name, seconds in each.items():
            found[name] += seconds
    return {name: round(seconds, 6) for name, seconds in sorted(found.items())}
