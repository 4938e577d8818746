"""What the market tells by webhook and by server-sent events: that something happened, never its values.

An event names what changed. Whoever may read the change reads it over the API, so that an event that goes astray gives
nothing away. Ids are random, and neither an event nor a stream counts anything: from what one organisation is told,
nothing can be learnt of what others do.
"""

from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import Field, TypeAdapter

from api_spec.ids import AuctionId, Identifier, OfferId, OrganisationId, RequestId
from api_spec.period import Instant
from api_spec.units import Count, Message

EventId = Identifier


class _Happened(Message):
    """Something that happened in an auction. id : the same however often the event is sent."""

    id: EventId
    occurred_at: Instant
    auction: AuctionId


class AuctionOpened(_Happened):
    """To everybody: an auction takes requests, baselines and offers."""

    type: Literal["auction.opened"]


class RequestSubmitted(_Happened):
    """To everybody: a DSO asks for flexibility."""

    type: Literal["request.submitted"]
    request: RequestId


class RequestWithdrawn(_Happened):
    """To everybody: a request is no longer in the book."""

    type: Literal["request.withdrawn"]
    request: RequestId


class AuctionClosed(_Happened):
    """To everybody: the gate has closed, the book is frozen."""

    type: Literal["auction.closed"]


class AuctionPublished(_Happened):
    """To everybody: prices, limits and the order book can be read."""

    type: Literal["auction.published"]


class AuctionFailed(_Happened):
    """To everybody: the auction could not be cleared; its reason can be read."""

    type: Literal["auction.failed"]


class AwardMade(_Happened):
    """To its participant: awards can be read. offers : those of the participant that were accepted."""

    type: Literal["award.made"]
    offers: tuple[OfferId, ...]


class ReadingReceived(_Happened):
    """To operators: a participant's meter readings came in; once all are there, the auction can be settled."""

    type: Literal["reading.received"]
    participant: OrganisationId
    version: Count


class AuctionSettled(_Happened):
    """To everybody: the auction is settled."""

    type: Literal["auction.settled"]


class StatementIssued(_Happened):
    """To its participant: a statement can be read."""

    type: Literal["statement.issued"]
    version: Count


Event: TypeAlias = Annotated[
    AuctionOpened
    | RequestSubmitted
    | RequestWithdrawn
    | AuctionClosed
    | AuctionPublished
    | AuctionFailed
    | AwardMade
    | ReadingReceived
    | AuctionSettled
    | StatementIssued,
    Field(discriminator="type"),
]
EventType: TypeAlias = Literal[
    "auction.opened",
    "request.submitted",
    "request.withdrawn",
    "auction.closed",
    "auction.published",
    "auction.failed",
    "award.made",
    "reading.received",
    "auction.settled",
    "statement.issued",
]
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)
START: Final = "start"
"""In place of an event's id: before the first event."""
