"""A radial balanced network as a tree, and its lossless linear power flow: what generator and anchors share."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from api_spec.grid import Line, Network, Transformer

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.intp]
BASE_MVA: Final = 1.0  # powers in per unit are megawatts
ROOT_3: Final = float(np.sqrt(3))


@dataclass(frozen=True, eq=False)
class Tree:
    """One branch per bus other than the source, oriented away from it, parents before children.

    Elements in parallel are one branch with their joint impedance. Buses stand in the order of the network's file.

    from_bus, to_bus : (branch,) positions of buses. impedance : (branch,) series impedance at the to side [pu].
    tap_ratio : (branch,) off-nominal ratio at the from side. rating_mva : (branch,) at nominal voltage, inf without
    one. branch_of : element id -> branch. share_of : element id -> its part of the branch's power.
    """

    network: Network
    source: int
    from_bus: IntArray
    to_bus: IntArray
    impedance: ComplexArray
    tap_ratio: FloatArray
    rating_mva: FloatArray
    branch_of: dict[str, int]
    share_of: dict[str, float]

    @classmethod
    def of(cls, network: Network) -> Self:
        """The tree of a radial balanced network; ValueError for any other."""
        if network.phases != 1:
            raise ValueError(f'network "{network.name}" has three phases')
        place = {bus.id: at for at, bus in enumerate(network.buses)}
        nominal = [bus.nominal_v for bus in network.buses]
        source = place[network.source.bus]
        steps = _walk(network, place, source)
        rows = [_joined(elements, nominal[start]) for start, _, elements in steps]
        return cls(
            network=network,
            source=source,
            from_bus=np.array([start for start, _, _ in steps], dtype=np.intp),
            to_bus=np.array([end for _, end, _ in steps], dtype=np.intp),
            impedance=np.array([row[0] for row in rows], dtype=np.complex128),
            tap_ratio=np.array([getattr(each[0], "tap_ratio", 1.0) for _, _, each in steps], dtype=np.float64),
            rating_mva=np.array([row[1] for row in rows], dtype=np.float64),
            branch_of={each.id: at for at, (_, _, elements) in enumerate(steps) for each in elements},
            share_of={name: share for row in rows for name, share in row[2].items()},
        )

    @property
    def buses(self) -> int:
        """Number of buses."""
        return len(self.network.buses)

    @property
    def branches(self) -> int:
        """Number of branches, one less than buses."""
        return len(self.to_bus)

    @cached_property
    def resistance_to(self) -> FloatArray:
        """(bus,) resistance of the path from the source [pu], which is half of d(squared voltage)/d(power) there."""
        path = np.zeros(self.buses)
        for start, end, z in zip(self.from_bus, self.to_bus, self.impedance, strict=True):
            path[end] = path[start] + z.real
        return path

    @cached_property
    def depth_first(self) -> IntArray:
        """(bus,) positions of the buses so that every subtree stands together."""
        below = defaultdict(list)
        for start, end in zip(self.from_bus.tolist(), self.to_bus.tolist(), strict=True):
            below[start].append(end)
        order, ahead = [], [self.source]
        while ahead:
            order.append(ahead.pop())
            ahead += reversed(below[order[-1]])
        return np.array(order, dtype=np.intp)

    def flows(self, consumption: NDArray[Any]) -> NDArray[Any]:
        """(period, branch) what every branch carries towards (period, bus) consumption, without losses."""
        below = consumption.copy()
        for start, end in zip(self.from_bus[::-1], self.to_bus[::-1], strict=True):
            below[:, start] += below[:, end]
        carried: NDArray[Any] = below[:, self.to_bus]
        return carried

    def squared_voltages(self, flows: ComplexArray) -> FloatArray:
        """(period, bus) squared voltage magnitudes [pu] under (period, branch) flows [MVA], by LinDistFlow."""
        squared = np.full((len(flows), self.buses), self.network.source.voltage_pu**2)
        drops = 2 * (flows * self.impedance.conj()).real
        for at, (start, end) in enumerate(zip(self.from_bus, self.to_bus, strict=True)):
            squared[:, end] = squared[:, start] / self.tap_ratio[at] ** 2 - drops[:, at]
        return squared


def _walk(
    network: Network, place: dict[str, int], source: int
) -> list[tuple[int, int, list[Line] | list[Transformer]]]:
    """Breadth first from the source: start, end, and the elements that join the two."""
    beside: dict[int, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for element in (*network.lines, *network.transformers):
        start, end = place[element.from_bus], place[element.to_bus]
        beside[start][end].append(element)
        beside[end][start].append(element)
    steps, front, reached = [], [source], {source}
    for start in front:
        for end, elements in beside[start].items():
            if end in reached:
                continue
            if any(isinstance(each, Transformer) and place[each.from_bus] != start for each in elements):
                raise ValueError(f"{elements[0].id} is fed from its low-voltage side")
            steps.append((start, end, elements))
            reached.add(end)
            front.append(end)
    if len(steps) != sum(len(ends) for ends in beside.values()) / 2:
        raise ValueError(f'network "{network.name}" is not radial')
    return steps


def _joined(elements: list[Line] | list[Transformer], nominal_v: float) -> tuple[complex, float, dict[str, float]]:
    """Impedance [pu], rating [MVA] and shares of elements in parallel."""
    each = [_impedance_pu(element, nominal_v) for element in elements]
    joint = 1 / sum(1 / z for z in each)
    shares = {element.id: abs(joint / z) for element, z in zip(elements, each, strict=True)}
    return joint, min(_rating_mva(element, nominal_v) / shares[element.id] for element in elements), shares


def _impedance_pu(element: Line | Transformer, nominal_v: float) -> complex:
    if isinstance(element, Transformer):
        r = element.vkr_percent / 100
        return complex(r, np.sqrt((element.vk_percent / 100) ** 2 - r**2)) * BASE_MVA * 1e6 / element.rated_va
    r_ohm, x_ohm = (element.r_ohm, element.x_ohm) if element.r1_ohm is None else (element.r1_ohm, element.x1_ohm)
    assert isinstance(r_ohm, float) and isinstance(x_ohm, float), "a balanced network"
    return complex(r_ohm, x_ohm) * BASE_MVA * 1e6 / nominal_v**2


def _rating_mva(element: Line | Transformer, nominal_v: float) -> float:
    if isinstance(element, Transformer):
        return element.rated_va / 1e6
    return np.inf if element.rating_a is None else ROOT_3 * nominal_v * element.rating_a / 1e6
