"""Webhooks of one's own organisation, and what became of the events that they were to be told."""

from typing import Final

from api_spec.units import Message
from api_spec.webhooks import Delivery, DeliveryState, Webhook, WebhookTerms, WebhookWithSecret
from market.api.auth import ClientOwner
from market.api.intake import StrictRoute
from market.api.paging import PageOf
from market.api.posting import IdempotencyKey, once
from market.api.sections import Section
from market.api.world import WorldOf
from market.workflow import webhooks as steps

router = Section(route_class=StrictRoute, prefix="/webhooks")
_NO_BODY: Final = Message()


@router.post("", status_code=201)
def create_webhook(terms: WebhookTerms, who: ClientOwner, world: WorldOf, key: IdempotencyKey) -> WebhookWithSecret:
    """Be told of events from now on. The secret that deliveries are signed with is shown here only."""
    now, private = world.clock.now(), world.settings.webhooks_allow_private
    created = once(
        world, who, key, "create_webhook", terms,
        lambda work: steps.create_webhook(
            terms, organisation=who.id, allow_private=private, now=now, work=work, new_id=world.new_id
        ), Webhook,
    )  # fmt: skip
    return _with_secret(created, who.id, world)


@router.get("")
def webhooks(who: ClientOwner, world: WorldOf, page: PageOf) -> list[Webhook]:
    """One's own webhooks."""
    with world.reading() as work:
        return page.of(work.webhooks.of(who.id), lambda each: each.id)


@router.get("/{webhook}")
def one_webhook(webhook: str, who: ClientOwner, world: WorldOf) -> Webhook:
    """One of one's own webhooks."""
    with world.reading() as work:
        return work.webhooks.get(webhook, organisation=who.id)


@router.delete("/{webhook}", status_code=204)
def delete_webhook(webhook: str, who: ClientOwner, world: WorldOf) -> None:
    """No longer be told; what was on its way is forgotten."""
    world.write(lambda work: work.webhooks.remove(webhook, organisation=who.id))


@router.post("/{webhook}/rotate-secret")
def rotate_secret(webhook: str, who: ClientOwner, world: WorldOf, key: IdempotencyKey) -> WebhookWithSecret:
    """Get a new secret; until `previous_secret_until`, deliveries are signed with the one before, too."""
    now = world.clock.now()
    rotated = once(
        world, who, key, f"rotate_secret {webhook}", _NO_BODY,
        lambda work: steps.rotate_secret(webhook, organisation=who.id, now=now, work=work), Webhook,
    )  # fmt: skip
    return _with_secret(rotated, who.id, world)


@router.get("/{webhook}/deliveries")
def deliveries(
    webhook: str, who: ClientOwner, world: WorldOf, page: PageOf, state: DeliveryState | None = None
) -> list[Delivery]:
    """What was sent, is on its way, or was given up (`state=dead`), with every attempt; the oldest first."""
    with world.reading() as work:
        work.webhooks.get(webhook, organisation=who.id)
        found = work.notices.page(webhook, after=page.after, limit=page.limit + 1, state=state)
    if len(found) > page.limit:
        page.link_next(found[page.limit - 1].id)
    return found[: page.limit]


@router.post("/{webhook}/deliveries/{delivery}/redeliver", status_code=202)
def redeliver(webhook: str, delivery: str, who: ClientOwner, world: WorldOf) -> Delivery:
    """Send an event again, under the same id; harmless to repeat."""
    now = world.clock.now()
    return world.write(lambda work: steps.redeliver(webhook, delivery, organisation=who.id, now=now, work=work))


def _with_secret(webhook: Webhook, organisation: str, world: WorldOf) -> WebhookWithSecret:
    # Not part of the answer that is stored under the key: there, the secret would be kept a second time.
    with world.reading() as work:
        return work.webhooks.with_secret(webhook.id, organisation=organisation)
