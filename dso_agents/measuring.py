"""Readings as measurements of the network: each value at its terminal or branch end, with its standard deviation. Pure.

sigma = accuracy class / 3: a class says the largest error, taken as three standard deviations.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from api_spec.case import Injection
from api_spec.grid import Phase
from api_spec.grid_metering import End, Quantity
from api_spec.period import MarketPeriod
from dso_agents.measured import Expectation, Measured, nothing_measured
from dso_agents.meter_history import Channel, Instrument, MeterHistory
from market.network import Grid, operating_points
from market.network.model import PHASES, ROOT_3, FloatArray

ENDS: Final[tuple[End, ...]] = ("from", "to")
_POWERS: Final[tuple[Quantity, ...]] = ("p_w", "q_var")
_SIGMAS_OF_CLASS: Final = 3
_LEAST_VA: Final = 300.0  # below, errors no longer shrink with what is measured (IEC 62053-21: small currents)
_LEAST_A: Final = 0.5
_LEAST_W: Final = 1.0  # sigma below which power-grid-model finds three-phase networks singular
_ANYTHING_W: Final = 1e6  # sigma of a power that nothing is expected of


class _Place(NamedTuple):
    """A bus, or the end of an element; one phase, or None = all together."""

    name: str
    end: End | None
    phase: Phase | None


def measured(
    grid: Grid,
    history: MeterHistory,
    period: MarketPeriod,
    injections: Iterable[Injection],
    expectation: Expectation,
) -> Measured:
    """What the instruments told, and what is expected where they did not.

    injections : of everything that is connected, also of aggregators' resources. Readings of what is not on the network
    are left out, and power drawn at the source itself. On balanced networks phases are summed; on three-phase ones a
    total counts as a third of it in each phase, and a voltage only by phase. Amperes count where no power is measured
    at the same end.
    """
    known = nothing_measured(grid, injections, period.count, expectation)
    readings = _Readings(grid, history, period, expectation)
    for place in readings.places():
        if place.end is None:
            at = grid.connected(place.name, place.phase)
            if grid.bus_at[place.name] != grid.source:
                known.metered.put((at,), *readings.power(place))
            known.voltage.put((at,), *readings.voltage_pu(place))
        else:
            known.flow.put(_branch_end(grid, place), *readings.power(place))
    _count_amperes(known, readings)
    # power-grid-model takes the voltages of a bus with one sigma for all phases.
    by_bus = known.voltage.sigma.reshape(period.count, grid.buses, grid.phases)
    by_bus[...] = by_bus.max(axis=2, keepdims=True)
    # A meter shows that something is connected, even where nothing was expected.
    unforeseen = known.metered.known.any(axis=0) & ~known.expected.known.all(axis=0)
    known.expected.sigma[:, unforeseen] = _ANYTHING_W
    return known


def _count_amperes(known: Measured, readings: "_Readings") -> None:
    """As power: S = k U I exp(j phi) of consumption, in the direction that is expected.

    k U : nominal voltage that the current flows at, sqrt(3) x line to line for all phases, line to neutral for one.
    sigma of P and Q : of I along S, of phi across it.
    """
    places = readings.with_amperes()
    if not places:
        return
    grid, expectation = known.grid, readings.expectation
    points = operating_points(grid, known.expected.value[..., 0], known.expected.value[..., 1])
    turn = np.array([expectation.power_factor, np.sqrt(1 - expectation.power_factor**2)])
    for place in places:
        branch = grid.branch_at[place.name]
        buses, current = (
            (grid.from_bus, points.current_from) if place.end == "from" else (grid.to_bus, points.current_to)
        )
        voltage = points.voltage[:, grid.terminals_of(buses[branch])]
        out = np.sign((voltage * current[:, branch].conj()).real.sum(axis=1))[:, None, None]
        volts = ROOT_3 * grid.nominal_v[buses[branch]] / (1 if place.phase is None else 3)
        current_a, sigma_a = readings.current(place)
        share = 1 if place.phase else 1 / grid.phases
        power = share * volts * current_a[:, None, None] * turn
        sigma = (
            share
            * volts
            * np.hypot(
                sigma_a[:, None, None] * turn, expectation.angle_sigma_rad * current_a[:, None, None] * turn[::-1]
            )
        )
        end = _branch_end(grid, place)
        known.flow.put(end, np.where(known.flow.known[(slice(None), *end)], np.nan, out * power), sigma)


def _branch_end(grid: Grid, place: _Place) -> tuple[int, int, slice]:
    """Where a place stands among flows: end, branch, phases."""
    phase = PHASES.index(place.phase) if place.phase else None
    return (
        ENDS.index(place.end or "from"),
        grid.branch_at[place.name],
        slice(phase, None if phase is None else phase + 1),
    )


class _Readings:
    """Means of a period by channel; on balanced networks of all phases together."""

    def __init__(self, grid: Grid, history: MeterHistory, period: MarketPeriod, expectation: Expectation) -> None:
        self.expectation = expectation
        self._grid = grid
        self._period = period
        channels = [each for each in history.channels if each.place in (grid.branch_at if each.end else grid.bus_at)]
        self._values = dict(zip(channels, history.mean(channels, period).T, strict=True))
        self._instruments: dict[Channel, Instrument] = {each: history.instrument(each) for each in channels}
        if grid.phases == 1:
            self._join_phases()
        self._nothing = np.full(period.count, np.nan)

    def places(self) -> list[_Place]:
        """That anything was measured at; the total of a bus or end before its phases, which say more."""
        return sorted({_Place(each.place, each.end, each.phase) for each in self._values}, key=_in_order)

    def with_amperes(self) -> list[_Place]:
        """Ends that a current was measured at."""
        found = (each for each in self._values if each.quantity == "current_a")
        return sorted((_Place(each.place, each.end, each.phase) for each in found), key=_in_order)

    def power(self, place: _Place) -> tuple[FloatArray, FloatArray]:
        """(period, 1, 2) power of each of the place's phases [W], [var], nan = unknown, and its sigma."""
        channels = [Channel(*place, each) for each in _POWERS]
        power = np.stack([self._values.get(each, self._nothing) for each in channels], axis=-1)[:, None, :]
        size = np.hypot(*np.moveaxis(np.nan_to_num(power), -1, 0))[..., None]
        sigma = np.concatenate([self._sigma(each, size, _LEAST_VA) for each in channels], axis=-1)
        sigma = np.maximum(sigma, _LEAST_W)
        if place.phase is not None or self._grid.phases == 1:
            return power, sigma
        return power / 3, np.hypot(sigma, self.expectation.unbalance * size) / 3

    def voltage_pu(self, place: _Place) -> tuple[FloatArray, FloatArray]:
        """(period, 1) voltage [pu], nan = unknown, and its sigma."""
        channel = Channel(*place, "voltage_v")
        nominal_v = self._grid.nominal_v[self._grid.bus_at[place.name]] / (ROOT_3 if place.phase else 1)
        usable = place.phase is not None or self._grid.phases == 1
        voltage = (self._values.get(channel, self._nothing) if usable else self._nothing)[:, None] / nominal_v
        return voltage, self._sigma(channel, np.nan_to_num(voltage), 0.0)

    def current(self, place: _Place) -> tuple[FloatArray, FloatArray]:
        """(period,) current [A] and its sigma."""
        channel = Channel(*place, "current_a")
        current_a = self._values[channel]
        return current_a, self._sigma(channel, np.nan_to_num(current_a), _LEAST_A)

    def _sigma(self, channel: Channel, size: FloatArray, least: float) -> FloatArray:
        """Of values of a size: of the instrument's class, and of what may happen within a longer reading."""
        if channel not in self._instruments:
            return np.full(size.shape, np.inf)
        instrument = self._instruments[channel]
        share = instrument.accuracy_class / 100 / _SIGMAS_OF_CLASS
        varies = channel.quantity != "voltage_v" and instrument.resolution > self._period.resolution
        within = self.expectation.within_reading if varies else 0.0
        sigma: FloatArray = np.hypot(share * np.maximum(size, least), within * size)
        return sigma

    def _join_phases(self) -> None:
        """Sums of phases for powers, means for currents and (line to line) voltages, where no total was measured."""
        by_phase: dict[Channel, list[Channel]] = defaultdict(list)
        for channel in self._values:
            if channel.phase is not None:
                by_phase[channel._replace(phase=None)].append(channel)
        for total, phases in by_phase.items():
            together = np.stack([self._values.pop(each) for each in phases])
            instrument = self._instruments.pop(phases[0])
            if total not in self._values:
                scale = {"voltage_v": ROOT_3 / len(phases), "current_a": 1 / len(phases)}.get(total.quantity, 1.0)
                self._values[total], self._instruments[total] = scale * together.sum(axis=0), instrument


def _in_order(place: _Place) -> tuple[str, str, str]:
    return place.name, place.end or "", place.phase or ""
