"""Offers that are accepted as a whole: integers decided in the loop, then fixed, so that prices are those of an LP.

So are turns: a fleet that pays for |change| would do less and more at once, and pay twice for nothing.

The relaxed optimum is found first. Around it a mixed-integer programme decides which blocks are accepted; with that
fixed the AC optimum is found. Around the best decision so far the next one is looked for, all that were met excluded,
until none promises to be better: where cost and limits are convex, the linear programme promises too much, never too
little (outer approximation with integer cuts, Duran and Grossmann, Math. Programming 36 (1986) 307-339).
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from market.clearing.columns import NONE
from market.clearing.loop import Laps, Optimum, optimise
from market.clearing.options import DEFAULT, Options
from market.clearing.problem import ClearingProblem
from market.clearing.program import Bounds, Program, least_accepted, program_of
from market.clearing.solve import Solver
from market.errors import SolverFailed
from market.network.model import BoolArray, FloatArray, IntArray

_DECISIONS: Final = 60
_PART: Final = 0.4  # of the time that is left: when the best decision that a programme knows of is tried
_WORTHWHILE: Final = 1e-7  # of the cost: what a better decision must promise
_LOSS_EUR_PER_H: Final = 1e-6
_TOGETHER: Final = 1e-9  # of the largest column: less than this is rounding


def decide(
    problem: ClearingProblem,
    options: Options = DEFAULT,
    *,
    limits: Bounds | None = None,
    laps: Laps | None = None,
) -> Optimum:
    """The AC optimum with the rules of blocks.

    limits : narrower bounds of columns than 0 to all of them; a block whose bound is above 0 is accepted. Raises
    SolverFailed, also where no decision keeps the rules.
    """
    laps = laps or Laps()
    limits = limits or Bounds(np.zeros(len(problem.columns)), problem.columns.upper_mw)
    relaxed = optimise(problem, options, limits=limits, laps=laps)
    if len(problem.blocks) == 0 and not _at_once(problem, relaxed):
        return relaxed
    return _best_decision(problem, options, limits, relaxed, laps).optimum


def _at_once(problem: ClearingProblem, optimum: Optimum) -> bool:
    """Whether a fleet that pays for its change does both, less and more, so as to pay twice."""
    accepted_mw, turns = optimum.dispatch.accepted_mw, problem.turns
    both = np.minimum(accepted_mw[turns.less], accepted_mw[turns.more])
    return bool((both > _TOGETHER * problem.unit_mw).any())


@dataclass(frozen=True, eq=False)
class _Decision:
    """accepted : (block and turn,). cost : true cost, unmet limits at their price [EUR/h]."""

    accepted: BoolArray
    optimum: Optimum
    cost: float


def _best_decision(
    problem: ClearingProblem, options: Options, limits: Bounds, relaxed: Optimum, laps: Laps
) -> _Decision:
    """The cheapest decision; where options ask for it, of those in which no block is accepted at a loss.

    A decision whose AC optimum is not found does not count; where time runs out, the best so far does, and is not
    proven.
    """
    best: _Decision | None = None
    met: list[BoolArray] = []
    proven, ruled_out = True, False
    failed = SolverFailed("infeasible: no set of blocks keeps the rules")
    for _ in range(_DECISIONS):
        around = relaxed if best is None else best.optimum
        try:
            decided = _decided(problem, options, limits, around, tuple(met), laps)
            ruled_out = decided is None or (best is not None and not decided.cheaper_than(best.cost))
            proven &= decided is None or decided.proven
            if decided is None or ruled_out:
                break
            met.append(decided.accepted)
            own = fixed(problem, limits, decided.accepted, decided.needed)
            optimum = optimise(problem, options, limits=own, start=around, laps=laps)
        except SolverFailed as failure:
            failed, proven = failure, False
            if not met or laps.total_s > options.time_limit_s:
                break
            continue
        found = _Decision(decided.accepted, optimum, optimum.cost_eur_per_h)
        allowed = not (options.no_paradoxically_accepted and _losing(problem, limits, found).any())
        if allowed and (best is None or found.cost < best.cost):
            best = found
    if best is None:
        raise failed
    return replace(best, optimum=replace(best.optimum, proven=proven and ruled_out))


def fixed(problem: ClearingProblem, limits: Bounds, accepted: BoolArray, needed: "Needed") -> Bounds:
    """Bounds with decided blocks: none of it, or from its least activation to all of it; and decided turns.

    accepted : (block and turn,). needed : what is accepted because an accepted block requires its offer.
    """
    low, high, blocks, turns = limits.low_mw.copy(), limits.high_mw.copy(), problem.blocks, problem.turns
    accepted, up = np.split(accepted, [len(blocks)])
    high[turns.less[up]] = high[turns.more[~up]] = 0.0
    upper = problem.columns.upper_mw[blocks.column]
    low[blocks.column] = np.where(accepted, np.maximum(low[blocks.column], blocks.min_activation * upper), 0.0)
    high[blocks.column] = np.where(accepted, high[blocks.column], 0.0)
    low[needed.column] = np.maximum(low[needed.column], np.minimum(needed.least_mw, high[needed.column]))
    return Bounds(low, high)


@dataclass(frozen=True, eq=False)
class Needed:
    """Columns of which accepted blocks require something : (k,), and at least how much of each [MW] : (k,)."""

    column: IntArray
    least_mw: FloatArray


@dataclass(frozen=True, eq=False)
class _Decided:
    """What a mixed-integer programme says.

    accepted : (block and turn,). needed : what accepted blocks require. promised : its cost [EUR/h]. proven : whether
    none promises less.
    """

    accepted: BoolArray
    needed: Needed
    promised: float
    proven: bool

    def cheaper_than(self, cost: float) -> bool:
        """Whether it promises to be worth trying where another costs so much [EUR/h]."""
        return self.promised < cost - _WORTHWHILE * max(abs(cost), 1.0)


def _decided(
    problem: ClearingProblem,
    options: Options,
    limits: Bounds,
    around: Optimum,
    met: tuple[BoolArray, ...],
    laps: Laps,
) -> _Decided | None:
    """The best decision around an optimum but those that were met; None where nothing is left to decide."""
    point, dispatch = around.linearisation, around.dispatch
    rows = point.rows(around.entered)
    program = program_of(point, rows, limits, np.arange(len(problem.columns)), integer=True)
    for decision in met:
        program = _other_than(program, decision)
    try:
        solution = Solver().solve(program, time_limit_s=_PART * (options.time_limit_s - laps.total_s))
    except SolverFailed as failure:
        if met and failure.status == "infeasible":
            return None
        raise
    laps.lap("integers")
    change = float(point.column_cost @ (solution.accepted_mw - dispatch.accepted_mw))
    promised = float(dispatch.cost.sum()) + change + float(rows.price @ solution.unmet)
    accepted = np.asarray(solution.accepted > 0.5, dtype=np.bool_)
    needed = _needed(problem, accepted[: len(problem.blocks)], solution.accepted_mw)
    return _Decided(accepted, needed, promised, solution.proven)


def _needed(problem: ClearingProblem, accepted: BoolArray, accepted_mw: FloatArray) -> Needed:
    """Of every divisible offer that an accepted block requires, the column that is used most."""
    required = np.unique(problem.blocks.requires[accepted & (problem.blocks.requires != NONE)])
    divisible = np.setdiff1d(required, problem.blocks.offer)
    found = []
    for offer in divisible.tolist():
        column, least_mw = least_accepted(problem, offer)
        most = int(accepted_mw[column].argmax())
        found.append((column[most], least_mw[most]))
    return Needed(np.array([at for at, _ in found], dtype=np.intp), np.array([least for _, least in found]))


def _other_than(program: Program, decision: BoolArray) -> Program:
    """A programme that does not decide the same: sum over accepted - sum over rejected <= number accepted - 1."""
    return _with_row(program, np.where(decision, 1.0, -1.0), float(decision.sum()) - 1.0)


def _with_row(program: Program, weight: FloatArray, high: float) -> Program:
    """A programme with one more row over its blocks and turns, weight : (block and turn,)."""
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


def _losing(problem: ClearingProblem, limits: Bounds, found: _Decision) -> BoolArray:
    """(block,) accepted blocks that the nodal prices do not cover; one that must be accepted has no say."""
    point, shadow = found.optimum.linearisation, found.optimum.shadow
    rows = point.rows(shadow > 0)
    price = point.nodal(rows, shadow[rows.period, rows.limit])
    reduced: FloatArray = problem.column_cost + problem.columns.worth(price)
    column = problem.blocks.column
    accepted = found.accepted[: len(problem.blocks)] & (limits.low_mw[column] == 0)
    accepted_mw = found.optimum.dispatch.accepted_mw[column]
    losing: BoolArray = accepted & (reduced[column] * accepted_mw > _LOSS_EUR_PER_H)
    return losing
