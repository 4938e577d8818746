"""Relinearise until the AC optimum is reached: sequential linear-quadratic programming with a trust region."""

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import numpy as np

from market.clearing.columns import NONE
from market.clearing.dispatch import Dispatch, baseline_dispatch, combined, dispatches
from market.clearing.linearisation import Linearisation, Rows
from market.clearing.newton import Newton, newton_step
from market.clearing.options import DEFAULT, LEAST_ASK, Options
from market.clearing.pricing import InPlay, Multipliers, Step
from market.clearing.problem import ClearingProblem
from market.clearing.program import Bounds
from market.errors import PowerFlowDiverged, SolverFailed
from market.network.model import BoolArray, FloatArray, IntArray

_FIRST: Final = (1.0,)
_SHORTER: Final = (0.5, 0.2, 0.05)
_PATIENCE: Final = 4
"""Steps of a group in a row that may not improve."""
_NOISE: Final = 1e-11  # of the cost: what the power flow's own tolerance can move it by
_SLACK_PRICE: Final = 1e-6  # relative
_TIGHT: Final = 1e-6  # excess from which on a limit counts as unmet
_MOVED: Final = 1e-6  # relative change of a slack price that is worth another round
_UPDATES: Final = 10
_ROUNDING: Final = 1e-6  # of running energies, relative to the largest column
_SMALLEST: Final = 1e-10  # trust region, relative to the largest column


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where the loop ended.

    limits : between which values columns could move. entered : (period, limit) limits that were looked at. shadow :
    (period, limit) what one relative unit of a limit saves [EUR/h]. energy_price : (envelope, period) as in
    Multipliers.
    """

    dispatch: Dispatch
    linearisation: Linearisation
    limits: Bounds
    entered: BoolArray
    shadow: FloatArray
    energy_price: FloatArray
    iterations: int

    @property
    def cost_eur_per_h(self) -> float:
        """True cost, all periods together, unmet limits at their price."""
        rows = self.linearisation.rows(self.entered)
        return float(_merit(self.linearisation.problem, rows, self.dispatch).sum())

    def cost_eur(self, problem: ClearingProblem) -> Decimal:
        """The same over the periods' length [EUR]."""
        return Decimal(repr(self.cost_eur_per_h * problem.hours))


