"""When a delivery is tried again, and when it is given up: the schedule that Standard Webhooks 1.0 recommends."""

from datetime import datetime, timedelta
from typing import Final

PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""After the first, the second, ... failed attempt; after one more there is no other: about three days in all."""
_JITTER: Final = 0.2


def next_attempt(failed: int, *, now: datetime, luck: float) -> datetime | None:
    """When to try again after `failed` attempts in a row, the last one now; None = give up.

    luck : 0 to 1, drawn anew each time; lengthens the pause by up to a fifth, so that what failed together is not
    repeated together.
    """
    if failed > len(PAUSES):
        return None
    return now + PAUSES[failed - 1] * (1 + _JITTER * luck)
