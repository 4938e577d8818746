"""V1G, V2G, V2H and V2B as they ship, each on the hours of its day that matter, in half hours."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from aggregator_agents.agent import EvAggregator
from aggregator_agents.emulation.cluster import EmulatedCluster
from aggregator_agents.fleet import FloatArray, Session
from aggregator_agents.premises import Premises
from aggregator_agents.retail import RetailPrices
from aggregator_agents.sessions import announced
from api_spec.period import MarketPeriod
from market.simulation import SCENARIOS
from market.simulation.outcome import Outcome
from market.simulation.run import simulate
from market.simulation.scenario import Scenario, read_scenario

HALF_HOUR = timedelta(minutes=30)
FLOOR_WH = 100.0
"""What a vehicle feeds back at 11 kW while its charger has read it and the pilot takes effect, and a little more."""


@dataclass(frozen=True)
class Day:
    """One aggregator's part of a run; everything at the bus of its site."""

    outcome: Outcome
    agent: EvAggregator

    @property
    def bus(self) -> str:
        (bus,) = self.agent.emulated
        return bus

    @property
    def delivery(self) -> MarketPeriod:
        return self.outcome.auction.delivery

    @property
    def cluster(self) -> EmulatedCluster:
        return self.agent.emulated[self.bus]

    @property
    def sessions(self) -> Mapping[str, Session]:
        (table,) = self.agent.config.sites
        (site,) = table.sites()
        coming = announced(site, table.sessions, self.delivery, seed=self.agent.config.seed)
        return {each.id: each for each in coming}

    @property
    def premises(self) -> Premises:
        (table,) = self.agent.config.sites
        return table.behind(table.sites()[0], seed=self.agent.config.seed)

    @property
    def drawn_w(self) -> FloatArray:
        """At the connection."""
        return self.outcome.drawn_w[self.bus]

    @property
    def vehicles_w(self) -> FloatArray:
        return self.cluster.mean_w(self.delivery.start, self.delivery.resolution, self.delivery.count)

    def ordered_w(self, name: str) -> FloatArray:
        awards = self.outcome.fleets[name].awards
        return np.sum([each.power_w for each in awards], axis=0) if awards else np.zeros(self.delivery.count)

    def delivered(self, name: str) -> float:
        """Share of what was ordered."""
        statement = self.outcome.fleets[name].statement
        assert statement is not None, "something was sold"
        ordered, there = (
            sum(abs(getattr(line, key)) for line in statement.lines) for key in ("ordered_w", "delivered_w")
        )
        return float(there / ordered)


def shortened(
    name: str, *, from_h: float, hours: float, only: str, sessions: Mapping[str, float], asks: bool
) -> Scenario:
    """A shipped scenario from `from_h` after its delivery begins, with its grid and one aggregator.

    sessions : what is otherwise about who comes, so that all comes and goes in these hours. asks : whether the DSO has
    anything to ask for.
    """
    whole = read_scenario(SCENARIOS / f"{name}.toml")
    start = whole.delivery.start + timedelta(hours=from_h)
    gate = start - timedelta(hours=1)
    fleet, grid = whole.agents[only], whole.agents["grid"]
    (site,) = fleet.config["sites"]
    shorter = {**site, "sessions": {**site["sessions"], **sessions}}
    asking = {**grid.config["asking"], "shoulder": 1}
    margins = grid.config["margins"] if asks else {"current": 0.0, "voltage_pu": 0.0}
    return whole.model_copy(
        update={
            "begins": gate - timedelta(hours=2),
            "gate_closure": gate,
            "delivery": MarketPeriod(start=start, resolution=HALF_HOUR, count=round(hours * 2)),
            "agents": {
                "grid": grid.model_copy(update={"config": {**grid.config, "asking": asking, "margins": margins}}),
                only: fleet.model_copy(update={"config": {**fleet.config, "sites": [shorter]}}),
            },
        }
    )


def run(name: str, only: str, *, from_h: float, hours: float, asks: bool = True, **sessions: float) -> Day:
    scenario = shortened(name, from_h=from_h, hours=hours, only=only, sessions=sessions, asks=asks)
    with TemporaryDirectory() as folder:
        outcome = asyncio.run(simulate(scenario, folder=Path(folder))).last
    agent = outcome.agents[only]
    assert isinstance(agent, EvAggregator)
    return Day(outcome, agent)


@cache
def v1g() -> Day:
    return run("risoe-day", "parking-lot", from_h=1, hours=6, departs_h=12.5, departs_std_h=0.2, energy_kwh=9)


@cache
def v2g() -> Day:
    return run("risoe-v2g", "parking-lot", from_h=1, hours=6, departs_h=12.7, departs_std_h=0.1, presence=0.4)


@cache
def v2h() -> Day:
    """The house alone, into the night."""
    return run(
        "house-v2h", "house", from_h=2, hours=11, asks=False, arrives_std_h=0.1, departs_h=0.7, departs_std_h=0.1
    )


