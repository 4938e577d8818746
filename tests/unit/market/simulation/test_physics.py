"""What really flows, on a street of one cable and one home."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from api_spec.grid import Network
from api_spec.period import MarketPeriod
from market.network.feeders import feeder
from market.network.sources import Snapshot
from market.network.surroundings import Surroundings, SurroundingsTable
from market.simulation.physical_tables import physical_tables
from market.simulation.physics import PhysicsTable, Truth

QUARTERS = MarketPeriod(start=datetime(2026, 1, 15, tzinfo=UTC), resolution=timedelta(minutes=15), count=2)
STREET = {
    "name": "street",
    "phases": 1,
    "source": {"bus": "grid"},
    "buses": [
        {"id": "grid", "nominal_v": 400},
        {"id": "bar", "nominal_v": 400},
        {"id": "home", "nominal_v": 400, "min_pu": 0.985},
    ],
    "lines": [{"id": "cable", "from": "bar", "to": "home", "r_ohm": 0.1, "x_ohm": 0, "rating_a": 20}],
    "transformers": [{"id": "station", "from": "grid", "to": "bar", "rated_va": 20_000, "vk_percent": 0.001}],
}


@dataclass
class Charger:
    """Draws 30 kW in the first five minutes, nothing in the next ten, then 9 kW."""

    bus: str = "home"

    def drawn_w(self, period: MarketPeriod) -> Mapping[str, np.ndarray]:
        return {self.bus: np.array([30_000.0, 0, 0, 9000, 9000, 9000]).reshape(period.count, -1).mean(axis=1)}


def truth(minutes: int, network: Mapping[str, object] = STREET) -> Truth:
    around = Surroundings(Snapshot(Network.model_validate(network), ()), SurroundingsTable())
    return Truth.of(around, [Charger()], QUARTERS, PhysicsTable(step=timedelta(minutes=minutes)))


def test_voltage_current_and_losses_behind_one_cable() -> None:
    """9 kW over 0.1 ohm at 400 V: V (1 - V) = 0.005625 gives 0.99434 pu, 13.064 A, and 3 x 0.1 x 13.064^2 = 51.2 W."""
    points = truth(5).points
    voltage = (1 + np.sqrt(1 - 4 * 0.005625)) / 2
    current_a = 9000 / (np.sqrt(3) * 400 * voltage)
    home, cable = points.grid.bus_at["home"], points.grid.branch_at["cable"]
    assert points.voltage_pu[-1, home] == pytest.approx(voltage, abs=1e-5)
    assert points.current_a[-1, cable] == pytest.approx(current_a, rel=1e-4)
    assert points.losses_w[-1] == pytest.approx(0.3 * current_a**2, rel=1e-2)


def test_a_quarter_of_an_hour_hides_what_five_minutes_show() -> None:
    """30 kW for 5 min: 44 A in a cable for 20 A, and 0.98 pu where 0.985 is the least. Its quarter's 10 kW fit."""
    fine, coarse = truth(5), truth(15)
    assert (coarse.overloads.count, coarse.voltage_violations.count) == (0, 0)
    assert (fine.overloads.count, fine.overloads.minutes) == (2, 10.0), "the cable and the transformer"
    assert fine.overloads.depth == pytest.approx(44.14 / 20 - 1, abs=0.001)
    assert (fine.voltage_violations.count, fine.voltage_violations.minutes) == (1, 5.0)
    assert fine.voltage_violations.depth == pytest.approx(0.985 - 0.98089, abs=1e-4)


def test_the_sources_own_voltage_is_no_violation() -> None:
    """1.12 pu are given: 0.02 too much at the two buses behind it, for half an hour each, and none of the source."""
    outside = truth(15, {**STREET, "source": {"bus": "grid", "voltage_pu": 1.12}}).voltage_violations
    assert (outside.count, outside.minutes) == (2, 60)


def test_the_mean_of_steps_is_the_markets_period() -> None:
    fine = truth(5)
    assert fine.mean_points(QUARTERS).p_w.sum(axis=1) == pytest.approx([10_000, 9000])


def test_tables_tell_the_same() -> None:
    fine = truth(5)
    tables = physical_tables(fine)
    assert tables["physical_network"]["drawn_w"].to_pylist() == [30_000, 0, 0, 9000, 9000, 9000]
    violations = tables["violations"].to_pylist()
    assert [(each["kind"], each["where"], each["minutes"]) for each in violations] == [
        ("current", "cable", 5.0),
        ("current", "station", 5.0),
        ("voltage", "home", 5.0),
    ]
    assert all(each["start"] == QUARTERS.start for each in violations)
    hot = tables["transformers"].to_pydict()
    assert hot["hot_spot_c"][0] > hot["oil_c"][0] > hot["ambient_c"][0]
    assert len(tables["physical_elements"]) == 2 * 6
    assert len(tables["physical_voltages"]) == 3 * 6


def test_a_transformer_ages_by_its_own_temperature() -> None:
    fine = truth(5)
    rates = np.array(physical_tables(fine)["transformers"]["ageing_rate"].to_pylist())
    assert fine.ageing.lost_h == pytest.approx([rates.sum() * 5 / 60])


def test_steps_are_never_longer_than_the_markets_periods() -> None:
    table = PhysicsTable(step=timedelta(minutes=15))
    minutes = MarketPeriod(start=QUARTERS.start, resolution=timedelta(minutes=1), count=30)
    assert table.steps(minutes) == minutes


@dataclass
class OnePhase(Charger):
    """The same, all of it on phase b."""

    def drawn_by_phase_w(self, period: MarketPeriod) -> Mapping[str, np.ndarray]:
        return {bus: np.outer(power_w, [0, 1, 0]) for bus, power_w in self.drawn_w(period).items()}


def test_on_three_phases_it_counts_in_which_one_is_drawn() -> None:
    """9 kW on one phase are 39 A where 3 x 3 kW are 13 A: only the one phase of the home sags."""
    three = feeder("risoe-three-phase")
    around = Surroundings(Snapshot(three.network, ()), SurroundingsTable())
    bus = three.network.buses[-1].id
    one, all_three = (
        Truth.of(around, [each], QUARTERS, PhysicsTable()).points for each in (OnePhase(bus), Charger(bus))
    )
    at = one.grid.connected(bus, None)
    assert one.voltage_pu[-1, at[1]] < all_three.voltage_pu[-1, at[1]] - 0.005
    assert one.voltage_pu[-1, at[0]] > all_three.voltage_pu[-1, at[0]]
    assert np.nanmax(one.current_a[-1]) == pytest.approx(3 * np.nanmax(all_three.current_a[-1]), rel=0.1)
