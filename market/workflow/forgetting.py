"""Events that were told long ago are forgotten, with what was sent of them."""

from datetime import timedelta
from typing import Final

from sqlalchemy import Engine

from market.clock import Clock
from market.repeating import Step
from market.store import UnitOfWork

LOT: Final = 500
"""Events that are forgotten at once, so that nobody waits for long."""
_LOOKS_EVERY_S: Final = 600.0
_BETWEEN_LOTS_S: Final = 0.1


def forgetting_events(*, after: timedelta, clock: Clock, engine: Engine) -> Step:
    """Forget, lot by lot, events that are older than `after`; any number of processes may do so."""

    def forget() -> bool:
        with UnitOfWork(engine) as work:
            forgotten = work.outbox.forget(clock.now() - after, most=LOT)
            work.commit()
        return forgotten == LOT

    return Step("old events", forget, rest_s=_LOOKS_EVERY_S, breath_s=_BETWEEN_LOTS_S)
