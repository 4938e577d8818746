"""Relinearise until the AC optimum is reached: sequential linear-quadratic programming with a trust region."""

import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from market.clearing.linearisation import Dispatch, Linearisation, Rows, combined, dispatches
from market.clearing.model import Bounds, build_model
from market.clearing.newton import Newton, newton_step, running_power
from market.clearing.problem import ClearingProblem
from market.clearing.solve import Step, solve
from market.errors import PowerFlowDiverged, SolverFailed
from market.network.model import BoolArray, FloatArray

_FRACTIONS: Final = (1.0, 0.5, 0.2, 0.05)
_NOISE: Final = 1e-11  # of the cost: what the power flow's own tolerance can move it by
_SMALLEST: Final = 1e-10  # trust region, relative to the largest column


@dataclass(frozen=True)
class Options:
    """When the loop is content.

    price_tolerance : largest error of the optimality conditions, relative to the ask there (of at least 1 EUR/MWh).
    accepted_tolerance : the same where no further progress is possible in floating point. excess_tolerance : largest
    excess of a limit, relative to its scale.
    """

    price_tolerance: float = 1e-6
    accepted_tolerance: float = 5e-5
    excess_tolerance: float = 1e-7
    most_iterations: int = 100
    time_limit_s: float = 300.0


DEFAULT: Final = Options()


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where the loop ended.

    shadow : (period, limit) what one relative unit of a limit saves [EUR/h]. seconds : spent in each part.
    """

    dispatch: Dispatch
    linearisation: Linearisation
    shadow: FloatArray
    iterations: int
    seconds: dict[str, float]


@dataclass
class _Laps:
    """Seconds by part of the loop."""

    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    last: float = field(default_factory=time.perf_counter)

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self.last
        self.last = now

    @property
    def total_s(self) -> float:
        return time.perf_counter() - self.began


def optimise(problem: ClearingProblem, options: Options) -> Optimum:
    """Accepted power and shadow prices at the AC optimum.

    Periods that no envelope ties together are groups of their own: each has its trust region, and leaves the loop when
    it is done. Raises SolverFailed where the solver fails or the loop ends without an optimum.
    """
    laps = _Laps()
    unit_mw = float(problem.columns.upper_mw.max(initial=1e-6))
    groups = problem.couplings
    dispatch = dispatches(problem, np.zeros((1, len(problem.columns))))[0]
    entered = dispatch.excess > options.excess_tolerance
    shadow = np.zeros_like(dispatch.excess)
    radius = np.full(groups.max() + 1, unit_mw)
    working = np.ones(len(radius), dtype=np.bool_)
    laps.lap("power_flow")
    for iteration in range(1, options.most_iterations + 1):
        point = Linearisation(problem, dispatch)
        rows = point.rows(entered & working[groups][:, None])
        bounds = _trust_region(problem, dispatch.accepted_mw, (radius * working)[groups])
        laps.lap("sensitivities")
        model = build_model(point, rows, bounds, unit_mw)
        laps.lap("build")
        step = solve(model, problem, unit_mw=unit_mw, time_limit_s=max(options.time_limit_s - laps.total_s, 0.1))
        laps.lap("solve")
        shadow[rows.period, rows.limit] = step.shadow
        error = optimality_error(point, rows, step, options)
        working &= ~_finished(
            error, radius < _SMALLEST * unit_mw, working, options, last=iteration == options.most_iterations
        )
        if not working.any():
            return Optimum(dispatch, point, shadow, iteration, laps.seconds)
        newton = newton_step(point, rows, step, _held_back(problem, step, bounds, working), unit_mw)
        laps.lap("sensitivities")
        trials = _trials(problem, rows, dispatch, step, newton)
        entered |= np.logical_or.reduce([trial.dispatch.excess > options.excess_tolerance for trial in trials])
        laps.lap("power_flow")
        rows = point.rows(entered & working[groups][:, None])
        dispatch, radius = _best(problem, rows, dispatch, trials, radius, working)
        laps.lap("sensitivities")
    raise AssertionError("the last iteration returns or raises")


def _trust_region(problem: ClearingProblem, accepted_mw: FloatArray, radius: FloatArray) -> Bounds:
    """Bounds of every column in this step; radius : (period,) [MW]."""
    reach = radius[problem.columns.period]
    return Bounds(
        low_mw=np.maximum(accepted_mw - reach, 0.0), high_mw=np.minimum(accepted_mw + reach, problem.columns.upper_mw)
    )


def optimality_error(point: Linearisation, rows: Rows, step: Step, options: Options) -> FloatArray:
    """(group,) worst breach of the optimality conditions at the present dispatch; 1 = the tolerance.

    Stationarity: a partly accepted column has reduced cost 0, one at a bound has none that points inwards; the same for
    running energy. Feasibility and complementarity: a limit with a shadow price is tight, none is exceeded but at its
    slack price.
    """
    problem, x = point.problem, point.dispatch.accepted_mw
    columns, groups = problem.columns, problem.couplings
    error = np.zeros(groups.max() + 1)
    small = 1e-8 * columns.upper_mw.max(initial=0.0)
    inward = np.maximum(
        np.where(x > small, step.reduced_cost, 0.0), np.where(x < columns.upper_mw - small, -step.reduced_cost, 0.0)
    )
    relative = inward / np.maximum(np.abs(columns.price), 1.0) / options.price_tolerance
    np.maximum.at(error, groups[columns.period], relative)
    for number, each in enumerate(problem.envelopes):
        energy = running_power(problem, number, x) * problem.hours
        slack = np.minimum(energy - each.low_mwh, each.high_mwh - energy)
        loose = np.where(slack > small * problem.hours, np.abs(step.energy_price[number]), 0.0)
        error[0] = max(error[0], float(loose.max()) / options.price_tolerance)
    whole = np.zeros(len(rows.price))
    np.add.at(whole, rows.unmet, step.shadow)
    allowed = _unmet(rows, point.dispatch) * (whole >= rows.price * (1 - 1e-9))
    exceeded = rows.excess - allowed[rows.unmet]
    untight = np.where(step.shadow > 1e-9 * rows.price[rows.unmet], -exceeded, 0.0)
    np.maximum.at(error, groups[rows.period], np.maximum(exceeded, untight) / options.excess_tolerance)
    unseen = point.dispatch.excess > options.excess_tolerance
    unseen[rows.period, rows.limit] = False
    np.maximum.at(error, groups, np.where(unseen.any(axis=1), np.inf, 0.0))
    return error


def _finished(error: FloatArray, stuck: BoolArray, working: BoolArray, options: Options, *, last: bool) -> BoolArray:
    """Groups that are done; SolverFailed where one can go no further and is not good enough."""
    good_enough = error <= options.accepted_tolerance / options.price_tolerance
    hopeless = working & ~good_enough & (stuck | last)
    if hopeless.any():
        worst = float(error[hopeless].max() * options.price_tolerance)
        raise SolverFailed(f"no optimum found: the optimality conditions are still {worst:.1e} apart")
    done: BoolArray = (error <= 1.0) | stuck | (last & good_enough)
    return done


def _held_back(problem: ClearingProblem, step: Step, bounds: Bounds, working: BoolArray) -> BoolArray:
    """(column,) columns of the groups in which the trust region, and nothing else, stops some column."""
    x, upper = step.accepted_mw, problem.columns.upper_mw
    small = 1e-9 * upper.max(initial=0.0)
    at_low = (x <= bounds.low_mw + small) & (bounds.low_mw > small)
    at_high = (x >= bounds.high_mw - small) & (bounds.high_mw < upper - small)
    group = problem.couplings[problem.columns.period]
    held = np.zeros(len(working), dtype=np.bool_)
    held[group[at_low | at_high]] = True
    return (held & working)[group]


@dataclass(frozen=True, eq=False)
class _Trial:
    """A dispatch to be judged, how far it goes [share of its step], and whether its step is of second order."""

    dispatch: Dispatch
    fraction: float
    second_order: bool


def _trials(
    problem: ClearingProblem, rows: Rows, dispatch: Dispatch, step: Step, newton: Newton | None
) -> list[_Trial]:
    x = dispatch.accepted_mw
    linear = step.accepted_mw - x
    wanted = [(x + f * linear, f, False) for f in _FRACTIONS]
    if newton is not None:
        second = np.where(newton.movable, newton.moves, linear)
        wanted += [(_within(problem, x, f * second), f, True) for f in _FRACTIONS[:3]]
    trials = _evaluated(problem, wanted)
    full = next((trial for trial in trials if trial.second_order and trial.fraction == 1.0), None)
    if newton is not None and full is not None and len(newton.binding) > 0:
        excess = full.dispatch.excess[rows.period, rows.limit][newton.binding]
        corrected = _within(problem, x, full.dispatch.accepted_mw + newton.correct(excess) - x)
        trials += _evaluated(problem, [(corrected, 1.0, True)])
    return trials


def _within(problem: ClearingProblem, x: FloatArray, move: FloatArray) -> FloatArray:
    """The move, cut at the columns' bounds; where envelopes tie periods together, shortened as a whole instead."""
    upper = problem.columns.upper_mw
    if not problem.envelopes:
        return np.clip(x + move, 0.0, upper)
    # Where a bound holds already, rounding must not keep the move from following it.
    small = 1e-9 * upper.max(initial=0.0)
    share = _longest(x, move, np.full_like(x, -small), upper + small)
    for number, each in enumerate(problem.envelopes):
        here, there = (running_power(problem, number, x), running_power(problem, number, x + move))
        low, high = each.low_mwh / problem.hours - small, each.high_mwh / problem.hours + small
        share = min(share, _longest(here, there - here, low, high))
    return np.clip(x + share * move, 0.0, upper)


