"""Webhooks of an organisation: created, rotated, removed, and their deliveries repeated."""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Final

from api_spec.defects import Defect
from api_spec.webhooks import SECRET_PREFIX, Delivery, Webhook, WebhookTerms
from market.errors import NotAdmitted, TooManyWebhooks, WebhookDisabled
from market.ids import NewId, random_id
from market.notices.addresses import may_be_called
from market.store import UnitOfWork

MOST_WEBHOOKS: Final = 10
OVERLAP: Final = timedelta(days=1)


def create_webhook(
    terms: WebhookTerms,
    *,
    organisation: str,
    allow_private: bool,
    now: datetime,
    work: UnitOfWork,
    new_id: NewId = random_id,
) -> Webhook:
    """Create a webhook with a secret of its own.

    Raises NotAdmitted for an address that the market does not call, TooManyWebhooks.
    """
    standing = work.webhooks.of(organisation)

    if len(standing) >= MOST_WEBHOOKS:
        raise TooManyWebhooks(MOST_WEBHOOKS)
    refusal = None if allow_private else may_be_called(terms.url)
    if refusal is not None:
        raise NotAdmitted((Defect("/url", refusal),))
    webhook = Webhook(url=terms.url, types=terms.types, id=new_id("whk", organisation), created_at=now)

    work.webhooks.add(webhook, organisation=organisation, secret=new_secret())
    return webhook


def rotate_secret(webhook: str, *, organisation: str, now: datetime, work: UnitOfWork) -> Webhook:
    """Give a webhook a new secret; deliveries are signed with the old one, too, for another day."""
    return work.webhooks.rotate(webhook, organisation=organisation, secret=new_secret(), until=now + OVERLAP)


def redeliver(webhook: str, delivery: str, *, organisation: str, now: datetime, work: UnitOfWork) -> Delivery:
    """Send an event to a webhook again; NotFound, WebhookDisabled."""
    if work.webhooks.get(webhook, organisation=organisation).disabled_at is not None:
        raise WebhookDisabled(webhook)
    return work.notices.repeat(webhook, delivery, now=now)


def new_secret() -> str:
    """One that nobody has yet, as Standard Webhooks writes it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
