from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from api_spec.case import Injection
from api_spec.grid import Network
from api_spec.grid_metering import GridReading, Quantity
from api_spec.period import MarketPeriod
from dso_agents.measured import Expectation, Measured, nothing_measured
from dso_agents.measuring import measured
from dso_agents.meter_history import MeterHistory
from dso_agents.state_estimation import estimate
from dso_agents.state_solvers import BalancedEstimator, LeastSquares
from market.network import Grid, operating_points
from market.network.model import FloatArray
from tests.small_cases import Document, line

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def chain(*, phases: int = 1, r_ohm: float = 0.05) -> Network:
    """400 V: source s, then a and b at equal cables. Nothing is connected at the joint j between a and b."""
    buses: list[Document] = [{"id": name, "nominal_v": 400.0} for name in ("a", "b", "j", "s")]
    ends = [("1", "s", "a"), ("2", "a", "j"), ("3", "j", "b")]
    if phases == 1:
        cables = [line(name, start, end, r_ohm=r_ohm, x_ohm=r_ohm / 2) for name, start, end in ends]
    else:
        sequence = {"r1_ohm": r_ohm, "x1_ohm": r_ohm / 2, "r0_ohm": 3 * r_ohm, "x0_ohm": r_ohm}
        cables = [{"id": name, "from": start, "to": end, **sequence} for name, start, end in ends]
    return Network.model_validate(
        {"name": "chain", "phases": phases, "source": {"bus": "s"}, "buses": buses, "lines": cables}
    )


def loads(count: int = 1, **p_w: float) -> tuple[Injection, ...]:
    return tuple(Injection(bus=bus, p_w=(p,) * count, q_var=(p / 5,) * count) for bus, p in p_w.items())


def meter(known: Measured, bus: str, p_w: FloatArray | float, *, sigma_w: float) -> None:
    """Active power alone, on a balanced network."""
    at = known.grid.bus_at[bus]
    known.metered.value[:, at, 0], known.metered.sigma[:, at, 0] = p_w, sigma_w


def meter_cable(known: Measured, name: str, p_w: FloatArray | float, *, sigma_w: float) -> None:
    """What flows into a cable at the end that is nearer to the source."""
    at = known.grid.branch_at[name]
    known.flow.value[:, 0, at, 0, 0], known.flow.sigma[:, 0, at, 0, 0] = p_w, sigma_w


@pytest.mark.parametrize("phases", [1, 3])
def test_exact_measurements_give_the_power_flow_back(phases: int) -> None:
    """Whatever was expected; in three phases each has another load."""
    grid = Grid.of(chain(phases=phases))
    share = np.tile(np.array([[0.2], [0.3], [0.5]]), (grid.buses, 1)) * 3 if phases == 3 else 1.0
    power = np.stack(grid.consumption(loads(a=12_000, b=8_000), 1), axis=-1) * share
    exact = operating_points(grid, power[..., 0], power[..., 1])
    known = nothing_measured(grid, loads(a=9_000, b=9_000), 1, Expectation())
    at = known.expected.known
    known.metered.value[at], known.metered.sigma[at] = power[at], 1.0
    known.voltage.value[:], known.voltage.sigma[:] = exact.voltage_pu, 1e-5
    exact_expectation = replace(known, expected=replace(known.expected, value=power), source_pu=1e-3)

    found = estimate(exact_expectation)

    assert found.points.voltage == pytest.approx(exact.voltage, abs=1e-6)
    assert found.points.p_w == pytest.approx(power[..., 0], abs=1e-3)
    assert found.objective == pytest.approx(0, abs=1e-6)
    assert found.removed == ()


def test_two_equally_good_measurements_of_a_power_meet_in_the_middle_and_halve_its_variance() -> None:
    """Expected 10 kW, metered 12 kW, each give or take 1 kW: 11 kW, give or take 707 W."""
    known = nothing_measured(Grid.of(chain()), loads(b=10_000), 1, Expectation(relative=0.1, least_w=1))
    known.expected.sigma[np.isfinite(known.expected.sigma)] = 1_000
    meter(known, "b", 12_000, sigma_w=1_000)

    found = estimate(known)

    b = found.used.grid.bus_at["b"]
    assert found.power_w[0, b] == pytest.approx(11_000, abs=0.01)
    assert found.power_sigma_w[0, b] == pytest.approx(1_000 / np.sqrt(2), rel=1e-4)
    assert found.freedom.tolist() == [1]
    assert found.objective[0] == pytest.approx(2, abs=1e-3)  # each is off by one sigma


