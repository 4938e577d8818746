"""Where a DSO's instruments are, and what they would read if they made no errors. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from api_spec.grid import Phase
from api_spec.grid_metering import End, Quantity
from market.network import Grid, OperatingPoints
from market.network.model import BASE_VA, PHASES, ROOT_3, FloatArray


class Channel(NamedTuple):
    """One value of each reading. at : position of the bus or branch. instrument : number of its meter."""

    instrument: int
    meter: str
    bus: str | None
    element: str | None
    end: End | None
    at: int
    phase: Phase | None
    quantity: Quantity


def at_buses(buses: Sequence[str], quantities: Sequence[Quantity], grid: Grid) -> Iterator[Channel]:
    """On three-phase networks of each phase."""
    for instrument, bus in enumerate(buses):
        for phase in PHASES if grid.phases == 3 else (None,):
            for quantity in quantities:
                yield Channel(instrument, f"meter {bus}", bus, None, None, grid.bus_at[bus], phase, quantity)


def at_substations(elements: Sequence[str] | None, quantities: Sequence[Quantity], grid: Grid) -> Iterator[Channel]:
    """At the low-voltage end of transformers; see market.simulation.metering_table.Substations."""
    transformers = [each for each, line in zip(grid.branch_ids, grid.is_line, strict=True) if not line]
    out = [each for at, each in enumerate(grid.branch_ids) if grid.source in (grid.from_bus[at], grid.to_bus[at])]
    for instrument, element in enumerate(elements or transformers or out):
        branch = grid.branch_at[element]
        end: End = "to" if element in transformers or grid.to_bus[branch] == grid.source else "from"
        bus = int((grid.to_bus if end == "to" else grid.from_bus)[branch])
        for phase in PHASES if grid.phases == 3 else (None,):
            for quantity in quantities:
                name = f"substation {element}"
                if quantity == "voltage_v":
                    yield Channel(instrument, name, grid.bus_ids[bus], None, None, bus, phase, quantity)
                else:
                    yield Channel(instrument, name, None, element, end, branch, phase, quantity)


def true_values(points: OperatingPoints, channels: Sequence[Channel]) -> FloatArray:
    """(step, channel) what there really is: means of the step, voltages and currents in volts and amperes."""
    return np.stack([_value(points, each) for each in channels], axis=1)


def _value(points: OperatingPoints, channel: Channel) -> FloatArray:
    grid, phase = points.grid, channel.phase
    own = slice(None) if phase is None else slice(PHASES.index(phase), PHASES.index(phase) + 1)
    if channel.element is None:
        at = grid.terminals_of(np.array(channel.at))[own]
        if channel.quantity == "voltage_v":
            scale = grid.nominal_v[channel.at] / (ROOT_3 if phase else 1)
            volts: FloatArray = points.voltage_pu[:, at].mean(axis=1) * scale
            return volts
        total: FloatArray = (points.p_w if channel.quantity == "p_w" else points.q_var)[:, at].sum(axis=1)
        return total
    ends = (grid.from_bus, points.current_from, grid.amps_from), (grid.to_bus, points.current_to, grid.amps_to)
    bus, current, amps = ends[channel.end == "to"]
    into = current[:, channel.at, own]
    if channel.quantity == "current_a":
        most: FloatArray = np.abs(into).max(axis=1) * amps[channel.at]
        return most
    power = (points.voltage[:, grid.terminals_of(bus[channel.at])[own]] * into.conj()).sum(axis=1)
    flow: FloatArray = (power.real if channel.quantity == "p_w" else power.imag) * (BASE_VA / grid.phases)
    return flow
