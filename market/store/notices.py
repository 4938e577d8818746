"""What is on its way to webhooks: queued with its event, claimed by one sender at a time, kept until it has arrived."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import func
from sqlalchemy import select as select_columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, exists, select, update

from api_spec.events import EVENT, EventId, EventType
from api_spec.organisation import Organisation
from api_spec.webhooks import Attempt, Delivery, DeliveryState, WebhookTerms
from market.errors import NotFound
from market.ids import random_id
from market.notices.story import Notice, audiences_of
from market.store.plain import asked
from market.store.tables import DeliveryRow, OutboxRow, WebhookRow, metadata
from market.store.vault import Vault, vault_of

_ATTEMPTS: Final[TypeAdapter[tuple[Attempt, ...]]] = TypeAdapter(tuple[Attempt, ...])


_WEBHOOKS, _OWNERS = metadata.tables["webhook"], metadata.tables["organisation"]
_LISTENING: Final = (
    select_columns(_WEBHOOKS.c.id, _WEBHOOKS.c.terms, _OWNERS.c.id, _OWNERS.c.name, _OWNERS.c.role)
    .join(_OWNERS, _OWNERS.c.id == _WEBHOOKS.c.organisation)
    .where(_WEBHOOKS.c.disabled_at.is_(None))
    .order_by(_WEBHOOKS.c.sequence)
    # Without the lock, a webhook that is removed meanwhile would make a state change of the market fail.
    .with_for_update(read=True, key_share=True, of=_WEBHOOKS)
)
"""Built once: it is asked before every event."""


@dataclass(frozen=True)
class Listener:
    """A webhook in force, with what it is to be told: types = None is all that its organisation may hear of."""

    webhook: str
    audiences: tuple[str, ...]
    types: tuple[EventType, ...] | None


@dataclass(frozen=True)
class Claimed:
    """A delivery that one sender may send, as long as its lease lasts.

    body : the event's document. secrets : to sign with, the newest first. failed : attempts in a row before this one.
    """

    delivery: str
    lease: str
    event: EventId
    body: str
    url: str
    secrets: tuple[str, ...]
    failed: int


class Notices:
    """Notices of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session, self._vault = session, vault_of(session.get_bind())

    def listening(self) -> list[Listener]:
        """Webhooks that are in force. They stay until the transaction ends: who removes one waits."""
        return [
            Listener(
                webhook,
                audiences_of(Organisation(id=owner, name=name, role=role)),
                WebhookTerms.model_validate_json(terms).types,
            )
            for webhook, terms, owner, name, role in asked(self._session, _LISTENING)
        ]

    def queue(self, notice: Notice, listening: Iterable[Listener]) -> None:
        """Queue an event, which the outbox holds already, for each webhook that is to be told of it."""
        event = notice.event
        for each in listening:
            if notice.audience in each.audiences and (each.types is None or event.type in each.types):
                row = DeliveryRow(
                    id=random_id("dlv"), webhook=each.webhook, event=event.id, state="pending", due_at=event.occurred_at
                )
                self._session.add(row)
        self._session.flush()

    def claim(self, *, now: datetime, until: datetime, most: int) -> list[Claimed]:
        """Claim deliveries that are due, for one sender `until` then: of each webhook only the first that is not done.

        A webhook that another sender holds is left out, so that its deliveries stay in order.
        """
        before = aliased(DeliveryRow)
        earlier = select(before.sequence).where(
            before.webhook == col(DeliveryRow.webhook),
            before.state == "pending",
            col(before.sequence) < col(DeliveryRow.sequence),
        )
        free = col(WebhookRow.leased_until).is_(None) | (col(WebhookRow.leased_until) <= now)
        query = (
            select(DeliveryRow, WebhookRow, OutboxRow.document)
            .join(WebhookRow, col(WebhookRow.id) == col(DeliveryRow.webhook))
            .join(OutboxRow, col(OutboxRow.id) == col(DeliveryRow.event))
            .where(DeliveryRow.state == "pending", col(DeliveryRow.due_at) <= now, free, ~exists(earlier))
            .order_by(col(DeliveryRow.due_at), col(DeliveryRow.sequence))
            .limit(most)
            # Both rows: one that another sender has just finished with is looked at again before it is taken.
            .with_for_update(skip_locked=True, key_share=True, of=[DeliveryRow, WebhookRow])
        )
        claimed = []
        for delivery, webhook, body in self._session.exec(query).all():
            webhook.lease, webhook.leased_until = random_id("lease"), until
            self._session.add(webhook)
            claimed.append(_claimed(delivery, webhook, body, now, self._vault))
        self._session.flush()
        return claimed

    def due(self, now: datetime) -> int:
        """How many deliveries should have been sent by now, but have not."""
        query = select(func.count()).select_from(DeliveryRow)
        return self._session.exec(query.where(DeliveryRow.state == "pending", col(DeliveryRow.due_at) <= now)).one()

    def record(self, claimed: Claimed, attempt: Attempt, *, next_at: datetime | None, gone: bool) -> None:
        """Keep what an attempt came to, and give the webhook back.

        next_at : when a failed one is to be repeated; None = it is dead. gone : the receiver wants nothing any more,
        so the webhook is disabled and all that waits for it is dead. Nothing is kept where the lease has passed to
        another sender, or the webhook was removed.
        """
        query = select(DeliveryRow, WebhookRow).join(WebhookRow, col(WebhookRow.id) == col(DeliveryRow.webhook))
        query = query.where(DeliveryRow.id == claimed.delivery, WebhookRow.lease == claimed.lease)
        found = self._session.exec(query.with_for_update(of=WebhookRow, key_share=True)).one_or_none()
        if found is None:
            return
        delivery, webhook = found
        webhook.lease = webhook.leased_until = None
        delivery.attempts = _ATTEMPTS.dump_json((*_ATTEMPTS.validate_json(delivery.attempts), attempt)).decode()
        if attempt.failure is None:
            delivery.state, delivery.failed = "delivered", 0
        elif gone or next_at is None:
            delivery.state, delivery.failed = "dead", delivery.failed + 1
        else:
            delivery.due_at, delivery.failed = next_at, delivery.failed + 1
        self._session.add_all((delivery, webhook))
        if gone:
            webhook.disabled_at = attempt.at
            waiting = (col(DeliveryRow.webhook) == webhook.id) & (col(DeliveryRow.state) == "pending")
            self._session.exec(update(DeliveryRow).where(waiting).values(state="dead"))

    def page(
        self, webhook: str, *, after: str | None, limit: int, state: DeliveryState | None = None
    ) -> list[Delivery]:
        """Notices to a webhook after the one with id `after`, oldest first, all or those in one state; NotFound."""
        query = select(DeliveryRow, OutboxRow.document).join(OutboxRow, col(OutboxRow.id) == col(DeliveryRow.event))
        query = query.where(DeliveryRow.webhook == webhook)
        if after is not None:
            last = self._row(webhook, after)
            query = query.where(col(DeliveryRow.sequence) > last.sequence)
        if state is not None:
            query = query.where(DeliveryRow.state == state)
        rows = self._session.exec(query.order_by(col(DeliveryRow.sequence)).limit(limit))
        return [_delivery(row, document) for row, document in rows]

    def repeat(self, webhook: str, delivery: str, *, now: datetime) -> Delivery:
        """Queue a delivery again, from now on and as often as the first time; NotFound."""
        row = self._row(webhook, delivery, to_change=True)
        row.state, row.due_at, row.failed = "pending", now, 0
        self._session.add(row)
        self._session.flush()
        (document,) = self._session.exec(select(OutboxRow.document).where(OutboxRow.id == row.event))
        return _delivery(row, document)

    def _row(self, webhook: str, delivery: str, *, to_change: bool = False) -> DeliveryRow:
        query = select(DeliveryRow).where(DeliveryRow.webhook == webhook, DeliveryRow.id == delivery)
        row = self._session.exec(query.with_for_update() if to_change else query).one_or_none()
        if row is None:
            raise NotFound("delivery", delivery)
        return row


def _claimed(delivery: DeliveryRow, webhook: WebhookRow, body: str, now: datetime, vault: Vault) -> Claimed:
    assert webhook.lease is not None, "it was leased just now"
    secrets = [webhook.secret]
    until = webhook.previous_secret_until
    if webhook.previous_secret is not None and until is not None and now < until:
        secrets.append(webhook.previous_secret)
    return Claimed(
        delivery=delivery.id,
        lease=webhook.lease,
        event=delivery.event,
        body=body,
        url=WebhookTerms.model_validate_json(webhook.terms).url,
        secrets=tuple(map(vault.open_text, secrets)),
        failed=delivery.failed,
    )


def _delivery(row: DeliveryRow, document: str) -> Delivery:
    return Delivery.model_validate(
        {
            "id": row.id,
            "webhook": row.webhook,
            "event": row.event,
            "type": EVENT.validate_json(document).type,
            "state": row.state,
            "due_at": row.due_at if row.state == "pending" else None,
            "attempts": _ATTEMPTS.validate_json(row.attempts),
        }
    )
