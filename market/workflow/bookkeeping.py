"""Settlement by itself: what is due is settled, and what more is known of is corrected."""

from typing import Final

from sqlalchemy import Engine

from market.clock import Clock
from market.errors import FlexmarketError
from market.logs import log
from market.repeating import Step, logged
from market.workflow.settling import due_corrections, due_settlements, settle_auction, take_corrections

_LOOKS_EVERY_S: Final = 30.0
_STEPS: Final = ((due_settlements, settle_auction), (due_corrections, take_corrections))


def watching_settlements(*, clock: Clock, engine: Engine) -> Step:
    """Settle and correct what is due.

    Any number of processes may do so: each step locks its auction, and the second finds nothing left to do.
    """

    def settle() -> bool:
        for due, step in _STEPS:
            for auction in due(now=clock.now(), engine=engine):
                with logged(f"settling {auction}"):
                    try:
                        step(auction, now=clock.now(), engine=engine)
                    except FlexmarketError as refusal:
                        log.warning("not settled", auction=auction, reason=str(refusal))
        return False

    return Step("settlements", settle, rest_s=_LOOKS_EVERY_S)