@cache
def v2h_asked() -> Day:
    """The same in the evening, while the cable of its street is damaged."""
    return run("house-v2h", "house", from_h=4, hours=9, departs_h=0.7, departs_std_h=0.1)


@cache
def v2b() -> Day:
    return run("office-v2b", "office", from_h=1, hours=7, departs_h=13.7, departs_std_h=0.1, presence=0.5, energy_kwh=9)


@pytest.mark.parametrize("day", [v1g, v2g, v2h, v2h_asked, v2b])
def test_no_fuse_carries_more_than_it_may_and_no_driver_goes_without(day: object) -> None:
    """On every phase and at every instant, with everything behind the meter; and all that left had what they wanted."""
    assert callable(day)
    here: Day = day()
    assert here.cluster.plant.fuse.above_as == 0
    left = [each for each in here.agent.driver_report() if here.delivery.start <= each.departs <= here.delivery.end]
    assert len(left) >= 2
    assert sum(each.delivered_wh for each in left) >= 0.94 * sum(each.asked_wh for each in left)


def test_v1g_only_charges() -> None:
    lot = v1g()
    assert (lot.vehicles_w >= 0).all()
    assert lot.ordered_w("parking-lot").min() < -1_000
    assert lot.delivered("parking-lot") >= 0.9


def test_v2g_feeds_back_what_it_sold_from_vehicles_that_can_and_not_below_what_drivers_keep() -> None:
    lot = v2g()
    assert lot.vehicles_w.min() < -5_000, "the lot is a source when the campus needs one"
    assert lot.delivered("parking-lot") >= 0.9
    fed = [each for each in lot.agent.driver_report() if each.fed_wh > 0]
    assert sum(each.fed_wh for each in fed) > 5_000
    for each in fed:
        assert lot.sessions[each.session].vehicle.discharge_a > 0
        assert each.lowest_wh >= lot.sessions[each.session].floor_wh - FLOOR_WH


def uncontrolled_w(day: Day) -> FloatArray:
    """(period,) the connection if every vehicle charged at full power from its arrival on."""
    total: FloatArray = day.premises.metered_w(day.delivery).sum(axis=1)
    edges_h = 0.5 * np.arange(day.delivery.count + 1)
    for each in day.sessions.values():
        begin_h = (each.arrives - day.delivery.start) / timedelta(hours=1)
        charged_wh = np.clip((edges_h - begin_h) * each.max_w, 0.0, each.energy_wh)
        total = total + np.diff(charged_wh) / 0.5
    return total


def test_v2h_buys_less_and_cheaper_than_vehicles_that_charge_when_they_come() -> None:
    """The evening's load, 17 to 21 o'clock, comes from the batteries, though nothing of what they keep is touched."""
    house = v2h()
    retail: RetailPrices | None = house.agent.config.sites[0].prices
    assert retail is not None
    usual_w, drawn_w = uncontrolled_w(house), house.drawn_w
    assert np.maximum(drawn_w, 0).sum() < np.maximum(usual_w, 0).sum()
    assert retail.cost_eur(drawn_w, house.delivery) < 0.98 * retail.cost_eur(usual_w, house.delivery)
    evening = slice(6, 14)
    assert np.maximum(drawn_w, 0)[evening].sum() < 0.25 * np.maximum(usual_w, 0)[evening].sum()
    fed = [each for each in house.agent.driver_report() if each.fed_wh > 0]
    assert sum(each.fed_wh for each in fed) > 1_000
    assert all(each.lowest_wh >= house.sessions[each.session].floor_wh - FLOOR_WH for each in fed)


def test_v2h_sells_what_is_left_in_front_of_the_meter() -> None:
    house = v2h_asked()
    assert house.ordered_w("house").min() < -1_000
    assert house.delivered("house") >= 0.8


def test_v2b_sells_at_the_connection_what_an_office_and_its_lot_can_do_together() -> None:
    """Readings are of the connection: vehicles and office and sun, and so is what was delivered."""
    office = v2b()
    assert office.ordered_w("office").min() < -1_000
    assert office.delivered("office") >= 0.9
    readings = office.outcome.fleets["office"].readings
    metered = np.concatenate([each.buses[0].power_w for each in readings])
    together = office.vehicles_w + office.premises.metered_w(office.delivery).sum(axis=1)
    assert metered == pytest.approx(together, abs=1)
    assert metered == pytest.approx(office.drawn_w, abs=1)


def test_v2b_takes_the_sun_of_the_roof_before_it_buys() -> None:
    """Alone, office and roof would feed in more than they do together with the lot."""
    office = v2b()
    alone = office.premises.metered_w(office.delivery).sum(axis=1)
    assert np.maximum(-office.drawn_w, 0).sum() < np.maximum(-alone, 0).sum()
