"""Newton's moves from one point of the central path: one factorised system for all of them.

Slacks and multipliers are moved relative to what they are. Where slacks stay, multipliers want to change by w; where
slacks change by d, multipliers change by w - d, and products p of both become p (1 + d) (1 + w - d).
"""

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from market.clearing.quadratic import Quadratic
from market.clearing.response import Response
from market.clearing.system import System
from market.network.model import FloatArray

BACK: Final = 0.99
"""Of the way to the nearest bound: how far a step goes."""


@dataclass(frozen=True, eq=False)
class Move:
    """One direction. x : (k,). energy, energy_price : (e,). unmet_price : (w,). shadow : (r,). All are changes.

    wanted, slack, multiplier : (n,) relative changes, the first of multipliers where slacks stay.
    """

    x: FloatArray
    energy: FloatArray
    energy_price: FloatArray
    unmet_price: FloatArray
    shadow: FloatArray
    wanted: FloatArray
    slack: FloatArray
    multiplier: FloatArray

    @cached_property
    def lengths(self) -> tuple[float, float]:
        """The longest steps of slacks and of multipliers that keep them positive; at most what full ones are cut to."""
        primal, dual = (-1.0 / min(float(part.min(initial=0.0)), -BACK) for part in (self.slack, self.multiplier))
        return primal, dual

    def grown(self, primal: float, dual: float) -> FloatArray:
        """(n,) how many times as large products become by steps of these lengths."""
        grown, by_multiplier = primal * self.slack, dual * self.multiplier
        grown += 1.0
        by_multiplier += 1.0
        grown *= by_multiplier
        return grown

    @property
    def finite(self) -> bool:
        """Whether all of it is numbers."""
        return bool(np.isfinite(self.slack @ self.multiplier))


def ends(values: FloatArray, columns: int, energies: int, unmet: int) -> list[FloatArray]:
    """Of columns from below and above, of energies from below and above, of the unmet, of limits, in (n,) values."""
    k, e = columns, energies
    places = (0, k, 2 * k, 2 * k + e, 2 * (k + e), 2 * (k + e) + unmet, len(values))
    return [values[start:end] for start, end in itertools.pairwise(places)]


class Moves:
    """All moves from one point. product : (n,) of slacks and multipliers, inverse : (n,) one over it."""

    def __init__(
        self,
        model: Quadratic,
        slack: FloatArray,
        multiplier: FloatArray,
        energy_price: FloatArray,
        residuals: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
        firmest: float,
    ) -> None:
        """From a point with these slacks and multipliers : (n,) (`ends`), and prices of energies : (e,).

        residuals : of stationarity (k,), limits (r,), prices of what is unmet (w,) and energies (e,). firmest : least
        stiffness of a column. Raises LinAlgError where the system has no solution.
        """
        self._model, self._multiplier = model, multiplier
        self._energy_price, self._residuals = energy_price, residuals
        self._sizes = len(model.cost), len(model.energy_low), len(model.price)
        self._limits = slice(2 * (self._sizes[0] + self._sizes[1]), None)
        self.product = slack * multiplier
        self.inverse = 1 / self.product
        # What a change of columns, of energies and of prices is to the slacks of each, relative to them.
        self._by = 1 / slack
        low, high, below, above, unmet, limit = self._ends(multiplier * self._by)
        self._by[self._limits] = -1 / multiplier[self._limits]
        for falling in self._ends(self._by)[1:4:2]:
            np.negative(falling, out=falling)
        # What a relative change of multipliers asks of columns, of energies and of limits.
        self._asks = multiplier.copy()
        self._asks[self._limits] = slack[self._limits]
        self._held, self._unmet = below + above, unmet
        response = Response(model.cells, 1 / np.maximum(low + high, firmest), 1 / self._held)
        self._system = System(model, response, 1 / limit, 1 / unmet)

    def towards(self, wanted: FloatArray, *, exact: bool = False, refined: bool = False) -> Move:
        """The move that leaves nothing of the residuals; multipliers want to change by `wanted` : (n,).

        exact, refined : as in System.solve.
        """
        dual, excess, price, energy = self._residuals
        _, _, below, above, _, _ = self._ends(self._multiplier)
        push, pull, gap = self._asked(wanted)
        pull += below - above - self._energy_price
        gap -= excess + (price / self._unmet)[self._model.unmet]
        lack = pull / self._held - energy
        x, shadow, y = self._system.solve(push - dual, gap, lack, exact=exact, refined=refined)
        return self._whole(x, (pull - y) / self._held, y, price - self._model.shared(shadow), shadow, wanted)

    def corrected(self, move: Move, wanted: FloatArray) -> Move:
        """A move, and what is added to it where multipliers want to change by `wanted` : (n,) more."""
        push, pull, gap = self._asked(wanted)
        x, shadow, y = self._system.solve(push, gap, pull / self._held)
        return self._whole(
            move.x + x,
            move.energy + (pull - y) / self._held,
            move.energy_price + y,
            move.unmet_price - self._model.shared(shadow),
            move.shadow + shadow,
            move.wanted + wanted,
        )

    def _ends(self, values: FloatArray) -> list[FloatArray]:
        return ends(values, *self._sizes)

    def _asked(self, wanted: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What is asked of columns (k,), energies (e,) and limits (r,) by multipliers that want to change."""
        low, high, below, above, unmet, room = self._ends(wanted * self._asks)
        return low - high, below - above, unmet[self._model.unmet] - room

    def _whole(
        self,
        x: FloatArray,
        energy: FloatArray,
        energy_price: FloatArray,
        unmet_price: FloatArray,
        shadow: FloatArray,
        wanted: FloatArray,
    ) -> Move:
        """With what slacks and multipliers change by."""
        slack = np.empty_like(wanted)
        changes = (x, x, energy, energy, unmet_price, shadow)
        for change, by, part in zip(changes, self._ends(self._by), self._ends(slack), strict=True):
            np.multiply(change, by, out=part)
        slack[self._limits] += wanted[self._limits]
        return Move(x, energy, energy_price, unmet_price, shadow, wanted, slack, wanted - slack)