def test_every_further_instrument_makes_the_estimate_better() -> None:
    """The flow at the source tells a + b: their sum gets certain, and with a meter at a, b as well."""
    grid = Grid.of(chain(r_ohm=1e-4))
    expected = loads(a=10_000, b=10_000)
    none, source, both = (nothing_measured(grid, expected, 1, Expectation()) for _ in range(3))
    for known in (source, both):
        meter_cable(known, "1", 22_000, sigma_w=50)
    meter(both, "a", 9_000, sigma_w=20)

    a, b = grid.bus_at["a"], grid.bus_at["b"]
    sigmas = [estimate(known).power_sigma_w[0, [a, b]] for known in (none, source, both)]
    found = estimate(both)

    assert sigmas[0] == pytest.approx(5_000 * np.array([1, 1]) * np.sqrt(1 + 0.2**2), rel=1e-6)
    assert sigmas[1] == pytest.approx(sigmas[0] / np.sqrt(2), rel=1e-2)
    assert sigmas[2] == pytest.approx([20, np.hypot(20, 50)], rel=1e-2)
    assert found.power_w[0, [a, b]] == pytest.approx([9_000, 13_000], abs=30)
    assert found.observed[0, [a, b]].tolist() == [True, True]
    assert estimate(none).observed[0, [a, b]].tolist() == [False, False]


@pytest.mark.parametrize("r_ohm", [1e-4, 0.05])
def test_a_gross_error_is_found_and_its_value_filled_from_the_others(r_ohm: float) -> None:
    """Loads a and b draw 10 kW each, and the cables are metered; the meter at b says 16 kW.

    Without it, b is good for 40 W of the cable before it, and for 50 W of what flows in less a: for 31 W together.
    """
    grid = Grid.of(chain(r_ohm=r_ohm))
    exact = operating_points(grid, *grid.consumption(loads(a=10_000, b=10_000), 1))
    into_w = (exact.voltage[0, grid.from_bus] * exact.current_from[0, :, 0].conj()).real * 1e6
    known = nothing_measured(grid, loads(3, a=10_000, b=10_000), 3, Expectation(relative=0.3))
    meter(known, "a", 10_000, sigma_w=30)
    meter(known, "b", np.array([10_000, 16_000, 10_000]), sigma_w=30)
    for name in ("1", "2"):
        meter_cable(known, name, into_w[grid.branch_at[name]], sigma_w=40)

    found = estimate(known)

    b = grid.bus_at["b"]
    assert [(each.period, each.kind, each.place) for each in found.removed] == [(1, "metered", (b,))]
    assert found.power_w[:, b] == pytest.approx([10_000] * 3, abs=1)
    assert found.power_sigma_w[1, b] == pytest.approx(31.2, rel=0.1)
    assert (found.probability > 0.5).all()


def test_errors_are_as_large_as_they_are_said_to_be() -> None:
    """Of 200 draws of loads and readings: squared errors are sigma^2 on average, and the objective its freedom."""
    rng, count, grid = np.random.default_rng(1), 200, Grid.of(chain())
    expected = nothing_measured(grid, loads(count, a=10_000, b=10_000), count, Expectation(relative=0.2))
    known = replace(expected, source_pu=1e-6)
    at, power = known.expected.known, known.expected.value.copy()
    power[at] += known.expected.sigma[at] * rng.standard_normal(at.sum())
    real = operating_points(grid, power[..., 0], power[..., 1])
    a, b = grid.bus_at["a"], grid.bus_at["b"]
    meter(known, "a", power[:, a, 0] + 300 * rng.standard_normal(count), sigma_w=300)
    meter_cable(known, "1", real.source_w + 400 * rng.standard_normal(count), sigma_w=400)
    known.voltage.value[:, b], known.voltage.sigma[:, b] = real.voltage_pu[:, b], 1e-3
    known.voltage.value[:, b] += 1e-3 * rng.standard_normal(count)

    found = estimate(known, threshold=1e9)

    power_off = (found.power_w - power[..., 0])[:, [a, b]] / found.power_sigma_w[:, [a, b]]
    voltage_off = (found.points.voltage_pu - real.voltage_pu)[:, b] / found.voltage_sigma_pu[:, b]
    current_off = (found.points.current_a - real.current_a)[:, 2] / found.current_sigma_a[:, 2]
    assert np.mean(power_off**2, axis=0) == pytest.approx([1, 1], abs=0.3)
    assert np.mean(voltage_off**2) == pytest.approx(1, abs=0.3)
    assert np.mean(current_off**2) == pytest.approx(1, abs=0.3)
    assert found.objective.mean() == pytest.approx(3, abs=0.3)