@dataclass
class Laps:
    """Seconds by part of the work."""

    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    last: float = field(default_factory=time.perf_counter)

    def lap(self, part: str) -> None:
        """The time since the last lap went into `part`."""
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self.last
        self.last = now

    @property
    def total_s(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self.began


def optimise(
    problem: ClearingProblem,
    options: Options = DEFAULT,
    *,
    limits: Bounds | None = None,
    start: Optimum | None = None,
    laps: Laps | None = None,
) -> Optimum:
    """Accepted power and shadow prices at the AC optimum.

    limits : narrower bounds of columns than 0 to all of them. start : an optimum with other bounds, to go on from.
    Periods that no offer ties together are groups of their own: each has its trust region, and leaves the loop when it
    is done. Raises SolverFailed where the solver fails or the loop ends without an optimum.
    """
    laps = laps or Laps()
    limits = limits or Bounds(np.zeros(len(problem.columns)), problem.columns.upper_mw)
    in_play, groups = InPlay(problem), problem.couplings
    dispatch = start.dispatch if start else baseline_dispatch(problem)
    within = np.clip(dispatch.accepted_mw, limits.low_mw, limits.high_mw)
    in_play.columns |= within > 0
    if (within != dispatch.accepted_mw).any():
        (dispatch,) = dispatches(problem, [within], dispatch)
    entered = dispatch.excess > options.excess_tolerance
    if start:
        entered |= start.entered
    state = _Prices(np.zeros_like(dispatch.excess), np.zeros_like(problem.envelopes.low))
    radius = np.full(groups.max() + 1, problem.unit_mw)
    working = np.ones(len(radius), dtype=np.bool_)
    best, patience, hint, slack_price, updates = dispatch, np.full(len(radius), _PATIENCE), None, None, 0
    idle = np.zeros(len(radius), dtype=np.bool_)
    laps.lap("power_flow")
    for iteration in range(1, options.most_iterations + 1):
        point = Linearisation(problem, dispatch, slack_price)
        slack_price = point.slack_price
        late = laps.total_s > options.time_limit_s
        last = iteration == options.most_iterations or late
        if hint is not None:
            rows = point.rows(entered & working[groups][:, None])
            error = optimality_error(point, rows, hint.on(rows), limits, options)
            in_play.welcome(hint.on(rows), point, rows, working[problem.group_of_column], options.price_tolerance)
            working &= ~state.keep(problem, rows, hint.on(rows), working & (error <= 1.0))
            laps.lap("sensitivities")
        if working.any():
            rows = point.rows(entered & working[groups][:, None])
            reach = _trust_region(problem, dispatch.accepted_mw, limits, radius)
            laps.lap("sensitivities")
            step = in_play.solve(
                point,
                rows,
                limits,
                reach,
                working[problem.group_of_column],
                time_limit_s=options.time_limit_s - laps.total_s,
                tolerance=options.price_tolerance / 2,
            )
            laps.lap("solve")
            error = optimality_error(point, rows, step.multipliers, limits, options)
            stuck = (radius < _SMALLEST * problem.unit_mw) | idle
            done = _finished(error, stuck, radius < _SMALLEST * problem.unit_mw, working, options, last=last, late=late)
            working &= ~state.keep(problem, rows, step.multipliers, working & done)
        if not working.any():
            # What is left unmet is priced as seen from the optimum: once more where those prices have moved.
            working = _with_moved_prices(point, entered)
            updates += 1
            if updates > _UPDATES or last or not working.any():
                return Optimum(dispatch, point, limits, entered, state.shadow, state.energy_price, iteration)
            best, hint, radius = dispatch, None, np.where(working, problem.unit_mw, radius)
            continue
        search = _Search(point, rows, step, reach, best, in_play.columns, hint, options)
        dispatch, best, radius, patience, idle = search.next(radius, working, patience)
        hint = search.hint
        entered |= search.entered
        laps.lap("search")
    raise AssertionError("the last iteration returns or raises")


@dataclass(frozen=True, eq=False)
class _Hint:
    """Multipliers of the second-order step that was taken, which may support the point that it led to.

    shadow : (period, limit) [EUR/h per relative unit].
    """

    shadow: FloatArray
    multipliers: Multipliers

    def on(self, rows: Rows) -> Multipliers:
        """The same for other rows."""
        shadow = self.shadow[rows.period, rows.limit]
        return Multipliers(shadow, self.multipliers.energies, self.multipliers.energy_price)


@dataclass(frozen=True, eq=False)
class _Prices:
    """What supports the groups that are done. shadow : (period, limit). energy_price : (envelope, period)."""

    shadow: FloatArray
    energy_price: FloatArray

    def keep(self, problem: ClearingProblem, rows: Rows, multipliers: Multipliers, done: BoolArray) -> BoolArray:
        """Keep the prices of groups that are done now; returns them."""
        own = done[problem.couplings[rows.period]]
        self.shadow[rows.period[own], rows.limit[own]] = multipliers.shadow[own]
        at = multipliers.energies[done[problem.couplings[multipliers.energies[:, 1]]]]
        chosen = done[problem.couplings[multipliers.energies[:, 1]]]
        self.energy_price[at[:, 0], at[:, 1]] = multipliers.energy_price[chosen]
        return done


def _with_moved_prices(point: Linearisation, entered: BoolArray) -> BoolArray:
    """(group,) where the price of what stays unmet is another as seen from here; from now on it is that."""
    problem = point.problem
    rows = point.rows(entered)
    moved = (_unmet(rows, point.dispatch) > _TIGHT) & (np.abs(rows.price - rows.price_here) > _MOVED * rows.price_here)
    own = np.flatnonzero(moved[rows.unmet])
    point.slack_price[rows.period[own], problem.limits.whole[rows.limit[own]]] = rows.price_here[rows.unmet[own]]
    groups = np.zeros(int(problem.couplings.max()) + 1, dtype=np.bool_)
    groups[problem.couplings[rows.period[own]]] = True
    return groups


def _trust_region(problem: ClearingProblem, accepted_mw: FloatArray, limits: Bounds, radius: FloatArray) -> Bounds:
    """Bounds of every column in this step; radius : (group,) [MW]."""
    reach = radius[problem.group_of_column]
    return Bounds(
        low_mw=np.maximum(accepted_mw - reach, limits.low_mw), high_mw=np.minimum(accepted_mw + reach, limits.high_mw)
    )


def optimality_error(
    point: Linearisation, rows: Rows, multipliers: Multipliers, limits: Bounds, options: Options
) -> FloatArray:
    """(group,) worst breach of the optimality conditions at the present dispatch; 1 = the tolerance.

    Stationarity: a partly accepted column has reduced cost 0, one at a bound has none that points inwards. Feasibility
    and complementarity: a limit with a shadow price is tight, none is exceeded but at its slack price; a running energy
    that is not at a bound has no price.
    """
    problem, x = point.problem, point.dispatch.accepted_mw
    groups, shadow = problem.couplings, multipliers.shadow
    error = np.zeros(groups.max() + 1)
    small = 1e-8 * problem.unit_mw
    reduced = multipliers.reduced_cost(point, rows)
    above, below = x > limits.low_mw + small, x < limits.high_mw - small
    inward = np.maximum(np.where(above, reduced, 0.0), np.where(below, -reduced, 0.0))
    relative = inward / np.maximum(np.abs(problem.columns.ask), LEAST_ASK) / options.price_tolerance
    np.maximum.at(error, problem.group_of_column, relative)
    if len(multipliers.energies):
        _add_energy_error(problem, multipliers, x, small, options, error)
    whole = np.zeros(len(rows.price))
    np.add.at(whole, rows.unmet, shadow)
    unmet = _unmet(rows, point.dispatch) * (whole >= rows.price * (1 - _SLACK_PRICE))
    exceeded = rows.excess - unmet[rows.unmet]
    untight = np.where(shadow > 1e-9 * rows.price[rows.unmet], -exceeded, 0.0)
    np.maximum.at(error, groups[rows.period], np.maximum(exceeded, untight) / options.excess_tolerance)
    above_price = np.maximum(whole - rows.price * (1 + _SLACK_PRICE), 0.0)[rows.unmet]
    np.maximum.at(error, groups[rows.period], np.where(above_price > 0, np.inf, 0.0))
    unseen = point.dispatch.excess > options.excess_tolerance
    unseen[rows.period, rows.limit] = False
    np.maximum.at(error, groups, np.where(unseen.any(axis=1), np.inf, 0.0))
    return error


def _add_energy_error(
    problem: ClearingProblem, multipliers: Multipliers, x: FloatArray, small: float, options: Options, error: FloatArray
) -> None:
    """A running energy has a price at its bounds only, and of the sign that holds it there."""
    fleets = problem.envelopes
    at, price = multipliers.energies, multipliers.energy_price
    owners, back = np.unique(at[:, 0], return_inverse=True)
    energy = fleets.running(x, owners)[back, at[:, 1]]
    low, high = (bound[at[:, 0], at[:, 1]] for bound in (fleets.low, fleets.high))
    loose = np.maximum(np.where(energy - low > small, price, 0.0), np.where(high - energy > small, -price, 0.0))
    np.maximum.at(error, problem.couplings[at[:, 1]], loose / LEAST_ASK / options.price_tolerance)


def _finished(
    error: FloatArray,
    stuck: BoolArray,
    smallest: BoolArray,
    working: BoolArray,
    options: Options,
    *,
    last: bool,
    late: bool,
) -> BoolArray:
    """Groups that are done; SolverFailed where one can go no further and is not good enough.

    stuck : no step improved. smallest : nor can any shorter one.
    """
    good_enough = error <= options.accepted_tolerance / options.price_tolerance
    hopeless = working & ~good_enough & (smallest | last)
    if hopeless.any():
        worst = float(error[hopeless].max() * options.price_tolerance)
        why = f"out of time after {options.time_limit_s:g} s" if late else "no optimum found"
        raise SolverFailed(f"{why}: the optimality conditions are still {worst:.1e} apart")
    done: BoolArray = (error <= 1.0) | (good_enough & (stuck | last))
    return done


@dataclass(frozen=True, eq=False)
class _Trial:
    """A dispatch to be judged, how far it goes [share of its step], and whether its step is of second order."""

    dispatch: Dispatch
    fraction: float
    second_order: bool


class _Search:
    """Looks for a better dispatch along the linear and the second-order step.

    A full linear step that lowers cost but leaves limits by their curvature is taken all the same, a few times: the
    next one brings the limits back, where shorter steps along curved limits would creep (the watchdog technique of
    Chamberlain et al., Math. Programming Study 16 (1982) 1-17). What was best so far is kept to return to.
    """

    def __init__(
        self,
        point: Linearisation,
        rows: Rows,
        step: Step,
        reach: Bounds,
        best: Dispatch,
        in_play: BoolArray,
        hint: "_Hint | None",
        options: Options,
    ) -> None:
        self._problem, self._point, self._rows = point.problem, point, rows
        self._here, self._step, self._limits, self._options = point.dispatch, step, step.limits, options
        self._best, self._in_play, self._reach = best, in_play, reach
        self._linear = step.accepted_mw - point.dispatch.accepted_mw
        self._newton: Newton | None = None
        self._trials: list[_Trial] = []
        self.hint = hint
        self.entered = np.zeros_like(point.dispatch.excess, dtype=np.bool_)

    def next(
        self, radius: FloatArray, working: BoolArray, patience: IntArray
    ) -> tuple[Dispatch, Dispatch, FloatArray, IntArray, BoolArray]:
        """For each group where to go on from, and the best so far.

        Also its next trust region, how often it may yet not improve, and whether nothing better was found.
        """
        rows = self._rows
        self._try(self._shares(self._linear, _FIRST, second_order=False))
        better, chosen = self._better(working)
        if (working & ~better).any():
            self._try_second_order(rows, (working & ~better)[self._problem.group_of_column])
            better, chosen = self._better(working)
        daring = working & ~better & (patience > 0) & self._spoiled_by_limits() & (self._newton is None)
        waiting = working & ~better & ~daring
        # Shorter steps start from the best: where it is not here, go back there first.
        shorter = (waiting & self._is_best)[self._problem.group_of_column]
        if shorter.any():
            self._try(self._shares(self._linear * shorter, _SHORTER, second_order=False))
            if self._newton is not None:
                self._try(self._shares(self._newton.moves * shorter, _SHORTER, second_order=True))
            better, chosen = self._better(working)
        choices = [self._here, self._best, *(trial.dispatch for trial in self._trials)]
        found = np.where(better, chosen + 2, np.where(working, 1, 0))
        groups = self._problem.couplings
        best = combined(self._problem, choices, found[groups])
        onward = combined(self._problem, choices, np.where(daring, 2, found)[groups])
        patience = np.where(better, np.minimum(patience + 1, _PATIENCE), np.maximum(patience - 1, 0))
        self._remember_hint(rows)
        idle = waiting & ~better & self._is_best
        return onward, best, self._next_radius(radius, waiting, better, chosen), patience, idle

    def _remember_hint(self, rows: Rows) -> None:
        if self._newton is not None:
            multipliers = self._newton.multipliers
            shadow = np.zeros_like(self._here.excess)
            shadow[rows.period, rows.limit] = multipliers.shadow
            self.hint = _Hint(shadow, multipliers)

    @property
    def _is_best(self) -> BoolArray:
        """(group,) whether the present dispatch is the best so far."""
        same = np.ones(len(np.unique(self._problem.couplings)), dtype=np.bool_)
        apart = (self._here.change != self._best.change).any(axis=1)
        same[self._problem.couplings[apart]] = False
        return same

    def _spoiled_by_limits(self) -> BoolArray:
        """(group,) where the full linear step is cheaper than the best so far, but for what it leaves unmet."""
        groups = self._problem.couplings
        if not self._trials or self._trials[0].second_order or self._trials[0].fraction < 1:
            return np.zeros(groups.max() + 1, dtype=np.bool_)
        cheaper = np.bincount(groups, self._trials[0].dispatch.cost) < _merit(self._problem, self._rows, self._best)
        return np.asarray(cheaper, dtype=np.bool_)

    def _shares(
        self, move: FloatArray, fractions: tuple[float, ...], *, second_order: bool
    ) -> list[tuple[FloatArray, float, bool]]:
        """Shares of a move, as they are to be tried."""
        x = self._here.accepted_mw
        moves = [fraction * move for fraction in fractions]
        reached = [self._within(each) if second_order else x + each for each in moves]
        return [(each, fraction, second_order) for each, fraction in zip(reached, fractions, strict=True)]

    def _try(self, wanted: list[tuple[FloatArray, float, bool]]) -> None:
        """Add trials with their AC state; those without an AC solution are left out."""
        try:
            found = dispatches(self._problem, [accepted for accepted, _, _ in wanted], self._here)
        except PowerFlowDiverged:
            if len(wanted) > 1:
                for each in wanted:
                    self._try([each])
            return
        for reached, (_, fraction, second) in zip(found, wanted, strict=True):
            self._trials.append(_Trial(reached, fraction, second))
            self.entered |= reached.excess > self._options.excess_tolerance
        self._rows = self._point.rows(self._rows_so_far())

    def _rows_so_far(self) -> BoolArray:
        seen = self.entered.copy()
        seen[self._rows.period, self._rows.limit] = True
        return seen

    def _try_second_order(self, rows: Rows, columns: BoolArray) -> None:
        """The second-order step of some columns, and the same moved back onto limits that curvature took it from."""
        chosen = np.flatnonzero(columns & self._in_play)
        guess = self._step.multipliers if self.hint is None else self.hint.on(rows)
        newton = newton_step(self._point, rows, self._step, self._reach, chosen, guess.shadow)
        if newton is None:
            return
        self._newton = newton
        before = len(self._trials)
        self._try(self._shares(newton.moves, _FIRST, second_order=True))
        if len(self._trials) == before or len(newton.binding_at[0]) == 0:
            return
        full = self._trials[-1].dispatch
        excess = full.excess[newton.binding_at]
        if np.abs(excess).max(initial=0.0) > self._options.excess_tolerance / 10:
            move = full.accepted_mw + newton.correct(excess) - self._here.accepted_mw
            self._try([(self._within(move), 1.0, True)])

    def _within(self, move: FloatArray) -> FloatArray:
        """The move, cut at the columns' bounds, and shortened as a whole where a running energy would leave its own."""
        problem, x, limits = self._problem, self._here.accepted_mw, self._limits
        reached = np.clip(x + move, limits.low_mw, limits.high_mw)
        owners = np.unique(problem.envelopes.of_column[move != 0])
        owners = owners[owners != NONE]
        if len(owners) == 0:
            return reached
        # Where a bound holds already, rounding must not keep the move from following it.
        small = _ROUNDING * problem.unit_mw
        fleets = problem.envelopes
        here, there = fleets.running(x, owners), fleets.running(reached, owners)
        share = _longest(here, there - here, fleets.low[owners] - small, fleets.high[owners] + small)
        return x + share * (reached - x)

    def _better(self, working: BoolArray) -> tuple[BoolArray, IntArray]:
        """(group,) whether a trial improves, and which is best."""
        now = _merit(self._problem, self._rows, self._best)
        if not self._trials:
            return np.zeros(len(now), dtype=np.bool_), np.zeros(len(now), dtype=np.intp)
        noise = _NOISE * np.maximum(np.abs(now), 1.0)
        merits = np.array(
            [_merit(self._problem, self._rows, trial.dispatch) - noise * trial.second_order for trial in self._trials]
        )
        chosen: IntArray = merits.argmin(axis=0)
        return (merits.min(axis=0) < now) & working, chosen

    def _next_radius(self, radius: FloatArray, waiting: BoolArray, better: BoolArray, chosen: IntArray) -> FloatArray:
        """(group,) shorter where nothing improves, as far as it went where something does."""
        radius, of_column = radius.copy(), self._problem.group_of_column

        def length(dispatch: Dispatch) -> FloatArray:
            longest = np.zeros(len(radius))
            np.maximum.at(longest, of_column, np.abs(dispatch.accepted_mw - self._here.accepted_mw))
            return longest

        lengths = [length(trial.dispatch) for trial in self._trials]
        for group in np.flatnonzero(waiting & ~better):
            radius[group] = min([radius[group], *(each[group] for each in lengths[:1])]) / 4
        for group in np.flatnonzero(better):
            trial, went = self._trials[chosen[group]], lengths[chosen[group]][group]
            if trial.second_order:
                radius[group] = max(2 * went, radius[group] / 10)
            elif trial.fraction < 1.0:
                radius[group] = went
            elif went > 0.99 * radius[group]:
                radius[group] *= 2
        return radius


def _longest(start: FloatArray, move: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Largest share of a move, up to 1, that stays between low and high."""
    room = np.where(move > 0, high - start, start - low)
    moving = np.abs(move) > 1e-15
    return float(min(1.0, (np.maximum(room[moving], 0.0) / np.abs(move[moving])).min(initial=1.0)))


def _merit(problem: ClearingProblem, rows: Rows, dispatch: Dispatch) -> FloatArray:
    """(group,) true cost of a dispatch, unmet limits at their price [EUR/h]."""
    merit: FloatArray = np.bincount(problem.couplings, dispatch.cost).astype(np.float64)
    period = np.zeros(len(rows.price), dtype=np.intp)
    period[rows.unmet] = rows.period
    np.add.at(merit, problem.couplings[period], rows.price * _unmet(rows, dispatch))
    return merit


def _unmet(rows: Rows, dispatch: Dispatch) -> FloatArray:
    """(unmet,) what a dispatch leaves unmet of each limit: the worst of its parts."""
    unmet = np.zeros(len(rows.price))
    np.maximum.at(unmet, rows.unmet, dispatch.excess[rows.period, rows.limit])
    return unmet
