"""Whole amps that can be signalled, within every limit: from a plan's first step, or shared out without a plan."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from aggregator_agents.fleet import LEAST_FED_A, FloatArray
from aggregator_agents.planning.problem import Problem
from aggregator_agents.planning.terms import BoolArray

_WHOLE: Final = 1e-6
"""How far from a whole amp a solver's whole amp may be."""


class Room:
    """What is left of phases, chargers and contact in one step, while amps are given out."""

    def __init__(self, problem: Problem, step: int) -> None:
        """With nothing given out."""
        site = problem.site
        self._safe_a = float(site.floor_a)
        # A solver's amps may be a trifle more than whole ones.
        self._left_a: list[float] = (np.maximum(problem.room_a[:, step], 0.0) + _WHOLE).tolist()
        self._spare_a: list[float] = (np.maximum(problem.spare_a[:, step], 0.0) + _WHOLE).tolist()
        number = {charger.id: c for c, charger in enumerate(site.chargers)}
        self._limit_a = [each.max_a + _WHOLE for each in site.chargers]
        self._drawn_a = [[0.0, 0.0, 0.0] for _ in site.chargers]
        self._charger = [number[site.charger_of(each.plug).id] for each in problem.sessions]
        self._phases = [tuple(f for f in range(3) if own[f]) for own in problem.uses.tolist()]

    def take(self, i: int, more_a: float) -> bool:
        """Give session i so much more on each of its phases, if every limit allows it."""
        phases, drawn_a = self._phases[i], self._drawn_a[self._charger[i]]
        left_a, spare_a, safe_a = self._left_a, self._spare_a, self._safe_a
        most_a = self._limit_a[self._charger[i]] - more_a
        for f in phases:
            own_a = drawn_a[f]
            above_a = own_a + more_a - (own_a if own_a > safe_a else safe_a)
            if own_a > most_a or more_a > left_a[f] or above_a > spare_a[f]:
                return False
        for f in phases:
            own_a = drawn_a[f]
            above_a = own_a + more_a - (own_a if own_a > safe_a else safe_a)
            if above_a > 0:
                spare_a[f] -= above_a
            left_a[f] -= more_a
            drawn_a[f] = own_a + more_a
        return True


class Division:
    """Whole amps given to the vehicles of one step, 0 or from least_a, within a room and a budget of power."""

    def __init__(self, problem: Problem, step: int, *, budget_w: float) -> None:
        """With nothing given out."""
        self.amps = dict[int, int]()
        self._room = Room(problem, step)
        self._least_a = problem.min_a.astype(np.int64).tolist()
        self._watts = problem.watts_per_amp.tolist()
        self._budget_w = budget_w + _WHOLE

    def reserve(self, i: int, amps: float) -> None:
        """Keep room for a vehicle whose amps are not decided here."""
        self._room.take(i, amps)

    def admit(self, order: Sequence[int]) -> None:
        """Those first who come first: each its minimum, where that fits."""
        for i in order:
            self._give(i, self._least_a[i])

    def raise_lowest(self, most_a: Sequence[int]) -> None:
        """One amp at a time to the lowest of those that are on, until each has the most or nothing is left."""
        rising = [i for i, given_a in self.amps.items() if given_a < most_a[i]]
        level_a = min((self.amps[i] for i in rising), default=0)
        while rising:
            rising = [i for i in rising if self.amps[i] > level_a or (level_a < most_a[i] and self._give(i, 1))]
            level_a += 1

    def raise_once(self, order: Sequence[int], most_a: Sequence[int]) -> None:
        """One more amp to each of those that are on and below the most, while there is any."""
        for i in order:
            if 0 < self.amps.get(i, 0) < most_a[i]:
                self._give(i, 1)

    def _give(self, i: int, more_a: int) -> bool:
        power_w = more_a * self._watts[i]
        if power_w > self._budget_w or not self._room.take(i, more_a):
            return False
        self.amps[i] = self.amps.get(i, 0) + more_a
        self._budget_w -= power_w
        return True


def kept_on(problem: Problem) -> BoolArray:
    """(session,) who is not switched off now: is on again after a stop, wants more, and fits.

    So no vehicle is switched off more than twice, the last time included, unless the fuse or what was sold demands it:
    those at their minimum, the most urgent first, as far as room and ceiling go. Who feeds back turns round as often
    as that is worth its wear.
    """
    stopped = [each.id in problem.at_plug and problem.at_plug[each.id].stops > 0 for each in problem.sessions]
    kept = np.zeros(len(problem.sessions), dtype=np.bool_)
    if not any(stopped):
        return kept
    again = problem.present & (problem.signal_a > 0) & (problem.wanted_wh > 0) & ~problem.feeds_back
    again &= np.array(stopped, dtype=np.bool_)
    if again.any():
        urgent = urgency(problem, problem.wanted_wh, 0)
        division = Division(problem, 0, budget_w=_ceiling_w(problem)[0])
        able = again & (problem.min_a <= problem.max_a)
        division.admit(sorted(np.flatnonzero(able).tolist(), key=lambda i: (-urgent[i], i)))
        kept[list(division.amps)] = True
    return kept


