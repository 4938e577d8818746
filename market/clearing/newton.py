"""The second-order step: where the curvature of losses and limits decides, a linear programme alone would zigzag.

A quadratic programme around the point, with the exact Hessian of the Lagrangian, says how far to go. Its active set is
found by the primal-dual active set strategy (a semismooth Newton method), which starts from what the linear programme
says is marginal and binds: Hintermueller, Ito and Kunisch, SIAM J. Optim. 13 (2003) 865-888. Together with the linear
programme it is sequential linear-quadratic programming: Byrd, Gould, Nocedal and Waltz, Math. Programming 100 (2004)
27-48.

    minimise    c'd + d'Hd/2 + sum price s      over columns in play
    subject to  excess + A d - s <= 0,  s >= 0;  low <= x + d <= high;  low <= running energy <= high
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import splu

from market.clearing.columns import NONE
from market.clearing.curvature import Curvature
from market.clearing.linearisation import Linearisation, Rows
from market.clearing.pricing import Multipliers, Step
from market.clearing.program import Bounds
from market.clearing.slopes import energy_slopes, row_slopes
from market.network.model import FloatArray, IntArray

LARGEST: Final = 1_500
"""Columns of a second-order step; above it the linear programme goes on alone."""
_REGULAR: Final = 1e-9
_SMALL: Final = 1e-9  # relative to the largest column
_ROUNDS: Final = 12
_NEAR: Final = 0.02  # excess of limits that may come to bind
_REFINEMENTS: Final = 2

StateArray = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Newton:
    """The second-order step.

    moves : (column,) [MW]. binding_at : periods and limits held at their bounds. multipliers : that go with it. free :
    columns that are not at a bound. equal : (binding and held, free) what stays as it is.
    """

    moves: FloatArray
    binding_at: tuple[IntArray, IntArray]
    multipliers: Multipliers
    free: IntArray
    equal: sparse.csr_array

    def correct(self, excess: FloatArray) -> FloatArray:
        """(column,) smallest further move [MW] that takes away what binding limits exceed, excess : (binding,)."""
        move = np.zeros(len(self.moves))
        system = _Conditions(sparse.eye_array(len(self.free), format="csr"), self.equal)
        right = np.zeros(len(self.free) + self.equal.shape[0])
        right[len(self.free) : len(self.free) + len(excess)] = -excess
        answer = system.solve(right)
        if answer is not None:
            move[self.free] = answer[: len(self.free)]
        return move


def newton_step(
    point: Linearisation, rows: Rows, step: Step, reach: Bounds, chosen: IntArray, shadow: FloatArray
) -> Newton | None:
    """The second-order step of some columns in play within reach, chosen : (k,), whole groups; None if there is none.

    shadow : (row,) the best guess of shadow prices, for the curvature of limits [EUR/h per relative unit].
    """
    if len(chosen) == 0 or len(chosen) > LARGEST:
        return None
    curvature = Curvature.of(point, rows, shadow, chosen)
    return _ActiveSet(point, rows, step, reach, chosen, curvature).solve()


class _ActiveSet:
    """The quadratic programme of some columns, and a guess of what holds at its optimum.

    column : (k,) -1 at its lower bound, 0 free, 1 at its upper. row : (r,) 0 slack, 1 binding, 2 left unmet at its
    price. energy : (e,) as column, for running energies.
    """

    def __init__(
        self,
        point: Linearisation,
        rows: Rows,
        step: Step,
        reach: Bounds,
        chosen: IntArray,
        curvature: Curvature,
    ) -> None:
        problem, x = point.problem, point.dispatch.accepted_mw
        self._rows, self._chosen, self._curvature, self._columns = rows, chosen, curvature, len(x)
        self._unit = problem.unit_mw
        self._small = _SMALL * problem.unit_mw
        self._down, self._up = reach.low_mw[chosen] - x[chosen], reach.high_mw[chosen] - x[chosen]
        self._gradient = point.column_cost[chosen]
        groups = np.unique(problem.group_of_column[chosen])
        near = (rows.excess > -_NEAR) | (step.excess > -_NEAR) | (step.multipliers.shadow > 0)
        self._own = np.flatnonzero(np.isin(problem.couplings[rows.period], groups) & near)
        self._slopes = row_slopes(problem, rows, self._own, chosen)
        self._excess = rows.excess[self._own]
        self._price = rows.price[rows.unmet[self._own]]
        owners = np.unique(problem.envelopes.of_column[chosen])
        owners = owners[owners != NONE]
        row, period = np.nonzero(problem.envelopes.kept[owners])
        self._energies = np.stack([owners[row], period], axis=1)
        self._energy_slopes = energy_slopes(problem, self._energies, chosen)
        here = problem.envelopes.running(x, owners)[row, period]
        self._energy_down = problem.envelopes.low[owners[row], period] - here
        self._energy_up = problem.envelopes.high[owners[row], period] - here
        # What only the trust region stops in the linear programme is free at first.
        there, limits = step.accepted_mw[chosen], step.limits
        self.column = _at_bounds(there, limits.low_mw[chosen], limits.high_mw[chosen], self._small)
        left = step.unmet[rows.unmet[self._own]] > 0
        self.row = np.where(step.multipliers.shadow[self._own] > 0, np.where(left, 2, 1), 0).astype(np.int8)
        self.energy = -np.sign(step.multipliers.energy_at(self._energies, problem)).astype(np.int8)

    def solve(self) -> Newton | None:
        """The step; None where the guess does not settle."""
        found = None
        for _ in range(_ROUNDS):
            answer = self._equality_step()
            if answer is None:
                return None
            found, *prices = answer
            if not self._update(*prices):
                return found
        return None

    def _newton(self, move: FloatArray, shadow: FloatArray, energy_price: FloatArray) -> Newton:
        free, binding, held = (np.flatnonzero(each) for each in (self.column == 0, self.row == 1, self.energy != 0))
        moves = np.zeros(self._columns)
        moves[self._chosen] = move
        full = np.zeros(len(self._rows))
        full[self._own] = np.maximum(shadow, 0.0)
        at = self._rows.period[self._own[binding]], self._rows.limit[self._own[binding]]
        equal = sparse.vstack([self._slopes[binding], self._energy_slopes[held]], format="csr")[:, free]
        return Newton(moves, at, Multipliers(full, self._energies, energy_price), self._chosen[free], equal)

    def _equality_step(self) -> tuple[Newton, FloatArray, FloatArray, FloatArray, FloatArray] | None:
        """The optimum while the guess holds, with reduced costs (k,), shadow prices (r,) and energy prices (e,)."""
        free, binding, held = (np.flatnonzero(each) for each in (self.column == 0, self.row == 1, self.energy != 0))
        move = np.where(self.column < 0, self._down, np.where(self.column > 0, self._up, 0.0))
        equal = sparse.vstack([self._slopes[binding], self._energy_slopes[held]], format="csr")
        bound = np.where(self.energy[held] < 0, self._energy_down[held], self._energy_up[held])
        gap = np.concatenate([-self._excess[binding], bound]) - equal @ move
        shadow = np.where(self.row == 2, self._price, 0.0)
        slope = self._gradient + self._slopes.T @ shadow + self._curvature.times(move)
        answer = _Conditions(self._curvature.among(free), equal[:, free]).solve(np.concatenate([-slope[free], gap]))
        if answer is None:
            return None
        move[free] = answer[: len(free)]
        shadow[binding] = answer[len(free) : len(free) + len(binding)]
        energy_price = np.zeros(len(self.energy))
        energy_price[held] = -answer[len(free) + len(binding) :]
        reduced = self._gradient + self._curvature.times(move) + self._slopes.T @ shadow
        reduced -= self._energy_slopes.T @ energy_price
        return self._newton(move, shadow, energy_price), move, reduced, shadow, energy_price

    def _update(self, move: FloatArray, reduced: FloatArray, shadow: FloatArray, energy_price: FloatArray) -> bool:
        """Hold what is broken, let go of what is held against its will; whether that changed anything."""
        column, row, energy = self.column.copy(), self.row.copy(), self.energy.copy()
        free = column == 0
        column[free & (move < self._down - self._small)] = -1
        column[free & (move > self._up + self._small)] = 1
        excess = self._excess + self._slopes @ move
        row[(row == 0) & (excess > 1e-9)] = 1
        energy_move = self._energy_slopes @ move
        loose = energy == 0
        energy[loose & (energy_move < self._energy_down - self._small)] = -1
        energy[loose & (energy_move > self._energy_up + self._small)] = 1
        noise = 1e-9 * np.maximum(np.abs(self._gradient), 1.0)
        column[(self.column < 0) & (reduced < -noise) & (self._up > self._down)] = 0
        column[(self.column > 0) & (reduced > noise) & (self._up > self._down)] = 0
        row[(self.row == 1) & (shadow < 0)] = 0
        row[(self.row == 1) & (shadow > self._price)] = 2
        row[(self.row == 2) & (excess < -1e-9)] = 1
        energy[(self.energy < 0) & (energy_price < 0)] = 0
        energy[(self.energy > 0) & (energy_price > 0)] = 0
        changed = (column != self.column).any() or (row != self.row).any() or (energy != self.energy).any()
        self.column, self.row, self.energy = column, row, energy
        return bool(changed)


def _at_bounds(move: FloatArray, down: FloatArray, up: FloatArray, small: float) -> StateArray:
    state: StateArray = np.where(move <= down + small, -1, np.where(move >= up - small, 1, 0)).astype(np.int8)
    return state


class _Conditions:
    """The optimality conditions of free columns under equalities, factorised.

    A little is added to the diagonal so that flat directions and redundant equalities leave a regular matrix; refining
    against the matrix without it takes back what that shifts.
    """

    def __init__(self, hessian: sparse.csr_array, equal: sparse.csr_array) -> None:
        """Of hessian : (free, free) and equal : (equality, free)."""
        columns, self.size = hessian.shape[0], hessian.shape[0] + equal.shape[0]
        nothing = sparse.csr_array((equal.shape[0], equal.shape[0]))
        self._matrix = sparse.block_array([[hessian, equal.T], [equal, nothing]], format="csc")
        steepest = max(float(np.abs(hessian.data).max(initial=0.0)), 1.0)
        shift = np.where(np.arange(self.size) < columns, _REGULAR * steepest, -_REGULAR / steepest)
        try:
            self._factors = splu((self._matrix + sparse.diags_array(shift)).tocsc()) if self.size else None
        except RuntimeError:  # exactly singular
            self._factors = None

    def solve(self, right: FloatArray) -> FloatArray | None:
        """(free and equality,) moves and multipliers; None where there is no finite answer."""
        if self._factors is None:
            return right if self.size == 0 else None
        answer: FloatArray = self._factors.solve(right)
        for _ in range(_REFINEMENTS):
            answer += self._factors.solve(right - self._matrix @ answer)
        return answer if np.isfinite(answer).all() else None
