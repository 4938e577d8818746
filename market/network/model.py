"""A network as arrays: the per-unit pi model of every branch, and its admittance matrix.

A balanced network has one terminal at each bus, a three-phase network three: `terminal = phases x bus + phase`. Power
base 1 MVA for the three phases together, voltage base the nominal voltage of each bus (phase to neutral on three-phase
networks). So a balanced megawatt is 1 pu at every terminal of its bus, and a megawatt on one phase is 3 pu there. This
is the one door between SI and per unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from api_spec import grid as wire
from api_spec.case import Injection
from market.network.branches import two_ports

FloatArray: TypeAlias = npt.NDArray[np.float64]
ComplexArray: TypeAlias = npt.NDArray[np.complex128]
IntArray: TypeAlias = npt.NDArray[np.intp]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

BASE_VA: Final = 1e6
ROOT_3: Final = float(np.sqrt(3.0))
PHASES: Final[tuple[wire.Phase, ...]] = ("a", "b", "c")


@dataclass(frozen=True, eq=False)
class Grid:
    """A network ready for computation; buses and branches stand in the order of their ids.

    phases : 1 or 3, P below. nominal_v : (bus,) line to line [V]. min_pu, max_pu : (bus,) voltage band. source : bus of
    the ideal source. source_pu : its voltage. from_bus, to_bus : (branch,) positions of the ends; transformers have
    their high-voltage side at from. rating_a : (branch,) per conductor [A] at the from end, for lines at both; nan = no
    limit. is_line : (branch,). y_ff, y_ft, y_tf, y_tt : (branch, P, P) two-port admittances [pu]:
    I_from = y_ff V_from + y_ft V_to.
    """

    network: wire.Network
    phases: int
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
        """Arrays of a network."""
        buses = sorted(network.buses, key=lambda bus: bus.id)
        position = {bus.id: at for at, bus in enumerate(buses)}
        nominal = np.array([bus.nominal_v for bus in buses], dtype=np.float64)
        elements: list[wire.Line | wire.Transformer] = [*network.lines, *network.transformers]
        elements.sort(key=lambda element: element.id)
        starts = np.array([position[each.from_bus] for each in elements], dtype=np.intp)
        ends = np.array([position[each.to_bus] for each in elements], dtype=np.intp)
        y_ff, y_ft, y_tf, y_tt = two_ports(elements, nominal[starts], phases=network.phases, base_va=BASE_VA)
        return cls(
            network=network,
            phases=network.phases,
            bus_ids=tuple(position),
            branch_ids=tuple(each.id for each in elements),
            nominal_v=nominal,
            min_pu=np.array([bus.min_pu for bus in buses], dtype=np.float64),
            max_pu=np.array([bus.max_pu for bus in buses], dtype=np.float64),
            source=position[network.source.bus],
            source_pu=network.source.voltage_pu,
            from_bus=starts,
            to_bus=ends,
            rating_a=np.array([_rating_a(each, v) for each, v in zip(elements, nominal[starts], strict=True)]),
            is_line=np.array([isinstance(each, wire.Line) for each in elements], dtype=np.bool_),
            y_ff=y_ff,
            y_ft=y_ft,
            y_tf=y_tf,
            y_tt=y_tt,
        )

    @property
    def buses(self) -> int:
        """Number of buses."""
        return len(self.bus_ids)

    @property
    def branches(self) -> int:
        """Number of lines and transformers."""
        return len(self.branch_ids)

    @property
    def terminals(self) -> int:
        """Number of terminals: buses times phases."""
        return self.buses * self.phases

    @cached_property
    def terminal_names(self) -> tuple[str, ...]:
        """(terminal,) the bus, on three-phase networks with its phase."""
        if self.phases == 1:
            return self.bus_ids
        return tuple(f"{bus} phase {phase}" for bus in self.bus_ids for phase in PHASES)

    @cached_property
    def bus_at(self) -> dict[str, int]:
        """Position of every bus id."""
        return {bus: at for at, bus in enumerate(self.bus_ids)}

    @cached_property
    def branch_at(self) -> dict[str, int]:
        """Position of every line and transformer id."""
        return {branch: at for at, branch in enumerate(self.branch_ids)}

    @cached_property
    def source_terminals(self) -> IntArray:
        """(phase,) terminals of the source."""
        terminals: IntArray = self.terminals_of(np.array([self.source]))[0]
        return terminals

    @cached_property
    def free_terminals(self) -> IntArray:
        """All terminals but the source's, whose voltages are unknown."""
        return np.setdiff1d(np.arange(self.terminals), self.source_terminals)

    @cached_property
    def source_voltage(self) -> ComplexArray:
        """(phase,) voltage of the source [pu], positive sequence, angle 0."""
        turns = np.arange(self.phases) / 3
        voltage: ComplexArray = self.source_pu * np.exp(-2j * np.pi * turns)
        return voltage

    def terminals_of(self, bus: IntArray) -> IntArray:
        """(..., phase) terminals of buses."""
        terminals: IntArray = bus[..., None] * self.phases + np.arange(self.phases)
        return terminals

    @cached_property
    def admittance(self) -> sparse.csc_array:
        """(terminal, terminal) nodal admittance matrix [pu]: currents entering the network are `admittance @ V`."""
        at_from, at_to = self.terminals_of(self.from_bus), self.terminals_of(self.to_bus)
        pairs = ((at_from, at_from), (at_from, at_to), (at_to, at_from), (at_to, at_to))
        shape = self.y_ff.shape
        rows = np.concatenate([np.broadcast_to(row[:, :, None], shape).ravel() for row, _ in pairs])
        columns = np.concatenate([np.broadcast_to(column[:, None, :], shape).ravel() for _, column in pairs])
        values = np.concatenate([y.ravel() for y in (self.y_ff, self.y_ft, self.y_tf, self.y_tt)])
        return sparse.csc_array((values, (rows, columns)), shape=(self.terminals, self.terminals))

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

    def consumption(self, injections: Iterable[Injection], periods: int) -> tuple[FloatArray, FloatArray]:
        """Power drawn at every terminal : (period, terminal) [W], [var]; without a phase balanced over all."""
        # Sums of floats depend on their order: sorted, permuted lists give the same bits.
        ordered = sorted(injections, key=lambda each: (each.bus, each.phase or "", each.p_w, each.q_var))
        reached = [self.connected(each.bus, each.phase) for each in ordered]
        at, over = np.concatenate([np.zeros(0, dtype=np.intp), *reached]), np.array([len(each) for each in reached])
        found = []
        for rows in ([each.p_w for each in ordered], [each.q_var for each in ordered]):
            drawn = np.zeros((self.terminals, periods))
            share = np.array(rows, dtype=np.float64).reshape(-1, periods) / over.reshape(-1, 1)
            np.add.at(drawn, at, np.repeat(share, over.astype(np.intp), axis=0))
            found.append(np.ascontiguousarray(drawn.T))
        return found[0], found[1]

    def connected(self, bus: str, phase: wire.Phase | None) -> IntArray:
        """Terminals that something at a bus is connected to: one phase, or all."""
        first = self.bus_at[bus] * self.phases
        if phase is None:
            return np.arange(first, first + self.phases)
        return np.array([first + PHASES.index(phase)])


def _rating_a(element: wire.Line | wire.Transformer, nominal_from: float) -> float:
    if isinstance(element, wire.Transformer):
        return element.rated_va / (ROOT_3 * nominal_from)
    return np.nan if element.rating_a is None else element.rating_a
