"""The second-order step: where the curvature of losses and limits decides, a linear programme alone would zigzag.

The linear programme says which offers are marginal and which limits bind; with those fixed, one Newton step on the
optimality conditions finds how far to go. Together they are sequential linear-quadratic programming: Byrd, Gould,
Nocedal and Waltz, "An algorithm for nonlinear optimization using linear programming and equality constrained
subproblems", Math. Programming 100 (2004) 27-48.
"""

from dataclasses import dataclass
from typing import Final

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
    _factors: tuple[FloatArray, IntArray]
    _columns: int
    _equalities: int

    def correct(self, excess: FloatArray) -> FloatArray:
        """(column,) smallest further move [MW] that takes away what binding rows exceed, excess : (binding,)."""
        size = len(self.free) + self._equalities
        right = np.zeros(size)
        right[len(self.free) : len(self.free) + len(self.binding)] = -excess
        move = np.zeros(self._columns)
        move[self.free] = linalg.lu_solve(self._factors, right)[: len(self.free)]
        return move


def newton_step(point: Linearisation, rows: Rows, step: Step, movable: BoolArray, unit_mw: float) -> Newton | None:
    """Newton step for the columns of `movable` : (column,), or None where there is nothing to solve.

    Minimises c'd + d'Hd/2 subject to binding limits and binding energy bounds staying at their bounds; columns that the
    linear programme put at a bound of their own go there.
    """
    problem, x = point.problem, point.dispatch.accepted_mw
    upper = problem.columns.upper_mw
    inside = (step.accepted_mw > _BOUND * unit_mw) & (step.accepted_mw < upper - _BOUND * unit_mw)
    free = np.flatnonzero(inside & movable)
    fixed = np.flatnonzero(~inside & movable)
    periods = np.unique(problem.columns.period[movable])
    binding = np.flatnonzero((step.shadow > 0) & (step.unmet[rows.unmet] <= 0) & np.isin(rows.period, periods))
    equal = np.concatenate([_row_slopes(problem, rows, binding), _energy_slopes(problem, step, movable)])
    size = len(free) + len(equal)
    moves = np.zeros(len(x))
    moves[fixed] = step.accepted_mw[fixed] - x[fixed]
    pushed = fixed[moves[fixed] != 0.0]
    if len(free) == 0 or size > LARGEST or len(pushed) > LARGEST:
        return None
    hessian = _hessian(point, rows, step, np.concatenate([free, pushed]))
    own, towards = hessian[: len(free), : len(free)], hessian[: len(free), len(free) :]
    gap = np.concatenate([rows.excess[binding], _energy_gaps(problem, step, x, movable)])
    system = np.zeros((size, size))
    system[: len(free), : len(free)] = own
    steepest = max(float(np.abs(system).max(initial=0.0)), 1.0)
    system[np.arange(len(free)), np.arange(len(free))] += _REGULAR * steepest
    system[: len(free), len(free) :], system[len(free) :, : len(free)] = (equal[:, free].T, equal[:, free])
    # Redundant equalities would make the system singular; a little give lets them share.
    system[np.arange(len(free), size), np.arange(len(free), size)] -= _REGULAR / steepest
    unmet = np.flatnonzero((step.unmet[rows.unmet] > 0) & np.isin(rows.period, periods))
    slope = point.column_cost + step.shadow[unmet] @ _row_slopes(problem, rows, unmet)
    right = np.concatenate([-slope[free] - towards @ moves[pushed], -gap - equal[:, fixed] @ moves[fixed]])
    factors = linalg.lu_factor(system, check_finite=False)
    answer = linalg.lu_solve(factors, right)
    if not np.isfinite(answer).all():
        return None
    moves[free] = answer[: len(free)]
    return Newton(movable, free, binding, moves, factors, len(x), len(equal))


def _row_slopes(problem: ClearingProblem, rows: Rows, chosen: IntArray) -> FloatArray:
    """(chosen, column) derivative of each row's excess by accepted power [1/MW]."""
    columns = problem.columns
    slopes: FloatArray = rows.by_p[chosen][:, columns.bus] * columns.sign
    slopes *= rows.period[chosen][:, None] == columns.period
    return slopes


def _binding_energy(problem: ClearingProblem, step: Step, movable: BoolArray) -> list[tuple[int, int]]:
    at = np.argwhere(step.energy_price != 0)
    return [(int(number), int(t)) for number, t in at if movable[_columns_until(problem, number, t)].any()]


def _columns_until(problem: ClearingProblem, number: int, period: int) -> IntArray:
    each = problem.envelopes[number]
    until = np.concatenate([each.less[: period + 1], each.more[: period + 1]])
    return until[until >= 0]


def _energy_slopes(problem: ClearingProblem, step: Step, movable: BoolArray) -> FloatArray:
    """(binding bound, column) derivative of running energy by accepted power, in periods."""
    chosen = _binding_energy(problem, step, movable)
    slopes = np.zeros((len(chosen), len(problem.columns)))
    for row, (number, t) in enumerate(chosen):
        columns = _columns_until(problem, number, t)
        slopes[row, columns] = problem.columns.sign[columns]
    return slopes


def _energy_gaps(problem: ClearingProblem, step: Step, x: FloatArray, movable: BoolArray) -> FloatArray:
    chosen = _binding_energy(problem, step, movable)
    gaps = [
        _energy_of(problem, number, t, x) - _energy_of(problem, number, t, step.accepted_mw) for number, t in chosen
    ]
    return np.array(gaps)


def _energy_of(problem: ClearingProblem, number: int, period: int, accepted_mw: FloatArray) -> float:
    columns = _columns_until(problem, number, period)
    return float(problem.columns.sign[columns] @ accepted_mw[columns])


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
