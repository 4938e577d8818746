"""The shipped three-phase feeders: what was published about them, held against power-grid-model phase by phase."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from power_grid_model import ComponentType, DatasetType, LoadGenType, PowerGridModel, WindingType, initialize_array

from api_spec.case import Case
from api_spec.grid import Network
from api_spec.period import MarketPeriod
from market.network import Grid, operating_points
from market.network.feeders import BusDay, Feeder, LoadDay, feeder, make_european_lv, make_risoe_three_phase

PHASES: Final = "abc"
THREE_PHASE: Final = ("european-lv", "risoe-three-phase")
QUARTER: Final = timedelta(minutes=15)
DAY: Final = MarketPeriod(start=datetime(2026, 1, 14, 0, tzinfo=UTC), resolution=QUARTER, count=96)
PEAK: Final = 37  # 09:15 to 09:30, with minute 566
TURN: Final = np.exp(2j * np.pi / 3)


def voltages(network: Network, p_w: npt.NDArray[Any], q_var: npt.NDArray[Any]) -> npt.NDArray[np.complex128]:
    """(period, bus, phase) to neutral [pu]; p_w, q_var : (period, bus, phase), buses in file order.

    Written from the wire form alone, so that it does not share a mistake with `market.network`.
    """
    at = {bus: position for position, bus in enumerate(network.bus_ids)}
    nodes = initialize_array(DatasetType.input, ComponentType.node, len(at))
    nodes["id"], nodes["u_rated"] = range(len(at)), [bus.nominal_v for bus in network.buses]
    lines = initialize_array(DatasetType.input, ComponentType.line, len(network.lines))
    for row, line in zip(lines, network.lines, strict=True):
        assert line.b_s == 0
        row["from_node"], row["to_node"] = at[line.from_bus], at[line.to_bus]
        row["r1"], row["x1"], row["r0"], row["x0"] = line.r1_ohm, line.x1_ohm, line.r0_ohm, line.x0_ohm
    for name in ("c1", "tan1", "c0", "tan0"):
        lines[name] = 0
    transformers = initialize_array(DatasetType.input, ComponentType.transformer, len(network.transformers))
    for row, each in zip(transformers, network.transformers, strict=True):
        row["from_node"], row["to_node"] = at[each.from_bus], at[each.to_bus]
        row["u1"], row["u2"] = nodes["u_rated"][at[each.from_bus]], nodes["u_rated"][at[each.to_bus]]
        row["sn"], row["i0"], row["p0"] = each.rated_va, each.i0_percent / 100, each.pfe_w
        row["uk"], row["pk"] = each.vk_percent / 100, each.vkr_percent / 100 * each.rated_va
        row["winding_from"], row["winding_to"] = WindingType.delta, WindingType.wye_n
        row["clock"] = int(each.vector_group.removeprefix("Dyn"))
    for name in ("tap_side", "tap_pos", "tap_nom", "tap_min", "tap_max", "tap_size"):
        transformers[name] = 0
    for elements in (lines, transformers):
        elements["from_status"] = elements["to_status"] = 1
    source = initialize_array(DatasetType.input, ComponentType.source, 1)
    source["node"], source["u_ref"], source["sk"] = at[network.source.bus], network.source.voltage_pu, 1e20
    loads = initialize_array(DatasetType.input, ComponentType.asym_load, len(at))
    loads["node"], loads["type"] = range(len(at)), LoadGenType.const_power
    loads["p_specified"] = loads["q_specified"] = 0
    source["status"] = loads["status"] = 1
    first = len(at)
    for components in (lines, transformers, source, loads):
        components["id"] = range(first, first + len(components))
        first += len(components)
    update = initialize_array(DatasetType.update, ComponentType.asym_load, p_w.shape[:2])
    update["id"], update["p_specified"], update["q_specified"] = loads["id"], p_w, q_var
    model = PowerGridModel(
        {
            ComponentType.node: nodes,
            ComponentType.line: lines,
            ComponentType.transformer: transformers,
            ComponentType.source: source,
            ComponentType.asym_load: loads,
        }
    )
    # Sections of a few centimetres make admittances beside which 1e-11 is lost in rounding.
    answer = model.calculate_power_flow(
        symmetric=False, update_data={ComponentType.asym_load: update}, error_tolerance=1e-10
    )[ComponentType.node]
    found: npt.NDArray[np.complex128] = answer["u_pu"] * np.exp(1j * answer["u_angle"])
    return found


def drawn(shipped: Feeder, network: Network) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Load of the day as (period, bus, phase) [W], [var] on a network with the feeder's buses."""
    at = {bus: position for position, bus in enumerate(network.bus_ids)}
    p_w, q_var = np.zeros((2, DAY.count, len(at), 3))
    for each in shipped.injections(DAY):
        phases = slice(None) if each.phase is None else slice(PHASES.index(each.phase), PHASES.index(each.phase) + 1)
        share = 3 if each.phase is None else 1
        p_w[:, at[each.bus], phases] += np.array(each.p_w)[:, None] / share
        q_var[:, at[each.bus], phases] += np.array(each.q_var)[:, None] / share
    return p_w, q_var


