"""The second-order step: where the curvature of losses and limits decides, a linear programme alone would zigzag.

The linear programme says which offers are marginal and which limits bind; with those fixed, one Newton step on the
optimality conditions finds how far to go. Together they are sequential linear-quadratic programming: Byrd, Gould,
Nocedal and Waltz, "An algorithm for nonlinear optimization using linear programming and equality constrained
subproblems", Math. Programming 100 (2004) 27-48.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from scipy import linalg

from market.clearing.linearisation import Linearisation, Rows
from market.clearing.problem import ClearingProblem
from market.clearing.solve import Step
from market.network.model import BoolArray, FloatArray, IntArray

LARGEST: Final = 2_000
"""Unknowns of a Newton system; above it the linear programme goes on alone."""
_REGULAR: Final = 1e-9
_BOUND: Final = 1e-9  # relative to the largest column
_ROUNDS: Final = 20
_REFINEMENTS: Final = 2


@dataclass(frozen=True, eq=False)
class Newton:
    """A factorised Newton system around one linearisation.

    movable : (column,) whose groups this step is for. free : columns that move. binding : rows held at their limit.
    moves : (column,) full step [MW].
    """

    movable: BoolArray
    free: IntArray
    binding: IntArray
    moves: FloatArray
    _system: "_Conditions"
    _columns: int
    _equalities: int

    def correct(self, excess: FloatArray) -> FloatArray:
        """(column,) smallest further move [MW] that takes away what binding rows exceed, excess : (binding,)."""
        size = len(self.free) + self._equalities
        right = np.zeros(size)
        right[len(self.free) : len(self.free) + len(self.binding)] = -excess
        move = np.zeros(self._columns)
        move[self.free] = self._system.solve(right)[: len(self.free)]
        return move


def newton_step(point: Linearisation, rows: Rows, step: Step, movable: BoolArray, unit_mw: float) -> Newton | None:
    """Newton step for the columns of `movable` : (column,), or None where there is nothing to solve.

    Minimises c'd + d'Hd/2 subject to binding limits and binding energy bounds staying at their bounds; columns that the
    linear programme put at a bound of their own go there. Bounds that the step would break are held as well, and the
    step is solved again, until it breaks none: a bound where the optimum is degenerate has no price that tells.
    """
    problem, x = point.problem, point.dispatch.accepted_mw
    upper = problem.columns.upper_mw
    inside = (step.accepted_mw > _BOUND * unit_mw) & (step.accepted_mw < upper - _BOUND * unit_mw)
    moves = np.where(inside, 0.0, step.accepted_mw - x) * movable
    free = inside & movable
    chosen = np.flatnonzero(free | (moves != 0.0))
    periods = np.unique(problem.columns.period[movable])
    binding = np.flatnonzero((step.shadow > 0) & (step.unmet[rows.unmet] <= 0) & np.isin(rows.period, periods))
    held = _held_energy(problem, step, x, movable)
    if not free.any() or len(chosen) > LARGEST or len(binding) + len(held) > LARGEST:
        return None
    hessian = _hessian(point, rows, step, chosen)
    unmet = np.flatnonzero((step.unmet[rows.unmet] > 0) & np.isin(rows.period, periods))
    slope = point.column_cost + step.shadow[unmet] @ _row_slopes(problem, rows, unmet)
    limits = _row_slopes(problem, rows, binding)
    for _ in range(_ROUNDS):
        own = np.flatnonzero(free[chosen])
        pushed = np.flatnonzero(~free[chosen])
        equal = np.concatenate([limits, _energy_slopes(problem, held)])
        gap = np.concatenate([rows.excess[binding], np.array(list(held.values()))]) + equal[:, ~free] @ moves[~free]
        right = -slope[chosen[own]] - hessian[np.ix_(own, pushed)] @ moves[chosen[pushed]]
        system = _Conditions(hessian[np.ix_(own, own)], equal[:, chosen[own]])
        answer = system.solve(np.concatenate([right, -gap]))
        if not np.isfinite(answer).all():
            return None
        moves[chosen[own]] = answer[: len(own)]
        newton = Newton(movable, chosen[own], binding, moves.copy(), system, len(x), len(equal))
        broken = free & ((x + moves < -_BOUND * unit_mw) | (x + moves > upper + _BOUND * unit_mw))
        beyond = _broken_energy(problem, x, moves, held, _BOUND * unit_mw)
        if not broken.any() and not beyond:
            break
        moves[broken] = np.where(moves[broken] < 0, 0.0, upper[broken]) - x[broken]
        free &= ~broken
        held |= beyond
        if not free.any():
            break
    return newton


class _Conditions:
    """The optimality conditions of free columns under equalities, factorised.

    A little is added to the diagonal so that flat directions and redundant equalities leave a regular matrix; refining
    against the matrix without it takes back what that shifts.
    """

    def __init__(self, hessian: FloatArray, equal: FloatArray) -> None:
        """Of hessian : (free, free) and equal : (equality, free)."""
        columns, size = len(hessian), len(hessian) + len(equal)
        self._matrix = np.zeros((size, size))
        self._matrix[:columns, :columns] = hessian
        self._matrix[:columns, columns:], self._matrix[columns:, :columns] = equal.T, equal
        steepest = max(float(np.abs(hessian).max(initial=0.0)), 1.0)
        shift = np.where(np.arange(size) < columns, _REGULAR * steepest, -_REGULAR / steepest)
        self._factors = linalg.lu_factor(self._matrix + np.diag(shift), check_finite=False)

    def solve(self, right: FloatArray) -> FloatArray:
        """(free and equality,) moves and multipliers."""
        answer: FloatArray = linalg.lu_solve(self._factors, right)
        for _ in range(_REFINEMENTS):
            answer += linalg.lu_solve(self._factors, right - self._matrix @ answer)
        return answer


def _row_slopes(problem: ClearingProblem, rows: Rows, chosen: IntArray) -> FloatArray:
    """(chosen, column) derivative of each row's excess by accepted power [1/MW]."""
    columns = problem.columns
    slopes: FloatArray = rows.by_p[chosen][:, columns.bus] * columns.sign
    slopes *= rows.period[chosen][:, None] == columns.period
    return slopes


