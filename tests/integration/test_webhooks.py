"""Webhooks over HTTP: whose they are, where they may lead, and an auction's whole life told to all who take part."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api_spec.client import MarketClient, MarketRefused
from api_spec.events import EVENT
from api_spec.problem import Problem, ProblemType
from api_spec.webhooks import Delivery, WebhookTerms, verified
from market.settings import Settings
from market.workflow.webhooks import MOST_WEBHOOKS, OVERLAP
from tests.receiver import Receiver, status
from tests.running_market import RunningMarket, running_market
from tests.street_auction import NOON, Street, open_street

PRIVATE = Settings(webhooks_allow_private=True, token_ttl=timedelta(days=2))
ELSEWHERE = WebhookTerms(url="https://receiver.example/events")


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[tuple[RunningMarket, Street]]:
    with running_market(tmp_path, now=NOON, settings=Settings(token_ttl=timedelta(days=2))) as running:
        async with open_street(running) as street:
            yield running, street


async def refused(call: Awaitable[Any]) -> Problem:
    with pytest.raises(MarketRefused) as refusal:
        await call
    return refusal.value.problem


async def until(count: int, receiver: Receiver) -> list[str]:
    """Types of the first events that a receiver got; one that came twice counts once.

    Where a test moves the market's time while a call is under way, the call's lease is over and it is made again.
    """
    deadline = time.monotonic() + 20
    while len(set(receiver.ids)) < count:
        assert time.monotonic() < deadline, receiver.ids
        await asyncio.sleep(0.05)
    events = {each.headers["webhook-id"]: EVENT.validate_json(each.body).type for each in receiver.received}
    return list(events.values())


async def test_the_life_of_an_auction_is_told_to_each_as_far_as_it_concerns_it(tmp_path: Path) -> None:
    with running_market(tmp_path, now=NOON, settings=PRIVATE, send_webhooks=True) as running:
        async with open_street(running) as street, Receiver() as first, Receiver() as second, Receiver() as dso:
            made = await street.aggregators[0].create_webhook(WebhookTerms(url=first.url))
            await street.aggregators[1].create_webhook(WebhookTerms(url=second.url))
            await street.dso.create_webhook(WebhookTerms(url=dso.url, types=("auction.published",)))
            await street.ask()
            await street.offer()
            await street.clear(running)
            await street.settle(running)

            public = ["request.submitted", "auction.closed", "auction.published"]
            own = [*public, "award.made", "auction.settled", "statement.issued"]
            assert await until(6, first) == own
            assert await until(4, second) == [*public, "auction.settled"]
            assert await until(1, dso) == ["auction.published"]
            last = first.received[-1]
            assert verified(last.body, last.headers, made.secret, now=running.clock.now()).auction == street.auction
            assert [each.type for each in await street.aggregators[0].deliveries(made.id)] == own


async def test_a_dead_letter_is_found_and_sent_again(tmp_path: Path) -> None:
    with running_market(tmp_path, now=NOON, settings=PRIVATE, send_webhooks=True) as running:
        async with open_street(running) as street, Receiver([status(500)] * 10) as receiver:
            webhook = await street.dso.create_webhook(WebhookTerms(url=receiver.url))
            await street.ask()
            for attempt in range(10):
                while len((await street.dso.deliveries(webhook.id))[0].attempts) <= attempt:
                    await asyncio.sleep(0.05)
                running.clock.advance_to(running.clock.now() + timedelta(hours=30))
            (dead,) = await street.dso.deliveries(webhook.id, state="dead")
            assert len(dead.attempts) == 10
            assert (await street.dso.redeliver(webhook.id, dead.id)).state == "pending"
            while len(receiver.received) < 11:
                await asyncio.sleep(0.05)

        assert len(set(receiver.ids)) == 1


async def test_a_secret_is_shown_once_and_again_only_to_a_repeated_request(
    market: tuple[RunningMarket, Street],
) -> None:
    _, street = market
    made = await street.dso.create_webhook(ELSEWHERE, key="k1")

    assert made.secret.startswith("whsec_")
    assert await street.dso.create_webhook(ELSEWHERE, key="k1") == made, "a lost answer makes no second webhook"
    (listed,) = await street.dso.webhooks()
    assert listed == await street.dso.webhook(made.id)
    assert listed.model_dump() == made.model_dump(exclude={"secret"})


async def test_a_secret_is_rotated_once_however_often_the_request_is_repeated(
    market: tuple[RunningMarket, Street],
) -> None:
    running, street = market
    made = await street.dso.create_webhook(ELSEWHERE)
    rotated = await street.dso.rotate_secret(made.id, key="k2")

    assert rotated.secret != made.secret
    assert rotated.previous_secret_until == running.clock.now() + OVERLAP
    assert await street.dso.rotate_secret(made.id, key="k2") == rotated


async def test_webhooks_of_others_do_not_exist(market: tuple[RunningMarket, Street]) -> None:
    _, street = market
    other = street.aggregators[0]
    made = await street.dso.create_webhook(ELSEWHERE)
    await street.ask()
    (delivery,) = await street.dso.deliveries(made.id)

    assert await other.webhooks() == ()
    for call in (
        other.webhook(made.id),
        other.delete_webhook(made.id),
        other.rotate_secret(made.id),
        other.deliveries(made.id),
        other.redeliver(made.id, delivery.id),
    ):
        assert (await refused(call)).kind is ProblemType.NOT_FOUND
    own = await other.create_webhook(ELSEWHERE)
    assert (await refused(other.redeliver(own.id, delivery.id))).kind is ProblemType.NOT_FOUND
    await street.dso.delete_webhook(made.id)
    assert await street.dso.webhooks() == ()
    await street.ask()


@pytest.mark.parametrize("url", ["http://receiver.example/", "https://127.0.0.1/", "https://[fd00::1]/"])
async def test_where_a_webhook_may_not_lead_is_said_at_once(market: tuple[RunningMarket, Street], url: str) -> None:
    _, street = market
    problem = await refused(street.dso.create_webhook(WebhookTerms(url=url)))

    assert (problem.kind, [each.pointer for each in problem.errors]) == (ProblemType.NOT_ADMITTED, ["/url"])


async def test_an_organisation_has_a_bounded_number_of_webhooks(market: tuple[RunningMarket, Street]) -> None:
    _, street = market
    for _ in range(MOST_WEBHOOKS):
        await street.dso.create_webhook(ELSEWHERE)
    assert (await refused(street.dso.create_webhook(ELSEWHERE))).kind is ProblemType.TOO_MANY
    await street.aggregators[0].create_webhook(ELSEWHERE)


async def test_deliveries_come_in_pages(market: tuple[RunningMarket, Street]) -> None:
    running, street = market
    made = await street.dso.create_webhook(ELSEWHERE)
    for _ in range(3):
        await street.ask()
    whole = await street.dso.deliveries(made.id)
    async with MarketClient(running.url, street.dso._credentials) as client:
        pages = [each async for each in client._pages(f"/v1/webhooks/{made.id}/deliveries", Delivery, {"limit": "1"})]

    assert tuple(pages) == whole
    assert len(whole) == 3