def unbalance(voltage: npt.NDArray[np.complex128]) -> npt.NDArray[np.float64]:
    """Negative- over positive-sequence voltage."""
    a, b, c = np.moveaxis(voltage, -1, 0)
    factor: npt.NDArray[np.float64] = np.abs(a + TURN**2 * b + TURN * c) / np.abs(a + TURN * b + TURN**2 * c)
    return factor


@pytest.mark.parametrize("name", THREE_PHASE)
def test_a_three_phase_feeder_is_a_market_with_its_load(name: str) -> None:
    shipped = feeder(name)
    case = Case(name=name, market_period=DAY, network=shipped.network, baseline=shipped.injections(DAY))

    assert shipped.network.name == name and shipped.network.phases == 3
    assert {each.phase for each in case.baseline} >= set(PHASES)
    assert "Licence: Apache-2.0" in shipped.source or "BSD 3-clause" in shipped.source


@pytest.mark.parametrize(
    ("name", "script"), [("european-lv", make_european_lv), ("risoe-three-phase", make_risoe_three_phase)]
)
def test_a_three_phase_feeder_is_what_its_script_makes(name: str, script: Any) -> None:
    shipped = feeder(name)

    assert Network.model_validate_json(json.dumps(script.network())) == shipped.network
    assert LoadDay.model_validate_json(json.dumps(script.load())) == shipped.load


def test_european_lv_has_the_published_customers() -> None:
    """55 of them: 21 on a, 19 on b, 15 on c; the first eight and the last of the published list of loads."""
    by_phase = feeder("european-lv").load.by_phase
    phase_of = {bus: phase for phase, days in by_phase.items() for bus in days}
    listed = {"34": "a", "47": "b", "70": "a", "73": "a", "74": "a", "83": "b", "178": "b", "208": "c", "906": "a"}

    assert {phase: len(days) for phase, days in by_phase.items()} == {"a": 21, "b": 19, "c": 15}
    assert len(phase_of) == 55
    assert listed.items() <= phase_of.items()


def test_european_lv_has_the_published_peak() -> None:
    """Minute 566: 57 358 W, the highest of the day; minutes 1 and 1440: 2 797 and 9 698 W. Power factor 0.95."""
    shipped = feeder("european-lv")
    p_w, q_var = drawn(shipped, shipped.network)
    total_w = p_w.sum(axis=(1, 2))

    assert p_w[PEAK].sum(axis=0).tolist() == [17_436, 33_698, 6_224]
    assert total_w[[0, PEAK, 95]].tolist() == [2_797, 57_358, 9_698]
    assert total_w.argmax() == PEAK and np.delete(total_w, PEAK).max() < 0.9 * total_w[PEAK]
    assert q_var == pytest.approx(p_w * np.tan(np.arccos(0.95)), abs=1)


def test_european_lv_keeps_the_voltages_of_the_full_network() -> None:
    """907 buses as published, 206 here, and no voltage differs by 1e-9 pu at the peak."""
    shipped = feeder("european-lv")
    full = Network.model_validate_json(json.dumps(make_european_lv.published()))
    kept = [full.bus_ids.index(bus) for bus in shipped.network.bus_ids]

    of_full, of_reduced = (
        voltages(network, *(power[PEAK : PEAK + 1] for power in drawn(shipped, network)))
        for network in (full, shipped.network)
    )

    assert (len(full.buses), len(full.lines)) == (907, 905)
    assert (len(shipped.network.buses), len(shipped.network.lines)) == (206, 204)
    assert np.abs(of_full[:, kept] - of_reduced).max() < 1e-9


