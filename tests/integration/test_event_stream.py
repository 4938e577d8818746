"""Server-sent events over a real server: each once and in order, to those who may hear of it, also after a cut."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from starlette.types import Message

from api_spec.client import MarketClient, MarketRefused
from api_spec.event_stream import StreamMessage, messages
from api_spec.events import START, Event
from api_spec.problem import ProblemType
from market.api import streaming
from market.api.feed import MOST_PER_READER
from market.settings import Settings
from tests.running_market import RunningMarket, running_market
from tests.street_auction import NOON, Street, open_street

PUBLIC = ["auction.opened", "request.submitted", "auction.closed", "auction.published", "auction.settled"]


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[tuple[RunningMarket, Street]]:
    with running_market(tmp_path, now=NOON, settings=Settings(token_ttl=timedelta(days=2))) as running:
        async with open_street(running) as street:
            yield running, street


async def first(events: AsyncIterator[Event], count: int) -> list[Event]:
    """The next few events of a stream."""
    async with asyncio.timeout(20):
        return [await anext(events) for _ in range(count)]


async def silent(events: AsyncIterator[Event]) -> bool:
    """Whether nothing more comes."""
    following = asyncio.ensure_future(anext(events))
    done, _ = await asyncio.wait([following], timeout=1.2)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    return not done


@contextlib.asynccontextmanager
async def raw(
    market: RunningMarket, client: MarketClient, last: str | None = None
) -> AsyncIterator[AsyncIterator[StreamMessage]]:
    """A stream without the client's help."""
    headers = await client._bearer() | ({} if last is None else {"Last-Event-ID": last})
    async with (
        httpx.AsyncClient(base_url=market.url, timeout=20) as http,
        http.stream("GET", "/v1/events", headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield messages(answer.aiter_lines())


async def life(market: RunningMarket, street: Street) -> None:
    """From requests to settled statements."""
    await street.ask()
    await street.offer()
    await street.clear(market)
    await street.settle(market)


def types(events: Sequence[Event]) -> list[str]:
    return [each.type for each in events]


async def test_each_organisation_hears_what_concerns_it_and_nothing_of_others(
    market: tuple[RunningMarket, Street],
) -> None:
    """The first aggregator is accepted, the second is not; only operators hear that readings came in."""
    running, street = market
    await life(running, street)
    accepted, rejected = street.aggregators
    (mine,) = await accepted.offers(street.auction)

    heard = await first(accepted.events(after=START), 7)
    assert types(heard) == [*PUBLIC[:4], "award.made", "auction.settled", "statement.issued"]
    assert heard[4].offers == (mine.offer.id,)  # type: ignore[union-attr]
    for client in (rejected, street.dso):
        events = client.events(after=START)
        assert types(await first(events, 5)) == PUBLIC
        assert await silent(events)
    operator = await first(street.operator.events(after=START), 6)
    assert types(operator) == [*PUBLIC[:4], "reading.received", "auction.settled"]


async def test_nothing_that_the_others_do_shows_in_what_an_organisation_receives(tmp_path: Path) -> None:
    """The same day with and without another's award: byte for byte the same to a bystander, but for random ids."""
    heard = []
    for folder, most_w in ((tmp_path / "accepted", -9_000), (tmp_path / "smaller", -8_500)):
        folder.mkdir()
        with running_market(folder, now=NOON, settings=Settings(token_ttl=timedelta(days=2))) as running:
            async with open_street(running) as street:
                await street.ask()
                await street.offer(most_w)
                await street.clear(running)
                async with raw(running, street.aggregators[1], START) as stream:
                    lines = [await anext(stream) for _ in range(5)]
                    ids = [each.id for each in lines]
                    assert len(set(ids)) == len(ids)
                    text = repr(lines)
                    requests = [each.request.id for each in await street.dso.requests(street.auction)]
                    for k, name in enumerate([street.auction, *requests, *ids]):
                        text = text.replace(str(name), f"id-{k}")
                    heard.append(text)

    assert heard[0] == heard[1]
    assert "award" not in heard[0]


async def test_events_come_as_they_happen(market: tuple[RunningMarket, Street]) -> None:
    running, street = market
    async with raw(running, street.dso) as stream:
        resume = await anext(stream)
        assert (resume.data, bool(resume.id)) == ("", True), "where to go on, before anything happened"
        started = time.monotonic()
        await street.ask()
        message = await anext(stream)

        assert message.name == "request.submitted"
        assert time.monotonic() < started + 2


async def test_a_stream_that_was_cut_goes_on_without_loss_or_doubling(market: tuple[RunningMarket, Street]) -> None:
    """Cut before the first event, and again after each: five requests are heard once each, in order."""
    running, street = market
    async with raw(running, street.dso) as stream:
        last = (await anext(stream)).id
    told = []
    for _ in range(5):
        await street.ask()
    for _ in range(5):
        async with raw(running, street.dso, last) as stream:
            assert (await anext(stream)).id == last
            message = await anext(stream)
            told.append(message.data)
            last = message.id

    submitted = [each.request.id for each in await street.dso.requests(street.auction)]
    assert [next(each for each in submitted if each in line) for line in told] == submitted


async def test_the_client_takes_up_a_stream_that_the_market_ends(tmp_path: Path) -> None:
    """Streams live as long as a token, here a second; twelve requests in four seconds are heard once each."""
    with running_market(tmp_path, now=NOON, settings=Settings(token_ttl=timedelta(seconds=1))) as running:
        async with open_street(running) as street:
            listening = asyncio.create_task(first(street.dso.events(after=START), 13))
            for _ in range(12):
                await street.ask()
                await asyncio.sleep(0.3)
            heard = await listening
            submitted = [each.request.id for each in await street.dso.requests(street.auction)]

    assert [each.request for each in heard[1:]] == submitted  # type: ignore[union-attr]


async def test_an_event_of_another_organisation_is_not_known(market: tuple[RunningMarket, Street]) -> None:
    running, street = market
    await life(running, street)
    award = (await first(street.aggregators[0].events(after=START), 5))[4]
    for unknown in (award.id, "evt_nothing"):
        with pytest.raises(MarketRefused) as refusal:
            await anext(street.aggregators[1].events(after=unknown))
        assert refusal.value.problem.kind is ProblemType.NOT_FOUND


async def test_streams_are_counted_and_a_closed_one_makes_room(market: tuple[RunningMarket, Street]) -> None:
    running, street = market
    async with contextlib.AsyncExitStack() as open_streams:
        # Kept: a stream that nobody holds any more is closed.
        streams = [await open_streams.enter_async_context(raw(running, street.dso)) for _ in range(MOST_PER_READER)]
        assert len([await anext(each) for each in streams]) == MOST_PER_READER
        with pytest.raises(MarketRefused) as refusal:
            await first(street.dso.events(), 1)
        assert refusal.value.problem.kind is ProblemType.TOO_MANY
        assert types(await first(street.operator.events(after=START), 1)) == ["auction.opened"], "others have room"

    deadline = time.monotonic() + 10
    while True:  # the server hears of a closed connection a little later
        try:
            assert types(await first(street.dso.events(after=START), 1)) == ["auction.opened"]
            return
        except MarketRefused:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def test_the_heart_of_a_quiet_stream_beats(
    market: tuple[RunningMarket, Street], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, street = market
    monkeypatch.setattr(streaming, "HEARTBEAT_S", 0.2)
    headers = await street.dso._bearer()
    async with httpx.AsyncClient(base_url=running.url) as http, http.stream("GET", "/v1/events", headers=headers) as it:
        async with asyncio.timeout(5):
            async for line in it.aiter_lines():
                if line == ": ping":
                    return


async def test_a_server_that_goes_down_does_not_wait_for_streams(tmp_path: Path) -> None:
    with contextlib.ExitStack() as serving:
        running = serving.enter_context(running_market(tmp_path, now=NOON))
        async with open_street(running) as street, raw(running, street.dso) as stream:
            await anext(stream)
            started = time.monotonic()
            await asyncio.to_thread(serving.close)
            assert [each async for each in stream] == [], "it ended, and was not cut off"

    assert time.monotonic() < started + 3


async def test_a_reader_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_PATIENCE_S", 0.1)

    async def content() -> AsyncIterator[bytes]:
        while True:
            yield b": ping\n\n"

    async def stuck(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    async with asyncio.timeout(5):
        await streaming.EventStream(content()).stream_response(stuck)
