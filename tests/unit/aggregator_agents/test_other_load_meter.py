"""A meter of the other load over HTTP: believed as long as it answers, and what else it says is no reading."""

import asyncio
from collections.abc import Callable
from itertools import count

import httpx
import pytest

from aggregator_agents.charging.serving.other_load import OtherLoadMeter
from aggregator_agents.charging.serving.other_load_table import OtherLoadTable
from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.fleet import Site

TABLE = OtherLoadTable(url="http://gateway.local/amps", rise_a=4, every_s=0.001)
SITE = Site.of("lot", chargers=2, plugs_per_charger=1, fuse_a=63, other_a=30)


def meter(answer: Callable[[httpx.Request], httpx.Response]) -> OtherLoadMeter:
    return OtherLoadMeter(TABLE, httpx.AsyncClient(transport=httpx.MockTransport(answer)))


async def test_what_the_meter_shows_makes_room_and_its_silence_takes_it_back() -> None:
    """63 A, of which 30 are kept as long as nothing is known; 10 A and what they may rise by leave 49."""
    cloud = CloudAggregator(SITE, started_s=0.0, other_rise_a=4)
    assert cloud.room_a(100.0) == (33, 33, 33)
    digits = count()

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"current_a": [10 - next(digits) % 2 / 10, -3.0, 28.5]})

    reading = asyncio.create_task(meter(answer).run(cloud, lambda: 100.0))
    while next(digits) < 5:
        await asyncio.sleep(0.001)
    reading.cancel()
    assert cloud.room_a(100.0) == (49, 59, 33)
    assert cloud.room_a(111.0) == (33, 33, 33)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(200, text="12 A"),
        httpx.Response(200, json={"current_a": [1.0, 2.0]}),
        httpx.Response(200, text='{"current_a": [NaN, 1.0, 2.0]}'),
    ],
)
async def test_anything_else_is_no_reading(answer: httpx.Response) -> None:
    assert await meter(lambda request: answer).read() is None


async def test_a_meter_that_does_not_answer_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    silent = meter(answer)
    assert [await silent.read(), await silent.read()] == [None, None]
    assert [each.getMessage() for each in caplog.records] == ["the meter of the other load: ConnectError"]