def test_european_lv_at_its_peak_as_opendss_has_it() -> None:
    """The published files in OpenDSS with an ideal source and constant powers; phases a, b, c to neutral [pu]."""
    network = feeder("european-lv").network
    voltage_pu = np.abs(voltages(network, *drawn(feeder("european-lv"), network)))[PEAK]

    assert voltage_pu.min(axis=0) == pytest.approx([1.022610, 0.993455, 1.049612], abs=2e-6)
    assert voltage_pu.max(axis=0) == pytest.approx([1.05, 1.05, 1.061185], abs=2e-6)
    assert network.bus_ids[int(voltage_pu[:, 1].argmin())] == "899"


def test_sections_in_a_row_become_one_line() -> None:
    """s-1-2-3 with a branch at 2 and a load at 3: bus 1 goes, and the line to 2 is both sections."""

    def section(start: str, end: str, r_ohm: float, rating_a: float) -> dict[str, Any]:
        same = dict.fromkeys(make_european_lv.IMPEDANCES, r_ohm)
        return {"id": f"to-{end}", "from": start, "to": end, **same, "rating_a": rating_a}

    lines = [
        section("s", "1", 0.1, 90),
        section("1", "2", 0.2, 80),
        section("2", "3", 0.4, 90),
        section("2", "4", 1, 9),
    ]
    lines += [section("3", "5", 0.5, 9)]
    made = make_european_lv.merged({"buses": [{"id": bus} for bus in "s12345"], "lines": lines}, loaded={"3"})

    assert [bus["id"] for bus in made["buses"]] == ["s", "2", "3", "4", "5"]
    assert made["lines"] == [section("s", "2", 0.3, 80), *lines[2:]]


def test_risoe_in_three_phases_draws_what_risoe_draws() -> None:
    balanced, three_phase = feeder("risoe"), feeder("risoe-three-phase")
    alone = {bus: day for days in three_phase.load.by_phase.values() for bus, day in days.items()}

    assert {**three_phase.load.buses, **alone} == balanced.load.buses
    assert list(three_phase.load.buses) == ["office"]
    assert {phase: len(days) for phase, days in three_phase.load.by_phase.items()} == {"a": 31, "b": 17, "c": 8}
    assert three_phase.network.buses == balanced.network.buses
    assert three_phase.network.transformers == balanced.network.transformers
    for line, single in zip(three_phase.network.lines, balanced.network.lines, strict=True):
        assert (line.id, line.r1_ohm, line.x1_ohm) == (single.id, single.r_ohm, single.x_ohm)


def test_risoe_shared_evenly_over_three_phases_is_risoe() -> None:
    """With a third of every load in each phase the voltages are those of the balanced feeder, 150 degrees behind."""
    grid = Grid.of(feeder("risoe").network)
    network = feeder("risoe-three-phase").network
    shares = [each.mean(axis=2) for each in drawn(feeder("risoe-three-phase"), network)]
    order = [network.bus_ids.index(bus) for bus in grid.bus_ids]

    balanced = operating_points(grid, *(3 * each[:, order] for each in shares)).voltage
    voltage = voltages(network, *(np.repeat(each[:, :, None], 3, axis=2) for each in shares))[:, order]

    clock = np.where(grid.nominal_v == 400, np.exp(-5j * np.pi / 6), 1)
    for phase in range(3):
        assert np.abs(voltage[:, :, phase] - balanced * clock * TURN**-phase).max() < 1e-9


def test_risoe_in_three_phases_is_unbalanced_and_within_its_limits() -> None:
    network = feeder("risoe-three-phase").network
    voltage = voltages(network, *drawn(feeder("risoe-three-phase"), network))

    assert 0.005 < unbalance(voltage).max() < 0.01
    for position, bus in enumerate(network.buses):
        assert (np.abs(voltage[:, position]) > bus.min_pu).all() and (np.abs(voltage[:, position]) < bus.max_pu).all()


def test_a_bus_may_carry_a_total_and_several_phases() -> None:
    """The total first, then its phases, every part an injection of its own."""

    def day(p_w: int) -> BusDay:
        return BusDay(p_w=(p_w,) * 24, q_var=(0,) * 24)

    load = LoadDay(
        timezone="Europe/Copenhagen",
        resolution=timedelta(hours=1),
        buses={"y": day(9), "x": day(3)},
        by_phase={"c": {"x": day(2)}, "a": {"x": day(1)}},
    )
    shipped = Feeder(name="made", network=feeder("risoe-three-phase").network, load=load, source="")

    assert [(each.bus, each.phase, each.p_w[0]) for each in shipped.injections(DAY)] == [
        ("x", None, 3),
        ("x", "a", 1),
        ("x", "c", 2),
        ("y", None, 9),
    ]
