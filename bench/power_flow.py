"""power-grid-model on a network of the contract, without a line of flexmarket in between."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from power_grid_model import (
    CalculationMethod,
    ComponentType,
    DatasetType,
    LoadGenType,
    PowerGridModel,
    WindingType,
    initialize_array,
)

from api_spec.grid import Network
from bench.radial import ComplexArray, FloatArray

_FREQUENCY_HZ: Final = 50.0
_STIFF_VA: Final = 1e20  # short-circuit power of an ideal source


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """What a batch of power flows says, buses and elements in the order of the network's file.

    voltage_pu : (period, bus). current_a : (period, element) at the larger end of lines, the from side of transformers.
    losses_va : (period, element) what enters at both ends [W + j var], charging of cables included.
    """

    voltage_pu: FloatArray
    current_a: FloatArray
    losses_va: ComplexArray


class PowerFlow:
    """The model of one network, built once; `update` and `calculate` are apart so that each can be timed."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._model = PowerGridModel(_input_of(network), system_frequency=_FREQUENCY_HZ)

    def update(self, p_w: FloatArray, q_var: FloatArray) -> NDArray[np.void]:
        """The batch of (period, bus) consumption [W], [var] in power-grid-model's own form."""
        loads = initialize_array(DatasetType.update, ComponentType.sym_load, p_w.shape)
        loads["id"] = _load_ids(self._network)
        loads["p_specified"] = p_w
        loads["q_specified"] = q_var
        return loads

    def calculate(self, loads: NDArray[np.void]) -> dict[ComponentType, NDArray[np.void]]:
        """Newton-Raphson, symmetric, every output of every component: the library's batch as it comes."""
        answer: dict[ComponentType, NDArray[np.void]] = self._model.calculate_power_flow(
            update_data={ComponentType.sym_load: loads}, calculation_method=CalculationMethod.newton_raphson
        )
        return answer

    def solve(self, p_w: FloatArray, q_var: FloatArray) -> OperatingPoints:
        """Voltages and currents of every period."""
        answer = self.calculate(self.update(p_w, q_var))
        none = np.empty((len(p_w), 0))
        currents, losses = [none], [none.astype(np.complex128)]
        if self._network.lines:
            line = answer[ComponentType.line]
            currents.append(np.maximum(line["i_from"], line["i_to"]))
            losses.append(_losses(line))
        if self._network.transformers:
            transformer = answer[ComponentType.transformer]
            currents.append(transformer["i_from"])
            losses.append(_losses(transformer))
        return OperatingPoints(
            voltage_pu=answer[ComponentType.node]["u_pu"], current_a=np.hstack(currents), losses_va=np.hstack(losses)
        )


def _losses(branch: NDArray[np.void]) -> ComplexArray:
    losses: ComplexArray = branch["p_from"] + branch["p_to"] + 1j * (branch["q_from"] + branch["q_to"])
    return losses


def _load_ids(network: Network) -> range:
    first = len(network.buses) + len(network.element_ids)
    return range(first, first + len(network.buses))


def _input_of(network: Network) -> dict[ComponentType, NDArray[np.void]]:
    """Ids count up: buses, lines, transformers, loads (one per bus), the source."""
    place = {bus: at for at, bus in enumerate(network.bus_ids)}
    buses, lines = len(place), len(network.lines)
    node = initialize_array(DatasetType.input, ComponentType.node, buses)
    node["id"] = range(buses)
    node["u_rated"] = [bus.nominal_v for bus in network.buses]
    line = initialize_array(DatasetType.input, ComponentType.line, lines)
    transformer = initialize_array(DatasetType.input, ComponentType.transformer, len(network.transformers))
    for first, table, elements in ((buses, line, network.lines), (buses + lines, transformer, network.transformers)):
        table["id"] = range(first, first + len(elements))
        table["from_node"] = [place[each.from_bus] for each in elements]
        table["to_node"] = [place[each.to_bus] for each in elements]
        table["from_status"] = table["to_status"] = 1
    line["r1"] = [each.r_ohm if each.r1_ohm is None else each.r1_ohm for each in network.lines]
    line["x1"] = [each.x_ohm if each.x1_ohm is None else each.x1_ohm for each in network.lines]
    line["c1"] = [each.b_s / (2 * np.pi * _FREQUENCY_HZ) for each in network.lines]
    line["tan1"] = 0.0
    _fill_transformers(transformer, network)
    load = initialize_array(DatasetType.input, ComponentType.sym_load, buses)
    load["id"] = _load_ids(network)
    load["node"] = range(buses)
    load["status"] = 1
    load["type"] = LoadGenType.const_power
    load["p_specified"] = load["q_specified"] = 0.0
    source = initialize_array(DatasetType.input, ComponentType.source, 1)
    source["id"] = _load_ids(network).stop
    source["node"] = place[network.source.bus]
    source["status"] = 1
    source["u_ref"] = network.source.voltage_pu
    source["sk"] = _STIFF_VA
    return {
        ComponentType.node: node,
        ComponentType.line: line,
        ComponentType.transformer: transformer,
        ComponentType.sym_load: load,
        ComponentType.source: source,
    }


def _fill_transformers(table: NDArray[np.void], network: Network) -> None:
    nominal = {bus.id: bus.nominal_v for bus in network.buses}
    table["u1"] = [nominal[each.from_bus] * each.tap_ratio for each in network.transformers]
    table["u2"] = [nominal[each.to_bus] for each in network.transformers]
    table["sn"] = [each.rated_va for each in network.transformers]
    table["uk"] = [each.vk_percent / 100 for each in network.transformers]
    table["pk"] = [each.vkr_percent / 100 * each.rated_va for each in network.transformers]
    table["i0"] = [each.i0_percent / 100 for each in network.transformers]
    table["p0"] = [each.pfe_w for each in network.transformers]
    table["winding_from"] = table["winding_to"] = WindingType.wye_n
    for name in ("clock", "tap_side", "tap_pos", "tap_nom", "tap_min", "tap_max"):
        table[name] = 0
    table["tap_size"] = 0.0
