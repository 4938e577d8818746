"""The way to the optimum of books with very many columns: along the central path, with the market seen anew on the way.

Where thousands of fleets could each serve any quarter-hour of an evening, prices level out until only curvature decides
which one does, and a linear programme's corners are far from the optimum. The central path stays in between: its
programme is followed a part of the way, the market is linearised again where it led, and so on until both agree, which
is sequential quadratic programming with subproblems solved no better than they are true (inexact, Dembo, Eisenstat and
Steihaug, SIAM J. Numer. Anal. 19 (1982) 400-408). At the end what is nearly at a bound is put there. Nothing is
believed of it: the loop checks the optimality conditions at the point that is found, and goes on if they do not hold.
"""

import time as clock
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from market.clearing.candidates import worst_of_each, worthwhile
from market.clearing.cells import Cells, Response
from market.clearing.columns import NONE
from market.clearing.dispatch import Dispatch, dispatches
from market.clearing.interior import CentralPath
from market.clearing.linearisation import Linearisation, Rows
from market.clearing.options import LEAST_ASK, Options
from market.clearing.pricing import Multipliers
from market.clearing.problem import ClearingProblem
from market.clearing.program import Bounds
from market.clearing.quadratic import Quadratic, curvature_at
from market.clearing.search import Hint
from market.clearing.system import System
from market.errors import PowerFlowDiverged
from market.network.model import BoolArray, FloatArray, IntArray

_STAGES: Final = (1e-2, 1e-4, 1e-7, 1e-13)  # gaps at which the market is seen anew
_LONGEST: Final = 14  # times that it is
_CENTRALITY: Final = 3.0  # where the path begins, relative to the largest cost
_USEFUL: Final = 1e-9  # gap with which the end is tried, though rounding held up the last of the way
_NEAR: Final = 1e-3  # room below which a limit enters
_EARLY: Final = 2  # stages during which of what is overlooked only the worst enters
_FAR: Final = 0.02  # excess of what enters from which on the way begins anew, where limits stay unmet
_FURTHER: Final = 0.15  # the same where all are met
_NARROWED: Final = 3  # stages after which columns that are beyond doubt are left where they are
_MANY_LEFT: Final = 0.7  # of all columns: fewer are not worth the trouble
_FIRM: Final = 1e12  # ratio of what gives way to what does not
_ENOUGH: Final = 0.1  # of the tolerances: where the path ends
_PROJECTIONS: Final = 6  # onto what binds, at the end


@dataclass(frozen=True, eq=False)
class Found:
    """Where the path ended, the limits it knows of : (period, limit), and the prices that go with it.

    slack_price : what leaving limits unmet cost on the way, as for Linearisation.
    """

    dispatch: Dispatch
    entered: BoolArray
    hint: Hint
    slack_price: FloatArray


def along_the_path(
    problem: ClearingProblem,
    dispatch: Dispatch,
    limits: Bounds,
    slack_price: FloatArray | None,
    working: BoolArray,
    options: Options,
    *,
    least: int,
    until: float,
) -> Found | None:
    """The optimum of the working groups : (group,), from a dispatch that need not be near; None where none is found.

    slack_price : as for Linearisation. least : with fewer columns that matter it is not tried.
    until : when to give up [s, perf_counter].
    """
    point = Linearisation(problem, dispatch, slack_price)
    of_group = working[problem.couplings][:, None]
    at_first = problem.limits.excess(problem.baseline, np.arange(problem.periods))
    exceeded = (np.maximum(dispatch.excess, at_first) > options.excess_tolerance) & of_group
    concerned = np.flatnonzero(exceeded.any(axis=1))
    if not point.energy_weight.any() and int(np.isin(problem.columns.period, concerned).sum()) < least:
        return None  # where energy costs nothing, only what is exceeded makes a change worth anything
    chosen = worthwhile(point, point.rows(exceeded), limits, working)
    if len(chosen) < least:
        return None
    walk = _Walk(problem, Cells.of(problem, chosen), limits, options, until)
    worst = worst_of_each(problem, np.maximum(dispatch.excess, at_first), exceeded)
    return walk.to_the_end(point, worst, exceeded, of_group, given=slack_price is not None)


