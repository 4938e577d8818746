"""The state machine of an auction: open -> closed -> clearing -> published -> settled, or -> failed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from api_spec.auction import Auction, AuctionState, AuctionTerms
from market.errors import GateClosed, GateNotOpen, GateStillOpen, WrongState

NEXT: Final[Mapping[AuctionState, frozenset[AuctionState]]] = {
    "open": frozenset({"closed"}),
    "closed": frozenset({"clearing"}),
    "clearing": frozenset({"published", "failed"}),
    "published": frozenset({"settled"}),
    "settled": frozenset(),
    "failed": frozenset(),
}


def moved(auction: Auction, to: AuctionState, *, now: datetime, failure: str | None = None) -> Auction:
    """The auction in its next state, with the time it came there.

    Raises WrongState where the machine has no such step, GateStillOpen for closing before gate closure.
    """
    if to not in NEXT[auction.state]:
        raise WrongState(auction.id, auction.state, to)
    if to == "closed" and now < auction.gate_closure:
        raise GateStillOpen(auction.id, auction.gate_closure)
    when = {"closed": "closed_at", "published": "published_at", "settled": "settled_at"}
    stamp = {when[to]: now} if to in when else {}
    return auction.model_copy(update={"state": to, "failure": failure, **stamp})


def gate_opens(terms: AuctionTerms) -> datetime | None:
    """When the product lets orders in first; None = from the beginning."""
    ahead = terms.product.opens_before
    return None if ahead is None else terms.delivery.start - ahead


def require_open(auction: Auction, *, now: datetime) -> None:
    """Raise GateNotOpen or GateClosed where orders cannot change: by state, or by the market's clock."""
    opens = gate_opens(auction)
    if opens is not None and now < opens:
        raise GateNotOpen(auction.id, opens)
    require_before_closure(auction, now=now)


def require_before_closure(auction: Auction, *, now: datetime) -> None:
    """Raise GateClosed where the gate has closed, or its time has come."""
    if auction.state != "open":
        raise GateClosed(auction.id, auction.closed_at or auction.gate_closure)
    if now >= auction.gate_closure:
        raise GateClosed(auction.id, auction.gate_closure)
