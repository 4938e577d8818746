"""A balanced network as arrays: the per-unit pi model of every branch, and its admittance matrix.

Power base 1 MVA, voltage base the nominal voltage of each bus, so that powers in per unit are megawatts (three-phase
total) and voltages are relative to nominal. This is the one door between SI and per unit.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from api_spec import grid as wire

FloatArray: TypeAlias = npt.NDArray[np.float64]
ComplexArray: TypeAlias = npt.NDArray[np.complex128]
IntArray: TypeAlias = npt.NDArray[np.intp]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

BASE_VA: Final = 1e6
ROOT_3: Final = float(np.sqrt(3.0))


@dataclass(frozen=True, eq=False)
class Grid:
    """A network ready for computation; buses and branches stand in the order of their ids.

    nominal_v : (bus,) line to line [V]. min_pu, max_pu : (bus,) voltage band. source, source_pu : position and voltage
    of the ideal source. from_bus, to_bus : (branch,) positions of the ends; transformers have their high-voltage side
    at from. rating_a : (branch,) [A] at the from end, for lines at both; nan = no limit. is_line : (branch,).
    y_ff, y_ft, y_tf, y_tt : (branch,) two-port admittances [pu]: I_from = y_ff V_from + y_ft V_to.
    """

    network: wire.Network
    bus_ids: tuple[str, ...]
    branch_ids: tuple[str, ...]
    nominal_v: FloatArray
    min_pu: FloatArray
    max_pu: FloatArray
    source: int
    source_pu: float
    from_bus: IntArray
    to_bus: IntArray
    rating_a: FloatArray
    is_line: BoolArray
    y_ff: ComplexArray
    y_ft: ComplexArray
    y_tf: ComplexArray
    y_tt: ComplexArray

    @classmethod
    def of(cls, network: wire.Network) -> Self:
        """Arrays of a balanced network; ValueError for a three-phase one."""
        if network.phases != 1:
            raise ValueError(f'network "{network.name}" has three phases; this model is balanced')
        buses = sorted(network.buses, key=lambda bus: bus.id)
        position = {bus.id: at for at, bus in enumerate(buses)}
        nominal = np.array([bus.nominal_v for bus in buses], dtype=np.float64)
        elements: list[wire.Line | wire.Transformer] = [*network.lines, *network.transformers]
        elements.sort(key=lambda element: element.id)
        starts = np.array([position[each.from_bus] for each in elements], dtype=np.intp)
        ends = np.array([position[each.to_bus] for each in elements], dtype=np.intp)
        series, shunt, ratio, rating = _pi_sections(elements, nominal[starts])
        return cls(
            network=network,
            bus_ids=tuple(position),
            branch_ids=tuple(each.id for each in elements),
            nominal_v=nominal,
            min_pu=np.array([bus.min_pu for bus in buses], dtype=np.float64),
            max_pu=np.array([bus.max_pu for bus in buses], dtype=np.float64),
            source=position[network.source.bus],
            source_pu=network.source.voltage_pu,
            from_bus=starts,
            to_bus=ends,
            rating_a=rating,
            is_line=np.array([isinstance(each, wire.Line) for each in elements], dtype=np.bool_),
            y_ff=(series + shunt / 2) / ratio**2,
            y_ft=-series / ratio,
            y_tf=-series / ratio,
            y_tt=series + shunt / 2,
        )

    @property
    def buses(self) -> int:
        """Number of buses."""
        return len(self.bus_ids)

    @property
    def branches(self) -> int:
        """Number of lines and transformers."""
        return len(self.branch_ids)

    @cached_property
    def bus_at(self) -> dict[str, int]:
        """Position of every bus id."""
        return {bus: at for at, bus in enumerate(self.bus_ids)}

    @cached_property
    def branch_at(self) -> dict[str, int]:
        """Position of every line and transformer id."""
        return {branch: at for at, branch in enumerate(self.branch_ids)}

    @cached_property
    def admittance(self) -> sparse.csc_array:
        """(bus, bus) nodal admittance matrix [pu]: the currents that enter the network are `admittance @ voltage`."""
        rows = np.concatenate([self.from_bus, self.from_bus, self.to_bus, self.to_bus])
        columns = np.concatenate([self.from_bus, self.to_bus, self.from_bus, self.to_bus])
        values = np.concatenate([self.y_ff, self.y_ft, self.y_tf, self.y_tt])
        return sparse.csc_array((values, (rows, columns)), shape=(self.buses, self.buses))

    @cached_property
    def amps_from(self) -> FloatArray:
        """(branch,) current base at the from end [A per pu]."""
        base: FloatArray = BASE_VA / (ROOT_3 * self.nominal_v[self.from_bus])
        return base

    @cached_property
    def amps_to(self) -> FloatArray:
        """(branch,) current base at the to end [A per pu]."""
        base: FloatArray = BASE_VA / (ROOT_3 * self.nominal_v[self.to_bus])
        return base


def _pi_sections(
    elements: list[wire.Line | wire.Transformer], nominal_from: FloatArray
) -> tuple[ComplexArray, ComplexArray, FloatArray, FloatArray]:
    """Series admittance, total shunt admittance [pu], tap ratio [pu] and current rating [A], each (branch,)."""
    series = np.empty(len(elements), dtype=np.complex128)
    shunt = np.empty(len(elements), dtype=np.complex128)
    ratio = np.ones(len(elements))
    rating = np.full(len(elements), np.nan)
    for at, (element, nominal) in enumerate(zip(elements, nominal_from, strict=True)):
        if isinstance(element, wire.Line):
            base_s = BASE_VA / nominal**2
            series[at] = 1 / positive_sequence_ohm(element) / base_s
            shunt[at] = 1j * element.b_s / base_s
            rating[at] = np.nan if element.rating_a is None else element.rating_a
        else:
            series[at] = element.rated_va / BASE_VA / _short_circuit_pu(element)
            shunt[at] = _magnetising_va(element) / BASE_VA
            ratio[at] = element.tap_ratio
            rating[at] = element.rated_va / (ROOT_3 * nominal)
    return series, shunt, ratio, rating


def positive_sequence_ohm(line: wire.Line) -> complex:
    """Series impedance of a line of a balanced network [ohm]."""
    r_ohm, x_ohm = (line.r_ohm, line.x_ohm) if line.r1_ohm is None else (line.r1_ohm, line.x1_ohm)
    assert isinstance(r_ohm, float) and isinstance(x_ohm, float), "valid by construction of a balanced network"
    return complex(r_ohm, x_ohm)


def _short_circuit_pu(transformer: wire.Transformer) -> complex:
    r = transformer.vkr_percent / 100
    return complex(r, np.sqrt((transformer.vk_percent / 100) ** 2 - r**2))


def _magnetising_va(transformer: wire.Transformer) -> complex:
    """Conjugate of the no-load power at nominal voltage [VA], that is, admittance times the square of voltage."""
    apparent_va = transformer.i0_percent / 100 * transformer.rated_va
    reactive_var = np.sqrt(max(apparent_va**2 - transformer.pfe_w**2, 0.0))
    return complex(transformer.pfe_w, -reactive_var)
