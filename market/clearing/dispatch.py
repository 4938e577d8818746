"""A dispatch: what is accepted, and the AC state, cost and limits that it leads to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market.clearing.problem import ClearingProblem
from market.network.model import BASE_VA, ComplexArray, FloatArray, IntArray
from market.network.operating_point import OperatingPoints


@dataclass(frozen=True, eq=False)
class Dispatch:
    """Accepted power and the AC state it leads to.

    accepted_mw : (column,). change : (period, 2 places) [MW, Mvar]. voltage : (period, terminal) [pu]. values :
    (period, quantity). excess : (period, limit), see `Limits.excess`. cost : (period,) [EUR/h], energy, losses and
    offers, without unmet limits.
    """

    accepted_mw: FloatArray
    change: FloatArray
    voltage: ComplexArray
    values: FloatArray
    excess: FloatArray
    cost: FloatArray

    def points(self, problem: ClearingProblem) -> OperatingPoints:
        """The operating points."""
        p_w, q_var = problem.consumption(self.change)
        return OperatingPoints(problem.grid, self.voltage, p_w, q_var)


def baseline_dispatch(problem: ClearingProblem) -> Dispatch:
    """Nothing accepted."""
    none = np.zeros((problem.periods, 2 * problem.places.count))
    return _dispatch(
        problem, np.zeros(len(problem.columns)), none, problem.baseline_points, problem.baseline, slice(None)
    )


def dispatches(problem: ClearingProblem, accepted_mw: Sequence[FloatArray], like: Dispatch) -> list[Dispatch]:
    """AC state of several acceptances, each : (column,); only periods that differ from `like` are solved, in one batch.

    Raises PowerFlowDiverged.
    """
    changes = [problem.change(each) for each in accepted_mw]
    moved = [np.flatnonzero((change != like.change).any(axis=1)) for change in changes]
    period = np.concatenate(moved)
    if len(period) == 0:
        return [
            _spliced(problem, each, change, like, like, moved[0])
            for each, change in zip(accepted_mw, changes, strict=True)
        ]
    stacked = np.concatenate([change[rows] for change, rows in zip(changes, moved, strict=True)])
    points = problem.flow.solve(*problem.consumption(stacked, period))
    found, start = [], 0
    for accepted, change, rows in zip(accepted_mw, changes, moved, strict=True):
        part = slice(start, start + len(rows))
        own = OperatingPoints(problem.grid, points.voltage[part], points.p_w[part], points.q_var[part])
        values = problem.quantities.values(own, own.p_w - problem.p_w[rows])
        solved = _dispatch(problem, accepted, change[rows], own, values, rows)
        found.append(_spliced(problem, accepted, change, like, solved, rows))
        start += len(rows)
    return found


def dispatch_at(problem: ClearingProblem, change: FloatArray) -> Dispatch:
    """The AC state of a given change : (period, 2 places) [MW, Mvar], of no columns; cost without offers.

    Where nothing changes, the operating point is the baseline's.
    """
    p_w, q_var = problem.consumption(change)
    voltage, values = problem.baseline_points.voltage.copy(), problem.baseline.copy()
    moved = np.flatnonzero(change.any(axis=1))
    if len(moved):
        points = problem.flow.solve(p_w[moved], q_var[moved])
        voltage[moved] = points.voltage
        values[moved] = problem.quantities.values(points, points.p_w - problem.p_w[moved])
    points = OperatingPoints(problem.grid, voltage, p_w, q_var)
    return _dispatch(problem, np.zeros(0), change, points, values, slice(None))


def _dispatch(
    problem: ClearingProblem,
    accepted_mw: FloatArray,
    change: FloatArray,
    points: OperatingPoints,
    values: FloatArray,
    period: IntArray | slice,
) -> Dispatch:
    """Of some periods; cost without offers."""
    source_mw, losses_mw = points.source_w / BASE_VA, points.losses_w / BASE_VA
    cost = problem.energy_price[period] * source_mw + problem.losses_price[period] * losses_mw
    excess = problem.limits.excess(values, period)
    return Dispatch(accepted_mw, change, points.voltage, values, excess, cost)


def _spliced(
    problem: ClearingProblem,
    accepted_mw: FloatArray,
    change: FloatArray,
    like: Dispatch,
    solved: Dispatch,
    period: IntArray,
) -> Dispatch:
    """`like` with the periods that were solved anew, and with the cost of offers."""
    parts = []
    for name in ("voltage", "values", "excess"):
        part = getattr(like, name)
        if len(period):
            part = part.copy()
            part[period] = getattr(solved, name)
        parts.append(part)
    cost = like.cost - problem.offered(like.accepted_mw)
    if len(period):
        cost[period] = solved.cost
    return Dispatch(accepted_mw, change, parts[0], parts[1], parts[2], cost + problem.offered(accepted_mw))


def combined(problem: ClearingProblem, choices: Sequence[Dispatch], pick: IntArray) -> Dispatch:
    """A dispatch put together from several, period by period. pick : (period,) number of the choice."""
    if (pick == pick[0]).all():
        return choices[int(pick[0])]
    entry_pick = pick[problem.columns.period]
    accepted = np.zeros(len(problem.columns))
    parts = {name: getattr(choices[0], name).copy() for name in ("change", "voltage", "values", "excess", "cost")}
    for number, choice in enumerate(choices):
        own = problem.columns.column[entry_pick == number]
        accepted[own] = choice.accepted_mw[own]
        rows = np.flatnonzero(pick == number)
        for name, part in parts.items():
            part[rows] = getattr(choice, name)[rows]
    return Dispatch(accepted_mw=accepted, **parts)
