"""What a limit can be put on, as numbers, with first and second derivatives by the complex voltages.

All quantities of one period stand in one vector, family after family, so that a limit is a position and a bound:
currents at from ends [A], currents at to ends [A], active power at from ends [W], reactive power at from ends [var],
voltage magnitudes [pu], power drawn from the source [W], change of consumption offered at groups of buses [W].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from api_spec.result import Unit
from market.network.model import BASE_VA, ComplexArray, FloatArray, Grid, IntArray
from market.network.operating_point import OperatingPoints


class Family(IntEnum):
    """Families of quantities, in the order they stand in."""

    CURRENT_FROM = 0
    CURRENT_TO = 1
    ACTIVE = 2
    REACTIVE = 3
    VOLTAGE = 4
    SOURCE = 5
    OFFERED = 6


UNITS: Final[Mapping[Family, Unit]] = {
    Family.CURRENT_FROM: "A",
    Family.CURRENT_TO: "A",
    Family.ACTIVE: "W",
    Family.REACTIVE: "var",
    Family.VOLTAGE: "pu",
    Family.SOURCE: "W",
    Family.OFFERED: "W",
}


@dataclass(frozen=True, eq=False)
class Quantities:
    """The vector of quantities of a grid. groups : positions of buses whose offered change counts together."""

    grid: Grid
    groups: tuple[IntArray, ...] = ()

    def position(self, family: Family, at: int = 0) -> int:
        """Where a branch's, bus's or group's quantity stands."""
        return self._start(family) + at

    def place(self, quantity: int) -> tuple[Family, int]:
        """Family and number of the branch, bus or group of the quantity at a position."""
        family = max(each for each in Family if self._start(each) <= quantity)
        return family, quantity - self._start(family)

    def _start(self, family: Family) -> int:
        branches, buses = self.grid.branches, self.grid.buses
        starts = (0, branches, 2 * branches, 3 * branches, 4 * branches, 4 * branches + buses, 4 * branches + buses + 1)
        return starts[family]

    def values(self, points: OperatingPoints, change_w: FloatArray) -> FloatArray:
        """(period, quantity) values at operating points; change_w : (period, bus) accepted change of consumption."""
        grid = self.grid
        groups = [change_w[:, group].sum(axis=1, keepdims=True) for group in self.groups]
        families = [
            np.abs(points.current_from) * grid.amps_from,
            np.abs(points.current_to) * grid.amps_to,
            points.power_from.real,
            points.power_from.imag,
            points.voltage_pu,
            points.source_w[:, None],
            *groups,
        ]
        return np.concatenate(families, axis=1)

    def gradient(self, quantity: int, voltage: ComplexArray) -> ComplexArray:
        """First derivative by the voltages: `a` with dg = Re(sum_j a_j dV_j).

        voltage : (bus,) [pu], one period. Returns (bus,) [unit of the quantity per pu].
        """
        a = np.zeros(self.grid.buses, dtype=np.complex128)
        family, at = self.place(quantity)
        if family is Family.VOLTAGE:
            a[at] = np.conj(voltage[at]) / abs(voltage[at])
        elif family is Family.SOURCE:
            source = self.grid.source
            a[:] = np.conj(voltage[source]) * self.grid.admittance[[source], :].toarray()[0] * BASE_VA
        elif family in (Family.CURRENT_FROM, Family.CURRENT_TO):
            start, end, near, far, amps = self._end(family, at)
            current = near * voltage[start] + far * voltage[end]
            direction = np.conj(current) / abs(current) * amps if abs(current) > 0 else 0.0
            a[start], a[end] = direction * near, direction * far
        elif family in (Family.ACTIVE, Family.REACTIVE):
            start, end, near, far, _ = self._end(Family.CURRENT_FROM, at)
            turn = _turn(family) * BASE_VA
            current = near * voltage[start] + far * voltage[end]
            a[start] = turn * np.conj(current) + np.conj(turn * voltage[start]) * near
            a[end] = np.conj(turn * voltage[start]) * far
        return a

    def direct(self, quantity: int) -> FloatArray:
        """(bus,) derivative by consumption that does not pass through voltages [unit of the quantity per MW]."""
        d = np.zeros(self.grid.buses)
        family, at = self.place(quantity)
        if family is Family.SOURCE:
            d[self.grid.source] = BASE_VA
        elif family is Family.OFFERED:
            d[self.groups[at]] = BASE_VA
        return d

    def curvature(self, quantity: int, voltage: ComplexArray, response: ComplexArray) -> FloatArray:
        """Second derivative along given directions of voltage: (k, k) bilinear form of response : (bus, k) [pu]."""
        family, at = self.place(quantity)
        if family is Family.VOLTAGE:
            return _curvature_of_magnitude(voltage[at], response[at])
        if family in (Family.CURRENT_FROM, Family.CURRENT_TO):
            start, end, near, far, amps = self._end(family, at)
            current = near * voltage[start] + far * voltage[end]
            return amps * _curvature_of_magnitude(current, near * response[start] + far * response[end])
        if family in (Family.ACTIVE, Family.REACTIVE):
            start, end, near, far, _ = self._end(Family.CURRENT_FROM, at)
            current = near * response[start] + far * response[end]
            half = (_turn(family) * BASE_VA * np.outer(response[start], np.conj(current))).real
            return half + half.T
        # Source power is linear in the voltages where the source's own is fixed; offered power does not know them.
        return np.zeros((response.shape[1], response.shape[1]))

    def _end(self, family: Family, at: int) -> tuple[int, int, complex, complex, float]:
        """Both buses of a branch, the admittances that make the current at one of its ends, and its base [A]."""
        grid = self.grid
        start, end = int(grid.from_bus[at]), int(grid.to_bus[at])
        if family is Family.CURRENT_FROM:
            return (start, end, complex(grid.y_ff[at]), complex(grid.y_ft[at]), float(grid.amps_from[at]))
        return (start, end, complex(grid.y_tf[at]), complex(grid.y_tt[at]), float(grid.amps_to[at]))


def _turn(family: Family) -> complex:
    """Factor whose product with complex power has active (or reactive) power as its real part."""
    return 1.0 if family is Family.ACTIVE else -1.0j


def _curvature_of_magnitude(value: complex, response: ComplexArray) -> FloatArray:
    """Second derivative of |z| along the changes response : (k,) of z."""
    if value == 0:
        return np.zeros((len(response), len(response)))
    radial = (np.conj(value) * response).real / abs(value)
    return (np.outer(np.conj(response), response).real - np.outer(radial, radial)) / abs(value)
