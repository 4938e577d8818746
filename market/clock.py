"""What time it is for the market: the machine's clock, or a simulation's."""

import threading
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where workflow steps get their `now` from; aware, in UTC."""

    def now(self) -> datetime:
        """The present instant."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant."""
        return datetime.now(UTC)


class SimulatedClock:
    """A clock that a simulation moves; safe to read from other threads. It never goes back."""

    def __init__(self, start: datetime) -> None:
        """Begin at `start`, an aware time."""
        self._lock = threading.Lock()
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The present instant."""
        with self._lock:
            return self._now

    def advance_to(self, instant: datetime) -> None:
        """Move to an instant; ValueError for one that has passed."""
        with self._lock:
            if instant < self._now:
                raise ValueError(f"the clock stands at {self._now.isoformat()} and does not go back")
            self._now = instant.astimezone(UTC)