Held: TypeAlias = dict[tuple[int, int], float]
"""Running energy held at a bound: by envelope and period, how far it is beyond the bound now [MW times periods]."""


def _held_energy(problem: ClearingProblem, step: Step, x: FloatArray, movable: BoolArray) -> Held:
    """Bounds with a price in the linear programme."""
    found: Held = {}
    for number, t in np.argwhere(step.energy_price != 0).tolist():
        columns = _columns_until(problem, number, t)
        if movable[columns].any():
            found[number, t] = float(problem.columns.sign[columns] @ (x - step.accepted_mw)[columns])
    return found


def _broken_energy(problem: ClearingProblem, x: FloatArray, moves: FloatArray, held: Held, small: float) -> Held:
    """Bounds that a move breaks and that are not held yet."""
    found: Held = {}
    for number, each in enumerate(problem.envelopes):
        here, there = (running_power(problem, number, power) for power in (x, x + moves))
        low, high = each.low_mwh / problem.hours, each.high_mwh / problem.hours
        for t in np.flatnonzero((there < low - small) | (there > high + small)).tolist():
            if (number, t) not in held:
                found[number, t] = float(here[t] - (low[t] if there[t] < low[t] else high[t]))
    return found


def running_power(problem: ClearingProblem, number: int, accepted_mw: FloatArray) -> FloatArray:
    """(period,) running sum of an envelope's change of power [MW times periods]."""
    each = problem.envelopes[number]
    more = np.where(each.more >= 0, accepted_mw[each.more], 0.0)
    less = np.where(each.less >= 0, accepted_mw[each.less], 0.0)
    total: FloatArray = np.cumsum(more - less)
    return total


def _columns_until(problem: ClearingProblem, number: int, period: int) -> IntArray:
    each = problem.envelopes[number]
    until = np.concatenate([each.less[: period + 1], each.more[: period + 1]])
    return until[until >= 0]


def _energy_slopes(problem: ClearingProblem, held: Held) -> FloatArray:
    """(held, column) derivative of running energy by accepted power, in periods."""
    slopes = np.zeros((len(held), len(problem.columns)))
    for row, (number, t) in enumerate(held):
        columns = _columns_until(problem, number, t)
        slopes[row, columns] = problem.columns.sign[columns]
    return slopes


def _hessian(point: Linearisation, rows: Rows, step: Step, chosen: IntArray) -> FloatArray:
    """(chosen, chosen) second derivative of the Lagrangian [EUR/h per MW^2] for some columns; 0 between periods."""
    columns = point.problem.columns
    total = np.zeros((len(chosen), len(chosen)))
    for period in np.unique(columns.period[chosen]):
        at = np.flatnonzero(columns.period[chosen] == period)
        buses, back = np.unique(columns.bus[chosen[at]], return_inverse=True)
        by_bus = point.hessian(int(period), buses, rows, step.shadow)
        signs = columns.sign[chosen[at]]
        total[np.ix_(at, at)] = by_bus[np.ix_(back, back)] * np.outer(signs, signs)
    return total