class _Walk:
    """One way along the path."""

    def __init__(self, problem: ClearingProblem, cells: Cells, limits: Bounds, options: Options, until: float) -> None:
        self._problem, self._cells, self._limits, self._options = problem, cells, limits, options
        self._until = until
        self._all, self._narrows = cells, True
        self._kept: tuple[BoolArray, IntArray] | None = None
        self._curvature = np.zeros((0, 0, 0))
        self._unit = problem.unit_mw

    def _tolerance(self, path: CentralPath) -> FloatArray:
        """(k,) of reduced costs [EUR/h per MW]."""
        ask = np.abs(self._problem.columns.ask[self._cells.chosen])
        worth = np.abs(self._cells.worth(path.model.nodal(path.shadow)))
        return self._options.price_tolerance * np.maximum(np.maximum(ask, worth), LEAST_ASK)

    def to_the_end(
        self, point: Linearisation, entered: BoolArray, overlooked: BoolArray, may_enter: BoolArray, *, given: bool
    ) -> Found | None:
        """The optimum. All (period, limit): entered is looked at first, overlooked also if it must be, and what may.

        given : whether the point's prices of what is left unmet are to be kept.
        """
        path, stage = None, 0
        shadow = np.zeros_like(point.dispatch.excess)
        for _ in range(_LONGEST):
            rows = point.rows(entered)
            own = np.flatnonzero(np.isin(rows.period, self._cells.times))
            if clock.perf_counter() > self._until:
                return None
            if path is None:
                self._curvature = np.zeros((self._cells.shape[1], *[self._cells.shape[0]] * 2))
            elif stage < len(_STAGES):  # at the end it changes too little to be worked out again
                self._curvature = curvature_at(point, rows, self._cells, shadow[rows.period, rows.limit])
            model = Quadratic.around(point, rows, own, self._cells, self._limits, self._curvature)
            if path is None:
                path = CentralPath(model, _even(model), np.zeros(len(self._cells.energies)), _CENTRALITY)
            else:
                if self._kept is not None:
                    path.narrow(model, *self._kept)
                    self._kept = None
                path.renew(model, *self._known(rows, own))
                if stage == len(_STAGES) and self._enough(path):
                    return self._finished(point, path, rows, own)
            self._remember(rows, own)
            target = _STAGES[min(stage, len(_STAGES) - 1)]
            if not path.follow(target, exact=stage > 0) and path.gap > _USEFUL:
                if self._cells is self._all:
                    return None
                # What was thought to be beyond doubt was not: once more, with all columns.
                self._narrows = False
                self._cells, self._kept, path, stage = self._all, None, None, 0
                continue
            shadow[rows.period[own], rows.limit[own]] = path.shadow * self._unit
            stage = min(stage + 1, len(_STAGES))
            dispatch = self._narrowed(path, point) if stage == _NARROWED else self._dispatched(path.x, point)
            if dispatch is None:
                return None
            # What leaving limits unmet costs is seen anew on the way, unless it is given.
            kept = given or stage == len(_STAGES)
            point = Linearisation(self._problem, dispatch, point.slack_price if kept else None)
            scarce = bool((path.unmet[1] < model.price / 2).any())
            new, anew = self._entering(dispatch, may_enter & ~entered, stage, scarce=scarce)
            entered = entered | new
            if anew:
                self._cells, self._kept, path, stage = self._all, None, None, 0
                entered = entered | (overlooked if scarce else new)
        return None

    def _entering(
        self, dispatch: Dispatch, may_enter: BoolArray, stage: int, *, scarce: bool
    ) -> tuple[BoolArray, bool]:
        """(period, limit) what enters now, and whether it changes too much to go on from here.

        scarce : whether limits stay unmet, so that what was overlooked may stay so, too.
        """
        new = (dispatch.excess > -_NEAR) & may_enter
        if stage <= _EARLY:
            new = worst_of_each(self._problem, dispatch.excess, new & (dispatch.excess > 0))
        return new, bool((dispatch.excess[new] > (_FAR if scarce else _FURTHER)).any())

    def _narrowed(self, path: CentralPath, point: Linearisation) -> Dispatch | None:
        """As _dispatched, with columns that are at a bound beyond doubt left there from now on, if they are many."""
        if not self._narrows:
            return self._dispatched(path.x, point)
        low, high = path.settled()
        x = np.where(low, path.model.low, np.where(high, path.model.high, path.x))
        kept = ~(low | high)
        if kept.mean() > _MANY_LEFT or not kept.any():
            return self._dispatched(path.x, point)
        dispatch = self._dispatched(x, point)
        narrower = Cells.of(self._problem, self._cells.chosen[kept])
        before, after = (
            each.energies[:, 0] * self._problem.periods + each.energies[:, 1] for each in (self._cells, narrower)
        )
        place, time = (
            np.searchsorted(wide, narrow)
            for wide, narrow in ((self._cells.places, narrower.places), (self._cells.times, narrower.times))
        )
        self._curvature = self._curvature[np.ix_(time, place, place)]
        self._cells, self._kept = narrower, (kept, np.searchsorted(before, after))
        return dispatch

    def _dispatched(self, x: FloatArray, point: Linearisation) -> Dispatch | None:
        """The AC state with x accepted of the columns of the cells; None where there is none."""
        accepted = point.dispatch.accepted_mw.copy()
        accepted[self._cells.chosen] = x * self._unit
        try:
            return dispatches(self._problem, [accepted], point.dispatch)[0]
        except PowerFlowDiverged:
            return None

    def _remember(self, rows: Rows, own: IntArray) -> None:
        """Where each limit, and what is left unmet of it, stands in the programme."""
        limits = self._problem.limits
        self._row_at = np.full((self._problem.periods, len(limits.quantity)), NONE, dtype=np.intp)
        self._unmet_at = np.full((self._problem.periods, int(limits.whole.max(initial=-1)) + 1), NONE, dtype=np.intp)
        period, limit = rows.period[own], rows.limit[own]
        self._row_at[period, limit] = np.arange(len(own))
        self._unmet_at[period, limits.whole[limit]] = np.unique(rows.unmet[own], return_inverse=True)[1]

    def _known(self, rows: Rows, own: IntArray) -> tuple[IntArray, IntArray]:
        """Where limits (r,) and what is left unmet of them (w,) stood in the programme before, or NONE."""
        period, limit = rows.period[own], rows.limit[own]
        first = np.unique(rows.unmet[own], return_index=True)[1]
        return self._row_at[period, limit], self._unmet_at[period[first], self._problem.limits.whole[limit[first]]]

    def _enough(self, path: CentralPath) -> bool:
        """Whether the market, seen anew, agrees with where the path led."""
        prices, amounts = path.errors()
        close = prices * path.scale <= float(self._tolerance(path).min()) / 2
        return close and amounts <= self._options.excess_tolerance

    def _finished(self, point: Linearisation, path: CentralPath, rows: Rows, own: IntArray) -> Found | None:
        """What is nearly at a bound put there, and what binds brought back onto its own bound."""
        cells, model = self._cells, path.model
        tolerance = self._tolerance(path)
        least = _ENOUGH * float(tolerance.min())
        low = (path.reduced > tolerance / 2) & (path.x - model.low < model.high - path.x)
        high = (path.reduced < -tolerance / 2) & ~low
        x = np.where(low, model.low, np.where(high, model.high, path.x))
        energy_price = np.where(np.abs(path.energy_price) > least, path.energy_price, 0.0)
        energy = np.where(energy_price > 0, model.energy_low, model.energy_high)
        worth = path.shadow * np.abs(model.slope).max(axis=1, initial=0.0)
        shadow = np.where((worth > least) & (worth / path.scale > path.room), path.shadow, 0.0)
        left, missing = path.unmet
        unmet = (missing / model.price < left) & (left > self._options.excess_tolerance)
        shadow *= np.where(unmet, model.price / np.maximum(model.shared(shadow), 1e-300), 1.0)[model.unmet]
        binding, held = shadow > 0, energy_price != 0
        stiff = np.where(low | high, 0.0, np.minimum(x - model.low, model.high - x) ** 2)
        response = Response(cells, stiff, np.where(held, 1 / _FIRM, _FIRM))
        system = System(
            replace(model, curvature=np.zeros_like(model.curvature)),
            response,
            np.where(binding, 1 / _FIRM, _FIRM),
            np.where(unmet, _FIRM, 1 / _FIRM),
        )
        dispatch = self._dispatched(x, point)
        for _ in range(_PROJECTIONS):
            if dispatch is None:
                return None
            excess = np.where(binding & ~unmet[model.unmet], dispatch.excess[rows.period[own], rows.limit[own]], 0.0)
            lack = np.where(held, energy - cells.energy(x), 0.0)
            apart = max(np.abs(excess).max(initial=0.0), np.abs(lack).max(initial=0.0))
            if apart < _ENOUGH * self._options.excess_tolerance:
                break
            move, _, _ = system.solve(np.zeros(len(x)), -excess, lack)
            x = np.clip(x + move, model.low, model.high)
            dispatch = self._dispatched(x, point)
        if dispatch is None:
            return None
        table = np.zeros_like(dispatch.excess)
        table[rows.period[own], rows.limit[own]] = shadow * self._unit
        entered = np.zeros(table.shape, dtype=np.bool_)
        entered[rows.period, rows.limit] = True
        return Found(
            dispatch, entered, Hint(table, Multipliers(shadow, cells.energies, energy_price)), point.slack_price
        )


def _even(model: Quadratic) -> FloatArray:
    """(r,) shadow prices to begin with: at each time together about what the dearest column costs."""
    steepest = np.abs(model.slope).max(axis=1, initial=0.0)
    many = np.bincount(model.time)[model.time]
    shadow: FloatArray = np.abs(model.cost).max(initial=1.0) / np.maximum(steepest, 1e-9) / many
    return shadow
