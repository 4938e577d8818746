"""Webhooks: where an organisation wants to be told of events, what became of each, and how a receiver checks one.

Deliveries follow the Standard Webhooks specification 1.0: the body is the event; `webhook-id` is the event's id,
`webhook-timestamp` the time of the attempt in whole seconds, `webhook-signature` one `v1,` signature for each secret in
force, separated by spaces. An event may come more than once, each time under the same id.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias

import httpx
from pydantic import AfterValidator, Field

from api_spec.events import EVENT, EVENT_TYPES, Event, EventId, EventType
from api_spec.ids import Identifier
from api_spec.period import Instant
from api_spec.units import Count, Message

TOLERANCE: Final = timedelta(minutes=5)
SECRET_PREFIX: Final = "whsec_"

WebhookId = Identifier
DeliveryId = Identifier
DeliveryState: TypeAlias = Literal["pending", "delivered", "dead"]


def _callable(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as failure:
        raise ValueError("must be a URL") from failure
    if parsed.scheme not in ("https", "http") or not parsed.host:
        raise ValueError("must be a URL with a scheme and a host, such as https://example.org/events")
    if parsed.userinfo or parsed.fragment:
        raise ValueError("must have neither a user name nor a fragment")
    return url


class WebhookTerms(Message):
    """Where events are to be sent. types : which ones; absent = all that the organisation may hear of."""

    url: Annotated[str, Field(max_length=1000), AfterValidator(_callable)]
    types: Annotated[tuple[EventType, ...], Field(min_length=1, max_length=len(EVENT_TYPES))] | None = None


class Webhook(WebhookTerms):
    """A webhook of an organisation.

    disabled_at : since when nothing is sent, because the receiver answered 410 Gone. previous_secret_until : how long
    deliveries are signed with the secret before the last rotation, too.
    """

    id: WebhookId
    created_at: Instant
    disabled_at: Instant | None = None
    previous_secret_until: Instant | None = None


class WebhookWithSecret(Webhook):
    """The answer to a creation or a rotation: the only place where the secret is shown."""

    secret: str


class Attempt(Message):
    """One try to deliver. status : what the receiver answered, if anything; failure : why it does not count."""

    at: Instant
    status: Count | None = None
    failure: str | None = None


class Delivery(Message):
    """One event on its way to one webhook.

    state : "dead" = given up, after the last attempt or because the receiver is gone. due_at : when it is tried next,
    once those before it have arrived or are dead. attempts : all so far, the oldest first.
    """

    id: DeliveryId
    webhook: WebhookId
    event: EventId
    type: EventType
    state: DeliveryState
    due_at: Instant | None = None
    attempts: tuple[Attempt, ...] = ()


class NotVerified(ValueError):
    """A message that does not come from the market, or not now; answer it with 400 and believe nothing in it."""


def verified(body: bytes, headers: Mapping[str, str], secret: str, *, now: datetime) -> Event:
    """The event in a received webhook; NotVerified where it was not signed with `secret` (whsec_...) within 5 minutes.

    body : as it came, byte for byte.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message, stamp = given["webhook-id"], given["webhook-timestamp"]
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        sent_at = datetime.fromtimestamp(int(stamp), UTC)
        signatures = [base64.b64decode(each[3:]) for each in given["webhook-signature"].split() if each[:3] == "v1,"]
    except (KeyError, ValueError, OverflowError, OSError, binascii.Error) as failure:
        raise NotVerified("the headers of a signed webhook are missing or malformed") from failure
    if not key:
        raise NotVerified("without a secret nothing can be verified")
    if abs(now - sent_at) > TOLERANCE:
        raise NotVerified(f"signed at {sent_at.isoformat()}, more than {TOLERANCE} from now")
    expected = hmac.digest(key, b".".join((message.encode(), stamp.encode(), body)), hashlib.sha256)
    if not any(hmac.compare_digest(expected, each) for each in signatures):
        raise NotVerified("no signature fits the body and the secret")
    return EVENT.validate_json(body)
