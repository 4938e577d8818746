"""The market around one dispatch as a quadratic programme, by cells.

minimise    c'(x - at) + (x - at)' S'H S (x - at) / 2 + price's     x : accepted power of columns, S x : of cells
subject to  excess + A S (x - at) <= E s,  s >= 0                   limits, left unmet at their price
            energy_low <= G x <= energy_high                        running energies
            low <= x <= high
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy import sparse

from market.clearing.cells import Cells
from market.clearing.curvature import Curvature
from market.clearing.directions import Directions
from market.clearing.linearisation import Linearisation, Rows
from market.clearing.program import Bounds
from market.clearing.second_order import curvature_of
from market.network.model import FloatArray, IntArray

_DIRECTIONS: Final = 4  # of curvature at each time that count as main ones
_WIDTH: Final = 1e-9  # least room of a running energy, relative to the largest column


def curvature_at(
    point: Linearisation, rows: Rows, cells: Cells, shadow: FloatArray, *, rough: bool = False
) -> Curvature:
    """H between cells at a point, or roughly so; shadow : (row,) prices of limits [EUR/h per relative unit]."""
    curvature = curvature_of(point, cells.times, cells.places, rows, shadow, rough=rough)
    return curvature.where(cells.taken.T, point.problem.unit_mw)


@dataclass(frozen=True, eq=False)
class Quadratic:
    """The programme above, in units near one.

    at, low, high, cost : (k,). curvature : H between cells, None where there is none. slope : A (r, place), each
    row at its time : (r,), ascending. excess : (r,) at `at`. unmet : (r,) what a row may leave unmet, at price : (w,).
    energy_low, energy_high : (e,).
    """

    cells: Cells
    at: FloatArray
    cost: FloatArray
    curvature: Curvature | None
    time: IntArray
    slope: FloatArray
    excess: FloatArray
    unmet: IntArray
    price: FloatArray
    energy_low: FloatArray
    energy_high: FloatArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def around(
        cls,
        point: Linearisation,
        rows: Rows,
        own: IntArray,
        cells: Cells,
        bounds: Bounds,
        curvature: Curvature | None,
        *,
        left: IntArray | None = None,
    ) -> "Quadratic":
        """Of the columns of cells and limits `own` : (r,) of rows, with this curvature (`curvature_at`).

        left : rows of limits that stay unmet whatever is done, so that they only add their price to that of cells.
        Powers are measured by the largest column, prices in EUR/h per MW.
        """
        problem, unit, x = point.problem, point.problem.unit_mw, point.dispatch.accepted_mw
        chosen = cells.chosen
        at = x[chosen] / unit
        running = problem.envelopes.running(x, cells.fleets)
        others = running[cells.fleet, cells.energies[:, 1]] / unit - cells.energy(at)
        low, high = (
            bound[cells.energies[:, 0], cells.energies[:, 1]] / unit - others
            for bound in (problem.envelopes.low, problem.envelopes.high)
        )
        bounds_of_columns = bounds.low_mw[chosen] / unit, bounds.high_mw[chosen] / unit
        least, most = cells.energy_range(*bounds_of_columns)
        # A bound that the columns' own bounds imply is out of the way: two that hold the same leave no middle.
        away = most - least + 1.0
        low = np.where(low <= least + _WIDTH, least - away, low)
        high = np.where(high >= most - _WIDTH, most + away, high)
        known, unmet = np.unique(rows.unmet[own], return_inverse=True)
        left = np.zeros(0, dtype=np.intp) if left is None else left
        pushed = np.zeros(cells.shape[::-1])
        worth = rows.slope[np.ix_(left, cells.places)] * rows.price[rows.unmet[left], None]
        np.add.at(pushed, np.searchsorted(cells.times, rows.period[left]), worth)
        return cls(
            cells=cells,
            at=at,
            cost=point.column_cost[chosen] + cells.worth(pushed.T),
            curvature=curvature,
            time=np.searchsorted(cells.times, rows.period[own]),
            slope=rows.slope[np.ix_(own, cells.places)] * unit,
            excess=rows.excess[own],
            unmet=unmet,
            price=rows.price[known] / unit,
            energy_low=np.minimum(low, high - _WIDTH),
            energy_high=np.maximum(high, low + _WIDTH),
            low=bounds_of_columns[0],
            high=bounds_of_columns[1],
        )

    def curved(self, change: FloatArray) -> FloatArray:
        """(place, time) H times a change of cells : (place, time)."""
        if self.curvature is None:
            return np.zeros_like(change)
        return self.curvature.times(change)

    def curved_by_columns(self, move: FloatArray) -> FloatArray:
        """(k,) the curvature's product with a move of columns."""
        return self.cells.worth(self.curved(self.cells.spread(move)))

    def curvature_among(self, free: IntArray) -> sparse.csr_array:
        """(free, free) second derivative by some columns."""
        assert self.curvature is not None, "there is some"
        (places, times), matrix = self.cells.shape, self.curvature.dense()
        time, one, other = np.nonzero(matrix)
        where = (one * times + time, other * times + time)
        by_cell = sparse.csr_array((matrix[time, one, other], where), shape=(places * times,) * 2)
        own = self.cells.matrix[:, free]
        return sparse.csr_array(own.T @ (by_cell @ own))

    def excess_of(self, change: FloatArray) -> FloatArray:
        """(r,) how a change of cells changes what limits are exceeded by."""
        moved: FloatArray = (self.slope * change.T[self.time]).sum(axis=1)
        return moved

    def nodal(self, shadow: FloatArray) -> FloatArray:
        """(place, time) what shadow prices : (r,) are worth in cells."""
        price = np.zeros(self.cells.shape[::-1])
        there, first = self._limited
        if len(there):
            price[there] = np.add.reduceat(self.slope * shadow[:, None], first, axis=0)
        return price.T

    @cached_property
    def _limited(self) -> tuple[IntArray, IntArray]:
        """Times that have limits, and where those begin."""
        there, first = np.unique(self.time, return_index=True)
        return there, first

    def shared(self, amount: FloatArray) -> FloatArray:
        """(w,) sums of amount : (r,) over the rows that leave the same unmet."""
        total: FloatArray = np.bincount(self.unmet, amount, minlength=len(self.price)).astype(np.float64)
        return total

    @cached_property
    def sharing(self) -> tuple[IntArray, IntArray]:
        """Every pair of rows that leave the same unmet, a row with itself included, once."""
        order = np.argsort(self.unmet, kind="stable")
        first, second = [], []
        for apart in range(int(np.bincount(self.unmet).max(initial=0))):
            one, other = order[: len(order) - apart], order[apart:]
            same = self.unmet[one] == self.unmet[other]
            first.append(one[same])
            second.append(other[same])
        return np.concatenate([*first, np.zeros(0, np.intp)]), np.concatenate([*second, np.zeros(0, np.intp)])

    @cached_property
    def main(self) -> tuple[FloatArray, FloatArray]:
        """The directions that curve most (time, place, few), and on the diagonal what they leave out (place, time).

        A pivoted Cholesky factorisation of every H, ended early.
        """
        places, times = self.cells.shape
        if self.curvature is None:
            return np.zeros((times, places, 1)), np.zeros((places, times))
        few = min(_DIRECTIONS, places)
        roots, rest = np.zeros((times, places, few)), self.curvature.diagonal
        every = np.arange(times)
        for number in range(few):
            pivot = rest.argmax(axis=1)
            size = rest[every, pivot]
            column = self.curvature.column(pivot) - (roots @ roots[every, pivot][:, :, None])[:, :, 0]
            root = column / np.sqrt(np.where(size > 0, size, np.inf))[:, None]
            roots[:, :, number] = root
            rest -= root**2
        return roots, np.maximum(rest, 0.0).T

    @cached_property
    def beside(self) -> Curvature | None:
        """What the curvature is more than its main directions and the diagonal; None where there is none."""
        roots, rest = self.main
        return None if self.curvature is None else self.curvature.beside(roots, rest.T)

    @cached_property
    def directions(self) -> Directions:
        """Main directions of the curvature and limits beside one another."""
        return Directions.of(self.main[0], self.slope, self.time)
