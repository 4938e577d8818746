"""Auctions: their calendar and state, the DSO's forecast, and what clearing published."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Literal, TypeAlias

from sqlalchemy import Integer, bindparam
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from api_spec.auction import Auction, AuctionState, AuctionTerms
from api_spec.award import Award
from api_spec.case import Case
from api_spec.metering import Forecast
from api_spec.result import Result
from market.errors import NotFound
from market.store.tables import AuctionRow, AwardRow, ResultRow

Gate: TypeAlias = Literal["order", "close"]
"""What a transaction locks an auction for."""


@dataclass(frozen=True)
class Published:
    """A published clearing: what went in, what came out, and when."""

    case: Case
    result: Result
    version: int
    published_at: datetime


class Auctions:
    """Auctions of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add(self, auction: Auction) -> None:
        """Keep a new auction."""
        terms = AuctionTerms.model_validate(auction.model_dump(include=set(AuctionTerms.model_fields)))
        self._session.add(
            AuctionRow(
                id=auction.id,
                dso=auction.dso,
                network=auction.network,
                state=auction.state,
                gate_closure=auction.gate_closure,
                terms=terms.model_dump_json(),
            )
        )
        self._session.flush()

    def get(self, auction: str, *, lock: Gate | None = None) -> Auction:
        """An auction by its id; NotFound. lock : until this transaction ends.

        "order" : the gate cannot close meanwhile, and orders of others go on; "close" : nobody orders meanwhile. What
        was committed under "order" stands in the book that is read under "close", and nothing comes after it.
        """
        return _auction(self._row(auction, lock))

    def save_state(self, auction: Auction) -> None:
        """Write an auction's state and the times that belong to it."""
        row = self._row(auction.id)
        row.state, row.failure = auction.state, auction.failure
        row.closed_at, row.published_at, row.settled_at = auction.closed_at, auction.published_at, auction.settled_at
        self._session.add(row)

    def page(self, *, after: int, limit: int, states: Collection[AuctionState] = ()) -> list[tuple[int, Auction]]:
        """Auctions after a place in the sequence, oldest first, each with its own place; in any state without one."""
        rows = self._session.exec(_page(frozenset(states)), params={"after": after, "limit": limit})
        return [(row.sequence or 0, _auction(row)) for row in rows]

    def published_on(self, network: str, *, since: datetime) -> list[Auction]:
        """Published and settled auctions of a network with deliveries that end after `since`, oldest first."""
        reaching = col(AuctionRow.settled_at).is_(None) | (col(AuctionRow.settled_at) > since)
        query = select(AuctionRow).where(AuctionRow.network == network, col(AuctionRow.published_at).is_not(None))
        rows = self._session.exec(query.where(reaching).order_by(col(AuctionRow.sequence)))
        return [each for each in map(_auction, rows) if each.delivery.end > since]

    def unfinished(self, network: str) -> list[Auction]:
        """Auctions on a network that are neither published nor failed, in the order they were opened."""
        query = select(AuctionRow).where(
            AuctionRow.network == network, col(AuctionRow.state).in_(("open", "closed", "clearing"))
        )
        return [_auction(row) for row in self._session.exec(query.order_by(col(AuctionRow.sequence)))]

    def published_books(self) -> list[Auction]:
        """Auctions that are published and not settled, oldest first."""
        query = select(AuctionRow).where(AuctionRow.state == "published").order_by(col(AuctionRow.sequence))
        return [_auction(row) for row in self._session.exec(query)]

    def counts(self) -> dict[str, int]:
        """How many auctions are in each state; a state without any is absent."""
        return dict(self._session.exec(select(AuctionRow.state, func.count()).group_by(AuctionRow.state)).all())

    def set_forecast(self, auction: str, forecast: Forecast) -> None:
        """Replace the forecast of what no aggregator nominates."""
        row = self._row(auction)
        row.forecast = forecast.model_dump_json()
        self._session.add(row)

    def forecast(self, auction: str) -> Forecast:
        """The DSO's forecast; nothing where it has not given one."""
        text = self._row(auction).forecast
        return Forecast(injections=()) if text is None else Forecast.model_validate_json(text)

    def publish(self, auction: str, case: Case, result: Result, awards: Iterable[Award], *, now: datetime) -> int:
        """Keep a result with the case that it answers and its awards, as the next version; returns its number."""
        version = len(self._results(auction)) + 1
        self._session.add(
            ResultRow(
                auction=auction,
                version=version,
                case_document=case.canonical_json(),
                input_sha256=result.input_sha256,
                document=result.model_dump_json(),
                published_at=now,
            )
        )
        for each in awards:
            document = each.model_copy(update={"version": version}).model_dump_json()
            self._session.add(
                AwardRow(
                    auction=auction, offer=each.offer, version=version, participant=each.participant, document=document
                )
            )
        self._session.flush()
        return version

    def version(self, auction: str) -> int:
        """Number of the newest published result; 0 where there is none."""
        query = select(func.count()).select_from(ResultRow).where(ResultRow.auction == auction)
        return self._session.exec(query).one()

    def continuous(self, *, now: datetime) -> list[Auction]:
        """Auctions that are open and traded continuously at this time, in the order they were opened."""
        query = select(AuctionRow).where(AuctionRow.state == "open", AuctionRow.gate_closure > now)
        found = (_auction(row) for row in self._session.exec(query.order_by(col(AuctionRow.sequence))))
        return [each for each in found if each.product.trading == "continuous"]

    def published(self, auction: str) -> Published | None:
        """The newest published result, if there is one."""
        rows = self._results(auction)
        if not rows:
            return None
        newest = rows[-1]
        return Published(_case(newest.case_document), _result(newest.document), newest.version, newest.published_at)

    def awards(self, auction: str, *, participant: str | None = None) -> list[Award]:
        """Published awards of all versions, in the order of offer ids: all of them, or one participant's."""
        query = select(AwardRow.document).where(AwardRow.auction == auction)
        if participant is not None:
            query = query.where(AwardRow.participant == participant)
        found = self._session.exec(query.order_by(col(AwardRow.offer), col(AwardRow.version)))
        return [Award.model_validate_json(document) for document in found]

    def _results(self, auction: str) -> list[ResultRow]:
        query = select(ResultRow).where(ResultRow.auction == auction).order_by(col(ResultRow.version))
        return list(self._session.exec(query))

    def _row(self, auction: str, lock: Gate | None = None) -> AuctionRow:
        row = self._session.exec(_one(lock), params={"auction": auction}).one_or_none()
        if row is None:
            raise NotFound("auction", auction)
        return row