def rounded(problem: Problem, wished_a: FloatArray, fed_a: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(session,) whole amps of the first step near what is wished, charging and fed back, for who is plugged in.

    wished_a, fed_a : (session,) such as a linear programme's [A]. Who is wished the most in terms of its minimum is
    admitted first; then down to whole amps; what that leaves goes to the largest remainders, and to the lowest.
    Together never more power than wished, so that what was sold is kept; what is fed back is rounded to the nearest
    amp, where the connection lets that much out: a house at night needs less than an amp.
    """
    here = problem.present & (wished_a > _WHOLE) & (wished_a >= fed_a)
    urgent, on, kept = urgency(problem, problem.wanted_wh, 0), problem.signal_a > 0, kept_on(problem)
    order = sorted(
        np.flatnonzero(here).tolist(),
        key=lambda i: (not kept[i], -wished_a[i] / problem.min_a[i], not on[i], -urgent[i], i),
    )
    division = Division(problem, 0, budget_w=float(wished_a[here] @ problem.watts_per_amp[here]))
    for i in np.flatnonzero(~problem.present & (wished_a > 0)).tolist():
        division.reserve(i, float(wished_a[i]))
    most_a = _most_a(problem, problem.takes_wh, 0)
    division.admit([i for i in order if problem.min_a[i] <= most_a[i]])
    division.raise_lowest(np.minimum(np.floor(wished_a + _WHOLE), most_a).tolist())
    by_remainder = sorted(order, key=lambda i: (division.amps.get(i, 0) - wished_a[i], i))
    division.raise_once(by_remainder, np.minimum(np.ceil(wished_a - _WHOLE), most_a).tolist())
    division.raise_lowest(most_a.tolist())
    charging_a = np.where(problem.present, 0.0, wished_a)
    for i, given_a in division.amps.items():
        charging_a[i] = given_a
    nearest_a = np.where(problem.present, np.rint(fed_a), fed_a)
    lets_out = (nearest_a @ problem.uses <= problem.feed_a[:, 0] + _WHOLE).all()
    feeding_a = nearest_a if lets_out else np.where(problem.present, np.floor(fed_a + _WHOLE), fed_a)
    idle = problem.present & ((feeding_a < LEAST_FED_A) | (charging_a > 0))
    return charging_a, np.where(idle, 0.0, feeding_a)


def until_full(problem: Problem, charging_a: FloatArray) -> FloatArray:
    """(session, step) the same currents, but what only charges stops when it has what its driver wants."""
    reached_wh = np.minimum(np.cumsum(charging_a * problem.amp_wh, axis=1), problem.wanted_wh[:, None])
    until_a = np.diff(reached_wh, axis=1, prepend=0.0) / np.maximum(problem.amp_wh, _WHOLE)
    until_a[:, 0] = charging_a[:, 0]
    return np.where(problem.feeds_back[:, None], charging_a, until_a)


def filled(problem: Problem) -> FloatArray:
    """(session, step) charging current of a plan without a solver: step by step the most urgent first, whole amps.

    Keeps every limit and the ceiling of what was sold; feeds nothing back. The last amps of a vehicle that is full
    before a later step ends count as their mean over the step.
    """
    left_wh = problem.wanted_wh.copy()
    plan_a = np.zeros(problem.share.shape)
    ceiling_w, kept = _ceiling_w(problem), kept_on(problem)
    for step in range(problem.grid.count):
        if not (left_wh > _WHOLE).any():
            break
        urgent = urgency(problem, left_wh, step)
        asking = np.flatnonzero((problem.amp_wh[:, step] > 0) & (left_wh > _WHOLE) & (problem.min_a <= problem.max_a))
        division = Division(problem, step, budget_w=float(ceiling_w[step]))
        division.admit(sorted(asking.tolist(), key=lambda i: (step > 0 or not kept[i], -urgent[i], i)))
        division.raise_lowest(_most_a(problem, left_wh, step).tolist())
        fits_a = left_wh / np.maximum(problem.amp_wh[:, step], _WHOLE)
        for i, given_a in division.amps.items():
            plan_a[i, step] = given_a if problem.present[i] and step == 0 else min(given_a, fits_a[i])
            left_wh[i] = max(0.0, left_wh[i] - given_a * problem.amp_wh[i, step])
    return plan_a


def urgency(problem: Problem, left_wh: FloatArray, step: int) -> FloatArray:
    """(session,) energy left over what can be delivered from `step` to departure, times the driver's priority."""
    possible_wh = problem.max_a * problem.amp_wh[:, step:].sum(axis=1)
    priority = np.array([each.priority for each in problem.sessions])
    found: FloatArray = priority * left_wh / np.maximum(possible_wh, _WHOLE)
    return found


def _ceiling_w(problem: Problem) -> FloatArray:
    """(step,) what was sold leaves to vehicles [W], infinite where nothing was."""
    if problem.corridor is None:
        return np.full(problem.grid.count, np.inf)
    left_w: FloatArray = problem.corridor.ceiling_w - problem.other_w
    return left_w


def _most_a(problem: Problem, left_wh: FloatArray, step: int) -> FloatArray:
    """(session,) whole amps that a vehicle can take for a whole step [A]."""
    fits_a = np.floor(left_wh / np.maximum(problem.amp_wh[:, step], _WHOLE) + _WHOLE)
    most: FloatArray = np.minimum(problem.max_a, fits_a)
    return most
