"""Webhooks of organisations, and the secrets that their deliveries are signed with."""

from datetime import datetime

from sqlmodel import Session, col, delete, select

from api_spec.webhooks import Webhook, WebhookTerms, WebhookWithSecret
from market.errors import NotFound
from market.store.tables import DeliveryRow, WebhookRow
from market.store.vault import vault_of


class Webhooks:
    """Webhooks of one database transaction; each organisation reaches its own only."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session, self._vault = session, vault_of(session.get_bind())

    def add(self, webhook: Webhook, *, organisation: str, secret: str) -> None:
        """Keep a new webhook."""
        terms = WebhookTerms(url=webhook.url, types=webhook.types)
        self._session.add(
            WebhookRow(
                id=webhook.id,
                organisation=organisation,
                terms=terms.model_dump_json(),
                secret=self._vault.seal_text(secret),
                created_at=webhook.created_at,
            )
        )
        self._session.flush()

    def of(self, organisation: str) -> list[Webhook]:
        """An organisation's webhooks, the oldest first."""
        query = select(WebhookRow).where(WebhookRow.organisation == organisation)
        return [_webhook(row) for row in self._session.exec(query.order_by(col(WebhookRow.sequence)))]

    def get(self, webhook: str, *, organisation: str) -> Webhook:
        """One of an organisation's webhooks; NotFound."""
        return _webhook(self._row(webhook, organisation))

    def with_secret(self, webhook: str, *, organisation: str) -> WebhookWithSecret:
        """The same, with its secret; NotFound."""
        row = self._row(webhook, organisation)
        return WebhookWithSecret(**_webhook(row).model_dump(), secret=self._vault.open_text(row.secret))

    def rotate(self, webhook: str, *, organisation: str, secret: str, until: datetime) -> Webhook:
        """Put a new secret in force; the one before stays in force, too, `until` then. NotFound."""
        row = self._row(webhook, organisation, to_change=True)
        row.previous_secret, row.previous_secret_until = row.secret, until
        row.secret = self._vault.seal_text(secret)
        self._session.add(row)
        self._session.flush()
        return _webhook(row)

    def remove(self, webhook: str, *, organisation: str) -> None:
        """Forget a webhook and what was on its way to it; NotFound."""
        row = self._row(webhook, organisation, to_change=True)
        self._session.exec(delete(DeliveryRow).where(col(DeliveryRow.webhook) == row.id))
        self._session.delete(row)

    def _row(self, webhook: str, organisation: str, *, to_change: bool = False) -> WebhookRow:
        query = select(WebhookRow).where(WebhookRow.id == webhook, WebhookRow.organisation == organisation)
        if to_change:
            # Whoever queues or sends to it meanwhile waits, and then sees what became of it.
            query = query.with_for_update()
        row = self._session.exec(query).one_or_none()
        if row is None:
            raise NotFound("webhook", webhook)
        return row


def _webhook(row: WebhookRow) -> Webhook:
    terms = WebhookTerms.model_validate_json(row.terms)
    return Webhook(
        url=terms.url,
        types=terms.types,
        id=row.id,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        previous_secret_until=row.previous_secret_until,
    )