# Built once: they are asked before almost everything else.


@cache
def _one(lock: Gate | None) -> SelectOfScalar[AuctionRow]:
    query = select(AuctionRow).where(AuctionRow.id == bindparam("auction"))
    if lock is None:
        return query
    return query.with_for_update(read=lock == "order").execution_options(populate_existing=True)


@lru_cache(maxsize=100)
def _page(states: frozenset[AuctionState]) -> SelectOfScalar[AuctionRow]:
    query = select(AuctionRow).where(col(AuctionRow.sequence) > bindparam("after"))
    if states:
        query = query.where(col(AuctionRow.state).in_(sorted(states)))
    return query.order_by(col(AuctionRow.sequence)).limit(bindparam("limit", type_=Integer))


@lru_cache(maxsize=1000)
def terms_of(document: str) -> AuctionTerms:
    """Terms never change, and every order is held to them."""
    return AuctionTerms.model_validate_json(document)


# Published, neither changes; each is asked for several times while its auction is settled, by everybody.


@lru_cache(maxsize=2)
def _case(document: str) -> Case:
    return Case.model_validate_json(document)


@lru_cache(maxsize=2)
def _result(document: str) -> Result:
    return Result.model_validate_json(document)


def _auction(row: AuctionRow) -> Auction:
    terms = terms_of(row.terms)
    return Auction.model_validate(
        {
            **{name: getattr(terms, name) for name in AuctionTerms.model_fields},
            "id": row.id,
            "dso": row.dso,
            "state": row.state,
            "closed_at": row.closed_at,
            "published_at": row.published_at,
            "settled_at": row.settled_at,
            "failure": row.failure,
        }
    )