def _longest(start: FloatArray, move: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Largest share of a move, up to 1, that stays between low and high."""
    room = np.where(move > 0, high - start, start - low)
    moving = np.abs(move) > 1e-15
    return float(min(1.0, (np.maximum(room[moving], 0.0) / np.abs(move[moving])).min(initial=1.0)))


def _evaluated(problem: ClearingProblem, wanted: list[tuple[FloatArray, float, bool]]) -> list[_Trial]:
    """Trials with their AC state; those without an AC solution are left out."""
    try:
        found = dispatches(problem, np.stack([accepted for accepted, _, _ in wanted]))
    except PowerFlowDiverged:
        if len(wanted) == 1:
            return []
        return [trial for each in wanted for trial in _evaluated(problem, [each])]
    return [_Trial(each, fraction, second) for each, (_, fraction, second) in zip(found, wanted, strict=True)]


def _best(
    problem: ClearingProblem,
    rows: Rows,
    dispatch: Dispatch,
    trials: list[_Trial],
    radius: FloatArray,
    working: BoolArray,
) -> tuple[Dispatch, FloatArray]:
    """For each group the trial of least true cost, and its next trust region; no trial that does not improve."""
    groups = problem.couplings
    now = _merit(problem, rows, dispatch)
    noise = _NOISE * np.maximum(np.abs(now), 1.0)
    merits = np.array([_merit(problem, rows, trial.dispatch) - noise * trial.second_order for trial in trials])
    if len(trials) == 0:
        return dispatch, radius / 4
    chosen = merits.argmin(axis=0)
    better = (merits.min(axis=0) < now) & working
    radius = radius.copy()
    for group in np.flatnonzero(working):
        trial = trials[chosen[group]]
        own = groups[problem.columns.period] == group
        length = float(np.abs(trial.dispatch.accepted_mw - dispatch.accepted_mw)[own].max(initial=0.0))
        if not better[group]:
            full = float(np.abs(trials[0].dispatch.accepted_mw - dispatch.accepted_mw)[own].max(initial=0.0))
            radius[group] = min(radius[group], full) / 4
        elif trial.second_order:
            radius[group] = max(2 * length, radius[group] / 10)
        elif trial.fraction < 1.0:
            radius[group] = length
        elif length > 0.99 * radius[group]:
            radius[group] *= 2
    pick = np.where(better, chosen + 1, 0)[groups]
    return combined(problem, [dispatch, *(trial.dispatch for trial in trials)], pick), radius


def _merit(problem: ClearingProblem, rows: Rows, dispatch: Dispatch) -> FloatArray:
    """(group,) true cost of a dispatch, unmet limits at their price [EUR/h]."""
    merit = np.zeros(problem.couplings.max() + 1)
    np.add.at(merit, problem.couplings, dispatch.cost)
    period = np.zeros(len(rows.price), dtype=np.intp)
    period[rows.unmet] = rows.period
    np.add.at(merit, problem.couplings[period], rows.price * _unmet(rows, dispatch))
    return merit


def _unmet(rows: Rows, dispatch: Dispatch) -> FloatArray:
    """(unmet,) what a dispatch leaves unmet of each limit: the worst of its parts."""
    unmet = np.zeros(len(rows.price))
    np.maximum.at(unmet, rows.unmet, dispatch.excess[rows.period, rows.limit])
    return unmet
