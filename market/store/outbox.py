"""The transactional outbox: events become durable with what they tell of, and none is told that did not happen."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, insert
from sqlmodel import Session, col, delete, exists, select

from api_spec.events import EVENT, START, Event
from market.errors import NotFound
from market.notices.story import Notice
from market.store.notices import Notices
from market.store.tables import DeliveryRow, OutboxRow, metadata

_TELL: Final = insert(metadata.tables["outbox"])
_ORDER: Final = 0x0FF1CE  # any number that nothing else locks


@dataclass(frozen=True)
class Told:
    """An event at its place in the outbox. Places stay inside the market: they count everybody's events."""

    place: int
    event: Event


class Outbox:
    """Events of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session
        self._given: list[Notice] = []

    def add(self, notices: Iterable[Notice]) -> None:
        """Give events to be told; they are written when the transaction is committed."""
        self._given.extend(notices)

    @contextlib.contextmanager
    def undone_with_failure(self) -> Iterator[None]:
        """Where the block fails, what it gave is not told."""
        before = len(self._given)
        try:
            yield
        except BaseException:
            del self._given[before:]
            raise

    def write(self) -> None:
        """Write what was given, and queue it for every webhook that is to be told: the last thing before the commit.

        Transactions that tell something commit one after the other from here on. Without that, on PostgreSQL, an event
        could become visible after one with a later place, and a reader who is past that place would never see it. The
        lock comes after all others, so that nobody who holds it waits for a row.
        """
        if not self._given:
            return
        notices = Notices(self._session)
        self._session.flush()
        listening = notices.listening()
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.connection().execute(select(func.pg_advisory_xact_lock(_ORDER)))
        for each in self._given:
            event = each.event
            told = {
                "id": event.id,
                "audience": each.audience,
                "auction": event.auction,
                "document": event.model_dump_json(),
                "occurred_at": event.occurred_at,
            }
            # Not an object of the session: nobody looks at it again, and nearly every change has one.
            self._session.connection().execute(_TELL, told)
            if listening:
                notices.queue(each, listening)
        self._given.clear()

    def after(
        self, place: int, audiences: Sequence[str], *, auction: str | None = None, limit: int = 100
    ) -> list[Told]:
        """Events for some audiences after a place, in order; of one auction, or of all."""
        query = select(OutboxRow).where(col(OutboxRow.sequence) > place, col(OutboxRow.audience).in_(audiences))
        if auction is not None:
            query = query.where(OutboxRow.auction == auction)
        rows = self._session.exec(query.order_by(col(OutboxRow.sequence)).limit(limit))
        return [Told(row.sequence or 0, EVENT.validate_json(row.document)) for row in rows]

    def place(self, event: str, audiences: Sequence[str]) -> int:
        """Where an event stands, for those who may hear of it; START is before all. NotFound, also once forgotten."""
        if event == START:
            return 0
        query = select(OutboxRow.sequence).where(OutboxRow.id == event, col(OutboxRow.audience).in_(audiences))
        found = self._session.exec(query).one_or_none()
        if found is None:
            raise NotFound("event", event)
        return found

    def newest(self, audiences: Sequence[str]) -> tuple[int, str]:
        """Place and id of the newest event for some audiences; 0 and START where there is none."""
        query = select(OutboxRow.sequence, OutboxRow.id).where(col(OutboxRow.audience).in_(audiences))
        found = self._session.exec(query.order_by(col(OutboxRow.sequence).desc()).limit(1)).one_or_none()
        return (0, START) if found is None else (found[0] or 0, found[1])

    def end(self) -> int:
        """Place of the newest event of all; 0 where there is none."""
        return self._session.exec(select(func.max(OutboxRow.sequence))).one() or 0

    def forget(self, before: datetime, *, most: int) -> int:
        """Forget events that happened before then, with what was sent of them; returns how many were looked at.

        What is still to be sent stays. So does the newest event of all: the next one's place is counted from it.
        """
        old = select(OutboxRow.id).where(OutboxRow.occurred_at < before, col(OutboxRow.sequence) < self.end())
        unsent = select(DeliveryRow.id).where(DeliveryRow.event == col(OutboxRow.id), DeliveryRow.state == "pending")
        first = old.where(~exists(unsent)).order_by(col(OutboxRow.sequence)).limit(most)
        ids = self._session.exec(first.with_for_update(skip_locked=True, of=OutboxRow)).all()
        # A delivery that is asked for again in this moment keeps its event.
        sent = col(DeliveryRow.event).in_(ids) & (col(DeliveryRow.state) != "pending")
        self._session.exec(delete(DeliveryRow).where(sent))
        left = exists(select(DeliveryRow.id).where(DeliveryRow.event == col(OutboxRow.id)))
        self._session.exec(delete(OutboxRow).where(col(OutboxRow.id).in_(ids), ~left))
        return len(ids)
