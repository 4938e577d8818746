"""Offers that are accepted as a whole: integers decided in the loop, then fixed, so that prices are those of an LP.

The relaxed optimum is found first. Around it a mixed-integer programme decides which blocks are accepted; with that
fixed the AC optimum is found. Around the best decision so far the next one is looked for, all that were met excluded,
until none promises to be better: where cost and limits are convex, the linear programme promises too much, never too
little (outer approximation with integer cuts, Duran and Grossmann, Math. Programming 36 (1986) 307-339).
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from market.clearing.loop import Laps, Optimum, optimise
from market.clearing.options import DEFAULT, Options
from market.clearing.problem import ClearingProblem
from market.clearing.program import Bounds, Program, program_of
from market.clearing.solve import Solver
from market.errors import SolverFailed
from market.network.model import BoolArray, FloatArray

_DECISIONS: Final = 30
_EXCLUSIONS: Final = 20
_WORTHWHILE: Final = 1e-7  # of the cost: what a better decision must promise
_LOSS_EUR_PER_H: Final = 1e-6


def decide(
    problem: ClearingProblem,
    options: Options = DEFAULT,
    *,
    limits: Bounds | None = None,
    laps: Laps | None = None,
) -> Optimum:
    """The AC optimum with the rules of blocks.

    limits : narrower bounds of columns than 0 to all of them. Raises SolverFailed, also where an exclusion of losing
    blocks leaves no decision.
    """
    laps = laps or Laps()
    limits = limits or Bounds(np.zeros(len(problem.columns)), problem.columns.upper_mw)
    relaxed = optimise(problem, options, limits=limits, laps=laps)
    if len(problem.blocks) == 0:
        return relaxed
    found = _best_decision(problem, options, limits, relaxed, (), laps)
    if not options.no_paradoxically_accepted:
        return found.optimum
    excluded: list[BoolArray] = []
    for _ in range(_EXCLUSIONS):
        losing = _losing(problem, found)
        if not losing.any():
            return found.optimum
        excluded.append(losing)
        found = _best_decision(problem, options, limits, relaxed, tuple(excluded), laps)
    raise SolverFailed("no set of blocks was found in which none is accepted at a loss")


@dataclass(frozen=True, eq=False)
class _Decision:
    """accepted : (block,). cost : true cost, unmet limits at their price [EUR/h]."""

    accepted: BoolArray
    optimum: Optimum
    cost: float


def _best_decision(
    problem: ClearingProblem,
    options: Options,
    limits: Bounds,
    relaxed: Optimum,
    excluded: tuple[BoolArray, ...],
    laps: Laps,
) -> _Decision:
    """The cheapest decision. excluded : sets of blocks that may not all be accepted."""
    best: _Decision | None = None
    met: list[BoolArray] = []
    for _ in range(_DECISIONS):
        around = relaxed if best is None else best.optimum
        accepted, promised = _decided(problem, options, limits, around, excluded, tuple(met), laps)
        if accepted is None or (best is not None and promised >= best.cost - _WORTHWHILE * max(abs(best.cost), 1.0)):
            break
        met.append(accepted)
        optimum = optimise(problem, options, limits=fixed(problem, limits, accepted), start=around, laps=laps)
        if best is None or optimum.cost_eur_per_h < best.cost:
            best = _Decision(accepted, optimum, optimum.cost_eur_per_h)
    if best is None:
        raise SolverFailed("infeasible: no set of blocks keeps the rules")
    return best


def fixed(problem: ClearingProblem, limits: Bounds, accepted: BoolArray) -> Bounds:
    """Bounds with decided blocks: none of it, or from its least activation to all of it."""
    low, high, blocks = limits.low_mw.copy(), limits.high_mw.copy(), problem.blocks
    upper = problem.columns.upper_mw[blocks.column]
    low[blocks.column] = np.where(accepted, blocks.min_activation * upper, 0.0)
    high[blocks.column] = np.where(accepted, upper, 0.0)
    return Bounds(low, high)


def _decided(
    problem: ClearingProblem,
    options: Options,
    limits: Bounds,
    around: Optimum,
    excluded: tuple[BoolArray, ...],
    met: tuple[BoolArray, ...],
    laps: Laps,
) -> tuple[BoolArray | None, float]:
    """What the mixed-integer programme around an optimum accepts : (block,), and the cost that it promises [EUR/h].

    None where nothing is left to decide. met : decisions that are not to be made again.
    """
    point, dispatch = around.linearisation, around.dispatch
    rows = point.rows(around.entered)
    program = program_of(point, rows, limits, np.arange(len(problem.columns)), integer=True)
    for losing in excluded:
        program = _without_all_of(program, losing)
    for decision in met:
        program = _other_than(program, decision)
    try:
        solution = Solver().solve(program, time_limit_s=options.time_limit_s - laps.total_s)
    except SolverFailed as failure:
        if met and failure.status == "infeasible":
            return None, np.inf
        raise
    laps.lap("integers")
    change = float(point.column_cost @ (solution.accepted_mw - dispatch.accepted_mw))
    promised = float(dispatch.cost.sum()) + change + float(rows.price @ solution.unmet)
    return np.asarray(solution.accepted > 0.5, dtype=np.bool_), promised


def _without_all_of(program: Program, losing: BoolArray) -> Program:
    """A programme in which the blocks of a set are not all accepted: sum of those <= their number - 1."""
    return _with_row(program, np.where(losing, 1.0, 0.0), float(losing.sum()) - 1.0)


def _other_than(program: Program, decision: BoolArray) -> Program:
    """A programme that does not decide the same: sum over accepted - sum over rejected <= number accepted - 1."""
    return _with_row(program, np.where(decision, 1.0, -1.0), float(decision.sum()) - 1.0)


def _with_row(program: Program, weight: FloatArray, high: float) -> Program:
    """A programme with one more row over its blocks, weight : (block,)."""
    columns = len(program.cost) - len(weight) + np.flatnonzero(weight)
    row = len(program.row_low)
    return replace(
        program,
        row_low=np.append(program.row_low, -np.inf),
        row_high=np.append(program.row_high, high),
        entry_row=np.concatenate([program.entry_row, np.full(len(columns), row)]),
        entry_column=np.concatenate([program.entry_column, columns]),
        entry_value=np.concatenate([program.entry_value, weight[weight != 0]]),
    )


def _losing(problem: ClearingProblem, found: _Decision) -> BoolArray:
    """(block,) accepted blocks that the nodal prices do not cover."""
    point, shadow = found.optimum.linearisation, found.optimum.shadow
    rows = point.rows(shadow > 0)
    price = point.nodal(rows, shadow[rows.period, rows.limit])
    reduced: FloatArray = problem.column_cost + problem.columns.worth(price)
    accepted_mw = found.optimum.dispatch.accepted_mw[problem.blocks.column]
    losing: BoolArray = found.accepted & (reduced[problem.blocks.column] * accepted_mw > _LOSS_EUR_PER_H)
    return losing
