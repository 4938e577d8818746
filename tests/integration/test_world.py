"""A scenario's world: the real market in virtual time, with the agents that the scenario names."""

from datetime import timedelta
from pathlib import Path

import pytest

from api_spec.client import MarketClient
from market.api.inside import BASE_URL
from market.settings import Settings
from market.simulation.scenario import BadScenario, Scenario
from market.simulation.world import world_of
from tests.integration.test_dso_agent import EVENING_BEFORE, GATE, config
from tests.unit.dso_agents.street import DAY


def scenario(folder: Path, *, agent: str = "dso_agents.agent:DsoAgent") -> Scenario:
    known = config(folder)
    opens = known.pop("opens")
    return Scenario.model_validate(
        {
            "name": "street-day",
            "feeder": "street",
            "begins": EVENING_BEFORE,
            "gate_closure": GATE,
            "delivery": DAY.model_dump(),
            "product": opens["product"],
            "agents": {"grid": {"role": "dso", "agent": agent, "config": known}},
        }
    )


async def test_the_agents_of_a_scenario_act_on_a_market_whose_time_it_moves(tmp_path: Path) -> None:
    async with world_of(scenario(tmp_path), folder=tmp_path, settings=Settings()) as world:
        assert world.clock.now() == EVENING_BEFORE
        await world.participants["grid"].cycle(world.clock.now())
        (auction,) = await world.operator.auctions(state="open")
        assert auction.gate_closure == GATE

        world.clock.advance_to(GATE + timedelta(minutes=1))
        assert (await world.operator.clear(auction.id)).state == "published"
        async with MarketClient(BASE_URL, None, transport=world.market.transport) as anybody:
            with pytest.raises(Exception, match="401"):
                await anybody.me()

    assert (tmp_path / "market.db").exists(), "the day's market stays to be looked at"


async def test_a_scenario_with_an_unknown_agent_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadScenario, match="no agent"):
        async with world_of(scenario(tmp_path, agent="nowhere:Agent"), folder=tmp_path, settings=Settings()):
            pass

    assert not (tmp_path / "market.db").exists()
