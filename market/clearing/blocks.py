"""Offers that are accepted as a whole: integers decided in the loop, then fixed, so that prices are those of an LP.

The relaxed optimum is found first. Around it a mixed-integer programme decides which blocks are accepted; with that
fixed the AC optimum is found again, and around that the integers are decided once more, until the decision stays. The
cheapest decision that was met is taken.
"""

from dataclasses import dataclass, replace

import numpy as np

from market.clearing.loop import Laps, Optimum, optimise
from market.clearing.options import DEFAULT, Options
from market.clearing.problem import ClearingProblem
from market.clearing.program import Bounds, Program, program_of
from market.clearing.solve import Solver
from market.errors import SolverFailed
from market.network.model import BoolArray, FloatArray

_DECISIONS = 8
_EXCLUSIONS = 20
_LOSS_EUR_PER_H = 1e-6


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
    """The cheapest of the decisions that were met. excluded : sets of blocks that may not all be accepted."""
    best: _Decision | None = None
    met: set[bytes] = set()
    around = relaxed
    for _ in range(_DECISIONS):
        accepted = _decided(problem, options, limits, around, excluded, laps)
        if accepted.tobytes() in met:
            break
        met.add(accepted.tobytes())
        optimum = optimise(problem, options, limits=fixed(problem, limits, accepted), start=around, laps=laps)
        found = _Decision(accepted, optimum, optimum.cost_eur_per_h)
        if best is None or found.cost < best.cost:
            best = found
        around = optimum
    assert best is not None, "the first decision is new"
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
    laps: Laps,
) -> BoolArray:
    """(block,) what the mixed-integer programme around an optimum accepts."""
    rows = around.linearisation.rows(around.entered)
    chosen = np.arange(len(problem.columns))
    program = program_of(around.linearisation, rows, limits, chosen, integer=True)
    for losing in excluded:
        program = _without(program, losing)
    left = options.time_limit_s - laps.total_s
    return np.asarray(Solver().solve(program, time_limit_s=left).accepted > 0.5, dtype=np.bool_)


def _without(program: Program, losing: BoolArray) -> Program:
    """A programme in which the blocks of a set are not all accepted: sum of those <= their number - 1."""
    first = len(program.cost) - len(losing)
    columns = first + np.flatnonzero(losing)
    row = len(program.row_low)
    return replace(
        program,
        row_low=np.append(program.row_low, -np.inf),
        row_high=np.append(program.row_high, len(columns) - 1.0),
        entry_row=np.concatenate([program.entry_row, np.full(len(columns), row)]),
        entry_column=np.concatenate([program.entry_column, columns]),
        entry_value=np.concatenate([program.entry_value, np.ones(len(columns))]),
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
