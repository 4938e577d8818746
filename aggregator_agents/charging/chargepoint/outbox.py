"""What a charge point still has to tell: in order, one message at a time, and nothing of a transaction is lost."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from aggregator_agents.charging.chargepoint.clock import Clock
from aggregator_agents.charging.chargepoint.dialect import Dialect
from aggregator_agents.charging.chargepoint.events import OF_TRANSACTIONS, Event, What
from aggregator_agents.charging.ocpp.link import Link, Refused

_MOST: Final = 10_000
_ATTEMPTS: Final = 3
"""How often a message of a transaction is told to somebody who answers with an error (TransactionMessageAttempts)."""


class Outbox:
    """Events of one device."""

    def __init__(self, dialect: Dialect, clock: Clock, offline: Callable[[], bool]) -> None:
        """Empty. offline : whether there is no connection now."""
        self._dialect, self._clock, self._offline = dialect, clock, offline
        self._events: deque[tuple[Event, bool]] = deque()
        self._more = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """Tell this when its turn comes; of too many the oldest sample is given up."""
        if len(self._events) >= _MOST:
            self._events.remove(next((each for each in self._events if each[0].what is What.SAMPLED), self._events[0]))
        self._events.append((event, self._offline()))
        self._more.set()

    def forget(self, what: What) -> list[Event]:
        """Take out all of one kind."""
        found = [event for event, _ in self._events if event.what is what]
        kept = [each for each in self._events if each[0].what is not what]
        self._events.clear()
        self._events.extend(kept)
        return found

    async def deliver(self, link: Link) -> None:
        """Tell everything over a connection, for as long as it lasts. Raises Unanswered."""
        attempts = 0
        while True:
            while not self._events:
                self._more.clear()
                await self._more.wait()
            event, offline = self._events[0]
            request = self._dialect.message(event, offline=offline)
            if request is not None:
                try:
                    answer = await link.call(request)
                except Refused:
                    attempts += 1
                    if event.what in OF_TRANSACTIONS and attempts < _ATTEMPTS:
                        await self._clock.sleep(1.0)
                        continue
                else:
                    self._dialect.answered(event, answer, self._clock.time())
            attempts = 0
            if self._events and self._events[0][0] is event:
                self._events.popleft()
