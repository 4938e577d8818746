"""How often chargers look and ask is a field of an aggregator's table: half a minute unless it says otherwise."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from aggregator_agents.agent import AggregatorConfig, EvAggregator
from aggregator_agents.emulation.cluster import MARKET_TIMING
from aggregator_agents.lease_table import LeaseTable
from api_spec.client import MarketClient
from tests.unit.aggregator_agents.places import NOON

TABLE: dict[str, Any] = {
    "network": "risoe",
    "sites": [{"buses": ["oest-04"], "fuse_a": 25, "sessions": {"arrives_h": 8, "departs_h": 20, "energy_kwh": 40}}],
    "charging": "on_arrival",
}


async def messages_of_an_hour(**leases: float) -> int:
    """Requests and leases of one charger with one vehicle that charges all the time."""
    agent = EvAggregator.build(MarketClient("http://nowhere"), {**TABLE, "leases": leases})
    sent = []
    for now in (NOON, NOON + timedelta(hours=1)):
        await agent.control(now)
        sent.append(sum(each.messages for each in agent.emulated.values()))
    return sent[1] - sent[0]


def test_a_table_that_says_nothing_is_as_ever() -> None:
    """30 s between two looks, each with a request for a lease of 120 s."""
    assert LeaseTable().timing == MARKET_TIMING == AggregatorConfig(**TABLE).leases.timing


async def test_chargers_ask_as_often_as_the_table_says() -> None:
    """An hour has 120 half minutes and 60 minutes; to every request there is a lease."""
    assert await messages_of_an_hour() == pytest.approx(2 * 120, abs=4)
    assert await messages_of_an_hour(ask_every_s=60) == pytest.approx(2 * 60, abs=4)
    assert await messages_of_an_hour(ask_every_s=5, ttl_s=10) == pytest.approx(2 * 720, abs=4)


@pytest.mark.parametrize(
    ("leases", "key", "why"),
    [
        ({"ask_every_s": 60, "ttl_s": 119}, "ttl_s", "must be at least 120, twice ask_every_s"),
        ({"ttl_s": 59.9}, "ttl_s", "must be at least 60, twice ask_every_s"),
        ({"ttl_s": 601}, "ttl_s", "less than or equal to 600"),
        ({"ask_every_s": 61}, "ask_every_s", "less than or equal to 60"),
        ({"ask_every_s": 0.5}, "ask_every_s", "greater than or equal to 1"),
    ],
)
def test_leases_that_would_end_too_soon_or_last_too_long_are_refused_where_they_stand(
    leases: dict[str, float], key: str, why: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        AggregatorConfig.model_validate({**TABLE, "leases": leases})
    (line,) = refused.value.errors()
    assert line["loc"] == ("leases", key)
    assert why in line["msg"]
