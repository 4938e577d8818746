"""The time of an emulated charge point: monotonic seconds and the wall clock, as fast as wanted."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple


class Time(NamedTuple):
    """An instant on both clocks: monotonic seconds, and the wall clock as the central system set it."""

    now_s: float
    now: datetime


class Clock:
    """Both clocks of a charge point."""

    def __init__(self, speed: float = 1.0) -> None:
        """Now. speed : how many seconds pass here in one second; at 1 `now_s` is the machine's monotonic clock."""
        self._speed = speed
        self._start_s, self._start = time.monotonic(), datetime.now(UTC)

    def time(self) -> Time:
        """Now; the wall clock goes on from how it was set last, whatever happens to the machine's."""
        elapsed_s = (time.monotonic() - self._start_s) * self._speed
        return Time(self._start_s + elapsed_s, self._start + timedelta(seconds=elapsed_s))

    def set(self, now: datetime) -> None:
        """Set the wall clock, as the central system says; one that runs faster goes its own way."""
        if self._speed == 1.0:
            self._start += now - self.time().now

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of this clock."""
        await asyncio.sleep(max(0.0, seconds) / self._speed)

    def real_s(self, seconds: float) -> float:
        """How long so many seconds of this clock last on the machine [s]."""
        return seconds / self._speed
