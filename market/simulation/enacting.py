"""A scenario's calendar, tariffs and contracts, put into force on its market: by its DSO, accepted by aggregators."""

from collections.abc import Iterator, Mapping

from api_spec.client import MarketClient
from api_spec.contracts import Contract
from api_spec.tariffs import Tariff
from market.simulation.instruments import ContractTable
from market.simulation.participant import HasConnections
from market.simulation.scenario import BadScenario, Scenario
from market.simulation.world import World


async def enact(scenario: Scenario, world: World) -> None:
    """Register what is not registered yet; to be done before aggregators act, once DSOs have registered their networks.

    Raises BadScenario where a table leads to what the market or a participant does not have.
    """
    if scenario.calendar is not None:
        await dso_client(scenario, world, None).set_calendar(scenario.network_name(), scenario.calendar)
    for name, table in scenario.tariffs.items():
        client, network = dso_client(scenario, world, table.dso), scenario.network_name()
        if all(each.name != name for each in await client.tariffs(network)):
            terms = table.terms(name, network=network, zone=scenario.timezone, begins=scenario.begins)
            await client.register_tariff(terms, key=f"tariff {name}")
    for name, contract in scenario.contracts.items():
        await _agree(name, contract, scenario, world)


async def registered(scenario: Scenario, world: World) -> Mapping[str, Tariff]:
    """The scenario's tariffs as the market has them, by name."""
    if not scenario.tariffs:
        return {}
    found = await world.operator.tariffs(scenario.network_name())
    return {each.name: each for each in found if each.name in scenario.tariffs}


def dso_client(scenario: Scenario, world: World, name: str | None) -> MarketClient:
    """Of the DSO that a table names, or of the first one."""
    first = next(each for each, entry in scenario.agents.items() if entry.role == "dso")
    return world.clients[name or first]


def connections(
    scenario: Scenario, world: World, agents: tuple[str, ...], where: str
) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Name and connection points (bus to power [W]) of each of some aggregators, absent = of all.

    where : key in the scenario that asks for them. Raises BadScenario for an aggregator that does not tell its
    connection points.
    """
    for name, entry in scenario.agents.items():
        if entry.role != "aggregator" or (agents and name not in agents):
            continue
        agent = world.participants[name]
        if not isinstance(agent, HasConnections):
            raise BadScenario(f"{where}: agents.{name} does not say where its connection points are")
        yield name, agent.connections()


async def _agree(name: str, table: ContractTable, scenario: Scenario, world: World) -> None:
    client, key = dso_client(scenario, world, table.dso), f"contracts.{name}"
    at = dict(connections(scenario, world, table.agents, key))
    everywhere = {bus for points in at.values() for bus in points}
    for bus in table.buses:
        if bus not in everywhere:
            raise BadScenario(f'{key}.buses: no aggregator that it is about has a connection point at "{bus}"')
    for agent, points in at.items():
        aggregator = world.clients[agent]
        who = (await aggregator.me()).id
        for bus in points:
            if table.buses and bus not in table.buses:
                continue
            terms = table.at(
                who, bus=bus, network=scenario.network_name(), zone=scenario.timezone, begins=scenario.begins
            )
            proposed: Contract = await client.propose_contract(terms, key=f"{key} {agent} {bus}")
            if proposed.accepted_at is None:
                await aggregator.accept_contract(proposed, key=f"{key} {agent} {bus}")
