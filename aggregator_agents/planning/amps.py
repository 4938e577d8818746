"""Whole amps that can be signalled, within every limit: from a plan's first step, or shared out without a plan."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.planning.problem import Problem

_WHOLE: Final = 1e-6
"""How far from a whole amp a solver's whole amp may be."""


class Room:
    """What is left of phases, chargers and contact in one step, while amps are given out."""

    def __init__(self, problem: Problem, step: int) -> None:
        """With nothing given out."""
        site = problem.site
        self._safe_a = float(site.floor_a)
        self._left_a = np.maximum(problem.room_a[:, step], 0.0).tolist()
        spare_a = problem.room_a[:, step] - self._safe_a * len(site.chargers)
        self._spare_a: list[float] = np.maximum(spare_a, 0.0).tolist()
        number = {charger.id: c for c, charger in enumerate(site.chargers)}
        self._limit_a = [float(each.max_a) for each in site.chargers]
        self._drawn_a = [[0.0, 0.0, 0.0] for _ in site.chargers]
        self._charger = [number[site.charger_of(each.plug).id] for each in problem.sessions]
        self._phases = [tuple(np.flatnonzero(own).tolist()) for own in problem.uses]

    def take(self, i: int, more_a: float) -> bool:
        """Give session i so much more on each of its phases, if every limit allows it."""
        c, phases, safe_a = self._charger[i], self._phases[i], self._safe_a
        drawn_a, limit_a, left_a, spare_a = self._drawn_a[c], self._limit_a[c], self._left_a, self._spare_a
        for f in phases:
            before_a = drawn_a[f]
            after_a = before_a + more_a
            above_a = max(after_a, safe_a) - max(before_a, safe_a)
            if after_a > limit_a + _WHOLE or more_a > left_a[f] + _WHOLE or above_a > spare_a[f] + _WHOLE:
                return False
        for f in phases:
            before_a = drawn_a[f]
            spare_a[f] -= max(before_a + more_a, safe_a) - max(before_a, safe_a)
            left_a[f] -= more_a
            drawn_a[f] = before_a + more_a
        return True


def share_out(
    room: Room,
    order: Sequence[int],
    *,
    least_a: Sequence[int],
    most_a: Sequence[int],
    watts_per_amp: Sequence[float],
    budget_w: float,
) -> dict[int, int]:
    """Whole amps by session: 0, or least_a to most_a; together no more than `room` and `budget_w` have.

    order : who is admitted first. Then all are raised, the lowest first, until nothing is left.
    """
    amps = dict.fromkeys(order, 0)
    rising = list[int]()
    for i in order:
        need_w = least_a[i] * watts_per_amp[i]
        if least_a[i] <= most_a[i] and need_w <= budget_w and room.take(i, least_a[i]):
            amps[i] = least_a[i]
            budget_w -= need_w
            rising.append(i)
    level_a = min((amps[i] for i in rising), default=0)
    while rising:
        still = list[int]()
        for i in rising:
            if amps[i] == level_a:
                if level_a >= most_a[i] or watts_per_amp[i] > budget_w or not room.take(i, 1):
                    continue
                amps[i] += 1
                budget_w -= watts_per_amp[i]
            still.append(i)
        rising, level_a = still, level_a + 1
    return amps


