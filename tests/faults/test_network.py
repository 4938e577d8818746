"""What a network can do to a client and a market: what the client heard is what is there, once, in bounded time."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest

from api_spec.client import MarketClient, MarketUnreachable
from api_spec.metering import BaselineNomination, BusPower
from api_spec.problem import Problem
from api_spec.transport import ATTEMPTS
from market.api.timely import TimelyProtocol
from market.settings import Settings
from tests.bad_network import BadNetwork, Fault
from tests.everything import OFFER
from tests.running_market import RunningMarket, running_market
from tests.street_auction import NOON, Street, open_street

FAULTS: tuple[Fault, ...] = get_args(Fault)
PAIRS = [(each, after) for at, each in enumerate(FAULTS) for after in (each, FAULTS[at - 1])]


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningMarket]:
    monkeypatch.setattr(TimelyProtocol, "head_within_s", 0.3)
    monkeypatch.setattr("api_spec.transport.FIRST_WAIT_S", 0.01)
    settings = Settings(body_within=timedelta(seconds=0.3), most_at_once=20)
    with running_market(tmp_path, now=NOON, settings=settings) as running:
        yield running


async def nominated(street: Street) -> None:
    nomination = BaselineNomination(buses=(BusPower(bus="far", power_w=(10_000, 10_000)),))
    await street.aggregators[0].nominate_baseline(street.auction, nomination)


async def test_after_any_two_faults_an_offer_is_there_once_and_its_receipt_is_heard(market: RunningMarket) -> None:
    """Two attempts meet a fault each, the same or two different ones; the third gets through."""
    async with open_street(market) as street, BadNetwork(market.url) as network:
        await nominated(street)
        credentials = street.aggregators[0]._credentials
        heard = []
        for number, pair in enumerate(PAIRS):
            async with MarketClient(network.url, credentials, timeout_s=0.6) as client:
                client._token = (await street.aggregators[0]._bearer())["Authorization"].removeprefix("Bearer ")
                network.faults[:] = pair
                began = time.monotonic()
                receipt = await client.submit_offer(street.auction, OFFER, key=f"key-{number}")
                assert time.monotonic() - began < 10
                heard.append(receipt.offer.id)
                network.faults.clear()
        there = [each.offer.id for each in await street.aggregators[0].offers(street.auction)]

        assert sorted(there) == sorted(heard)
        assert len(set(heard)) == len(PAIRS) == 16
        assert set(network.met) == set(FAULTS)


async def test_a_client_gives_up_in_bounded_time_and_can_ask_again_under_its_key(market: RunningMarket) -> None:
    async with open_street(market) as street, BadNetwork(market.url, ["silent"] * ATTEMPTS) as network:
        await nominated(street)
        async with MarketClient(network.url, street.aggregators[0]._credentials, timeout_s=0.3) as client:
            client._token = (await street.aggregators[0]._bearer())["Authorization"].removeprefix("Bearer ")
            with pytest.raises(MarketUnreachable):
                await asyncio.wait_for(client.submit_offer(street.auction, OFFER, key="key"), 10)
            receipt = await client.submit_offer(street.auction, OFFER, key="key")
        (there,) = await street.aggregators[0].offers(street.auction)
        assert there.offer.id == receipt.offer.id


def connected(url: str) -> socket.socket:
    there = urlsplit(url)
    return socket.create_connection((there.hostname or "", there.port or 0), timeout=10)


def heard(connection: socket.socket) -> bytes:
    """All that the market says until it hangs up."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    "begun", [b"", b"G", b"GET /health HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea"]
)
def test_a_head_that_does_not_end_is_hung_up_on(market: RunningMarket, begun: bytes) -> None:
    with connected(market.url) as connection:
        connection.sendall(begun)
        answer = heard(connection)
    assert answer.count(b"HTTP/1.1 200") == begun.count(b"\r\n\r\n")


HEAD = b"POST /v1/auctions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "begun", [HEAD + b"Content-Length: 10\r\n\r\n{", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
def test_a_body_that_does_not_end_is_answered_408(market: RunningMarket, begun: bytes) -> None:
    with connected(market.url) as connection:
        connection.sendall(begun)
        head, _, body = heard(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert Problem.model_validate_json(body).detail == "a body must be there within 0.3 s"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-Flood: " + b"x" * 200_000 + b"\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 50_000 + b"\r\n", b"400"),
        (HEAD + b"Content-Length: -1\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b"400"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}", b"400"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
    ],
)
def test_what_is_no_http_is_refused(market: RunningMarket, sent: bytes, status: bytes) -> None:
    with connected(market.url) as connection:
        try:
            connection.sendall(sent)
            answer = heard(connection)
        except ConnectionError:
            return  # hung up on while it was still sending
    assert answer.startswith(b"HTTP/1.1 " + status) or answer == b"", answer[:100]


def test_requests_in_one_packet_are_answered_in_their_order(market: RunningMarket) -> None:
    with connected(market.url) as connection:
        asked = [b"/health", b"/v1/nothing", b"/health"]
        connection.sendall(b"".join(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n" for path in asked))
        answer = heard(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"404", b"200"]


async def test_a_hundred_slow_clients_hold_up_nobody_and_leave_nothing(market: RunningMarket) -> None:
    """More than the twenty that may be worked on at once; half of them end their side and wait."""
    async with open_street(market) as street:
        await nominated(street)
        threads = threading.active_count()
        slow = []
        for number in range(100):
            connection = connected(market.url)
            connection.sendall(HEAD[: 40 + number % 30])
            if number % 2:
                connection.shutdown(socket.SHUT_WR)
            slow.append(connection)
        receipt = await street.aggregators[0].submit_offer(street.auction, OFFER)
        for each in slow:
            await asyncio.to_thread(heard, each)
            each.close()

        assert [each.offer.id for each in await street.aggregators[0].offers(street.auction)] == [receipt.offer.id]
        assert threading.active_count() <= threads + 60, "no thread for each client"
