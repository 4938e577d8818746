"""The events of each step of an auction's life, each with those who may hear of it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from api_spec.award import Award
from api_spec.events import (
    AuctionClosed,
    AuctionFailed,
    AuctionOpened,
    AuctionPublished,
    AuctionSettled,
    AwardMade,
    Event,
    ReadingReceived,
    RequestSubmitted,
    RequestWithdrawn,
    StatementIssued,
)
from api_spec.metering import Reading
from api_spec.organisation import Organisation
from api_spec.settlement import Statement
from market.ids import random_id

EVERYBODY: Final = "everybody"
OPERATORS: Final = "operators"


@dataclass(frozen=True)
class Notice:
    """An event and its audience: EVERYBODY, OPERATORS, or the id of one organisation."""

    event: Event
    audience: str


def audiences_of(who: Organisation | None) -> tuple[str, ...]:
    """The audiences that an organisation belongs to; None = a visitor without an account."""
    if who is None:
        return (EVERYBODY,)
    return (EVERYBODY, who.id, OPERATORS) if who.role == "operator" else (EVERYBODY, who.id)


def opened(auction: str, *, now: datetime) -> list[Notice]:
    """An auction was opened."""
    return [Notice(AuctionOpened(type="auction.opened", id=_id(), auction=auction, occurred_at=now), EVERYBODY)]


def requested(auction: str, request: str, *, now: datetime) -> list[Notice]:
    """A request came into the book."""
    event = RequestSubmitted(type="request.submitted", id=_id(), auction=auction, occurred_at=now, request=request)
    return [Notice(event, EVERYBODY)]


def request_withdrawn(auction: str, request: str, *, now: datetime) -> list[Notice]:
    """A request left the book."""
    event = RequestWithdrawn(type="request.withdrawn", id=_id(), auction=auction, occurred_at=now, request=request)
    return [Notice(event, EVERYBODY)]


def closed(auction: str, *, now: datetime) -> list[Notice]:
    """The gate closed."""
    return [Notice(AuctionClosed(type="auction.closed", id=_id(), auction=auction, occurred_at=now), EVERYBODY)]


def published(auction: str, awards: Iterable[Award], *, now: datetime) -> list[Notice]:
    """A result was published: to everybody, then to each participant with an award its own offers."""
    offers: dict[str, list[str]] = defaultdict(list)
    for award in awards:
        offers[award.participant].append(award.offer)
    event = AuctionPublished(type="auction.published", id=_id(), auction=auction, occurred_at=now)
    made = [
        Notice(AwardMade(type="award.made", id=_id(), auction=auction, occurred_at=now, offers=tuple(own)), participant)
        for participant, own in sorted(offers.items())
    ]
    return [Notice(event, EVERYBODY), *made]


def failed(auction: str, *, now: datetime) -> list[Notice]:
    """Clearing failed."""
    return [Notice(AuctionFailed(type="auction.failed", id=_id(), auction=auction, occurred_at=now), EVERYBODY)]


def metered(reading: Reading) -> list[Notice]:
    """Meter readings came in."""
    event = ReadingReceived(
        type="reading.received",
        id=_id(),
        auction=reading.auction,
        occurred_at=reading.received_at,
        participant=reading.participant,
        version=reading.version,
    )
    return [Notice(event, OPERATORS)]


def settled(auction: str, statements: Iterable[Statement], *, now: datetime) -> list[Notice]:
    """An auction was settled: to everybody, then to each participant that it has a statement."""
    event = AuctionSettled(type="auction.settled", id=_id(), auction=auction, occurred_at=now)
    return [Notice(event, EVERYBODY), *corrected(auction, statements, now=now)]


def corrected(auction: str, statements: Iterable[Statement], *, now: datetime) -> list[Notice]:
    """Statements were issued: to each participant its own."""
    return [
        Notice(
            StatementIssued(type="statement.issued", id=_id(), auction=auction, occurred_at=now, version=each.version),
            each.participant,
        )
        for each in statements
    ]


def _id() -> str:
    # Never from a simulation's seed: there, ids of offers break ties, and telling of something must not change them.
    return random_id("evt")