def rounded(problem: Problem, wished_a: FloatArray, fed_a: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(session,) whole amps of the first step near what is wished, charging and fed back, for who is plugged in.

    wished_a, fed_a : (session,) such as a linear programme's [A]. Who is wished the most in terms of its minimum is
    admitted first; then down to whole amps, and what that leaves goes to the largest remainders. Together never more
    power than wished, so that what was sold is kept; what is fed back is rounded down.
    """
    here = problem.present & (wished_a > _WHOLE) & (wished_a >= fed_a)
    urgent = urgency(problem, problem.wanted_wh, 0)
    on = problem.signal_a > 0
    order = sorted(
        np.flatnonzero(here).tolist(), key=lambda i: (-wished_a[i] / problem.min_a[i], not on[i], -urgent[i], i)
    )
    room = Room(problem, 0)
    for i in np.flatnonzero(~problem.present & (wished_a > 0)).tolist():
        room.take(i, float(wished_a[i]))
    fits_a = np.floor(problem.takes_wh / np.maximum(problem.amp_wh[:, 0], _WHOLE) + _WHOLE)
    limit_a = np.minimum(problem.max_a, fits_a)
    most_a = np.minimum(np.maximum(np.floor(wished_a + _WHOLE), problem.min_a), limit_a)
    watts = problem.watts_per_amp.tolist()
    budget_w = float(wished_a[here] @ problem.watts_per_amp[here]) + _WHOLE
    amps = share_out(
        room,
        order,
        least_a=problem.min_a.astype(np.int64).tolist(),
        most_a=most_a.astype(np.int64).tolist(),
        watts_per_amp=watts,
        budget_w=budget_w,
    )
    budget_w -= sum(given_a * watts[i] for i, given_a in amps.items())
    for i in sorted(amps, key=lambda i: (amps[i] - wished_a[i], i)):
        if 0 < amps[i] < min(wished_a[i], limit_a[i]) and watts[i] <= budget_w and room.take(i, 1):
            amps[i] += 1
            budget_w -= watts[i]
    charging_a = np.where(problem.present, 0.0, wished_a)
    for i, given_a in amps.items():
        charging_a[i] = given_a
    feeding_a = np.where(problem.present, np.floor(fed_a + _WHOLE), fed_a)
    least_fed_a = np.array([min(each.vehicle.min_a, each.vehicle.discharge_a) for each in problem.sessions])
    idle = problem.present & ((feeding_a < least_fed_a) | (charging_a > 0))
    return charging_a, np.where(idle, 0.0, feeding_a)


def filled(problem: Problem) -> FloatArray:
    """(session, step) charging current of a plan without a solver: step by step the most urgent first, whole amps.

    Keeps every limit and the ceiling of what was sold, as long as the driver's energy lasts; feeds nothing back.
    """
    left_wh = problem.wanted_wh.copy()
    plan_a = np.zeros(problem.share.shape)
    ceiling_w = np.full(problem.grid.count, np.inf)
    if problem.corridor is not None:
        ceiling_w = problem.corridor.ceiling_w - problem.other_w
    watts = problem.watts_per_amp.tolist()
    for step in range(problem.grid.count):
        urgent = urgency(problem, left_wh, step)
        asking = np.flatnonzero((problem.amp_wh[:, step] > 0) & (left_wh > _WHOLE))
        order = sorted(asking.tolist(), key=lambda i: (-urgent[i], i))
        fits_a = left_wh / np.maximum(problem.amp_wh[:, step], _WHOLE)
        least_a = problem.min_a.astype(np.int64)
        most_a = np.minimum(problem.max_a, np.maximum(np.ceil(fits_a), least_a)).astype(np.int64)
        amps = share_out(
            Room(problem, step),
            order,
            least_a=least_a.tolist(),
            most_a=most_a.tolist(),
            watts_per_amp=watts,
            budget_w=float(ceiling_w[step]),
        )
        for i, given_a in amps.items():
            plan_a[i, step] = given_a if step == 0 else min(given_a, fits_a[i])
            left_wh[i] -= min(left_wh[i], given_a * problem.amp_wh[i, step])
    return plan_a


def urgency(problem: Problem, left_wh: FloatArray, step: int) -> FloatArray:
    """(session,) energy left over what can be delivered from `step` to departure, times the driver's priority."""
    possible_wh = problem.max_a * problem.amp_wh[:, step:].sum(axis=1)
    priority = np.array([each.priority for each in problem.sessions])
    found: FloatArray = priority * left_wh / np.maximum(possible_wh, _WHOLE)
    return found
