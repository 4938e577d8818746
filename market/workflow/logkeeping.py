"""The audit log of a running market: new leaves are taken into it outside of every request."""

from typing import Final

from sqlalchemy import Engine

from market.clock import Clock
from market.repeating import Step
from market.workflow.auditing import build_log

_LOOKS_EVERY_S: Final = 1.0
_BETWEEN_LOTS_S: Final = 0.1
"""For requests: SQLite does not serve those who wait for its lock in their order."""


def keeping_log(*, clock: Clock, engine: Engine) -> Step:
    """Build the log. What is not built in when the market ends is at the next start.

    Any number of processes may do so: whoever builds holds the log's lock.
    """
    return Step(
        "audit log",
        lambda: build_log(now=clock.now(), engine=engine) is not None,
        rest_s=_LOOKS_EVERY_S,
        breath_s=_BETWEEN_LOTS_S,
    )