def test_power_grid_models_estimator_and_least_squares_on_its_power_flow_agree() -> None:
    grid = Grid.of(chain())
    known = nothing_measured(grid, loads(2, a=10_000, b=10_000), 2, Expectation())
    meter(known, "a", np.array([8_000, 12_000]), sigma_w=100)
    meter_cable(known, "1", 25_000, sigma_w=300)
    known.voltage.value[:, grid.bus_at["b"]], known.voltage.sigma[:, grid.bus_at["b"]] = 0.96, 0.003

    assert LeastSquares(grid).voltage(known) == pytest.approx(BalancedEstimator(known).voltage(known), abs=1e-6)


def reading(
    values: tuple[float | None, ...],
    quantity: Quantity,
    *,
    bus: str | None = None,
    element: str | None = None,
    accuracy_class: float = 3.0,
) -> GridReading:
    """Of a class that makes sigma a hundredth of the value."""
    return GridReading(
        meter="m",
        bus=bus,
        element=element,
        end="from" if element else None,
        quantity=quantity,
        start=NOON,
        resolution=timedelta(minutes=15),
        values=values,
        accuracy_class=accuracy_class,
    )


def test_readings_become_measurements_and_gaps_stay_expected() -> None:
    """12 kW of class 3 are good for 120 W; a voltage of 390 V is 0.975 pu; what is not on the network is left out."""
    grid, history = Grid.of(chain()), MeterHistory()
    history.add(
        [
            reading((12_000, None), "p_w", bus="a"),
            reading((390, 392), "voltage_v", bus="b"),
            reading((20_000, 21_000), "p_w", element="1"),
            reading((5_000, 5_000), "p_w", bus="elsewhere"),
        ]
    )
    period = MarketPeriod(start=NOON, resolution=timedelta(minutes=15), count=2)

    known = measured(grid, history, period, loads(2, a=10_000, b=10_000), Expectation())

    a, b = grid.bus_at["a"], grid.bus_at["b"]
    assert known.metered.value[:, a, 0].tolist() == [12_000, 0]
    assert known.metered.sigma[:, a, 0].tolist() == [pytest.approx(120), np.inf]
    assert known.voltage.value[:, b] == pytest.approx([0.975, 0.98])
    assert known.flow.value[:, 0, 0, 0, 0] == pytest.approx([20_000, 21_000])
    assert known.metered.known.sum() == 1
    assert known.expected.value[:, [a, b], 0] == pytest.approx(10_000)


def test_amperes_count_as_power_at_the_expected_power_factor() -> None:
    """30 A at 400 V and a power factor of 0.8 are sqrt(3) x 400 x 30 = 20.8 kVA: 16.6 kW and 12.5 kvar."""
    grid, history = Grid.of(chain()), MeterHistory()
    history.add([reading((30,), "current_a", element="1")])
    period = MarketPeriod(start=NOON, resolution=timedelta(minutes=15), count=1)

    known = measured(grid, history, period, loads(a=10_000), Expectation(power_factor=0.8, angle_sigma_rad=0))

    assert known.flow.value[0, 0, 0, 0] == pytest.approx(np.sqrt(3) * 400 * 30 * np.array([0.8, 0.6]))
    assert known.flow.sigma[0, 0, 0, 0] == pytest.approx(known.flow.value[0, 0, 0, 0] / 100)


def test_a_total_of_three_phases_counts_as_a_third_in_each() -> None:
    grid, history = Grid.of(chain(phases=3)), MeterHistory()
    history.add([reading((12_000,), "p_w", bus="a")])
    period = MarketPeriod(start=NOON, resolution=timedelta(minutes=15), count=1)

    known = measured(grid, history, period, loads(a=10_000), Expectation(unbalance=0.3))

    at = grid.connected("a", None)
    assert known.metered.value[0, at, 0].tolist() == [4_000] * 3
    assert known.metered.sigma[0, at, 0] == pytest.approx([np.hypot(120, 3_600) / 3] * 3)
