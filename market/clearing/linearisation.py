"""The market seen from one dispatch: its cost and limits there, and how both change with what is accepted."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from market.clearing.problem import ClearingProblem
from market.clearing.quantities import Family
from market.clearing.sensitivity import Jacobian
from market.network.model import BASE_VA, BoolArray, ComplexArray, FloatArray, IntArray
from market.network.operating_point import OperatingPoints

HARD_PRICE: Final = 1e6
"""What a limit that is to be met at any price may add to a nodal price before it counts as impossible [EUR/MWh]."""


@dataclass(frozen=True, eq=False)
class Dispatch:
    """Accepted power and the AC state it leads to.

    accepted_mw : (column,). cost : (period,) [EUR/h], energy, losses and offers, without unmet limits. excess :
    (period, limit), see `Limits.excess`.
    """

    accepted_mw: FloatArray
    points: OperatingPoints
    values: FloatArray
    excess: FloatArray
    cost: FloatArray


def dispatches(problem: ClearingProblem, accepted_mw: FloatArray) -> list[Dispatch]:
    """AC state of several acceptances : (k, column), in one batch. Raises PowerFlowDiverged."""
    periods = problem.periods
    change = np.concatenate([problem.change_w(each) for each in accepted_mw])
    copies = len(accepted_mw)
    points = problem.flow.solve(np.tile(problem.p_w, (copies, 1)) + change, np.tile(problem.q_var, (copies, 1)))
    values = problem.quantities.values(points, change)
    excess = problem.limits.excess(values)
    source_mw, losses_mw = points.source_w / BASE_VA, points.losses_w / BASE_VA
    found = []
    for copy, accepted in enumerate(accepted_mw):
        rows = slice(copy * periods, (copy + 1) * periods)
        offered = np.zeros(periods)
        np.add.at(offered, problem.columns.period, problem.columns.price * accepted)
        cost = problem.energy_price * source_mw[rows] + problem.losses_price * losses_mw[rows] + offered
        own = OperatingPoints(problem.grid, points.voltage[rows], points.p_w[rows], points.q_var[rows])
        found.append(Dispatch(accepted, own, values[rows], excess[rows], cost))
    return found


def combined(problem: ClearingProblem, choices: list[Dispatch], pick: IntArray) -> Dispatch:
    """A dispatch put together from several, period by period. pick : (period,) number of the choice."""
    periods = np.arange(problem.periods)

    def stacked(of: Callable[[Dispatch], FloatArray | ComplexArray]) -> Any:
        return np.stack([of(each) for each in choices])[pick, periods]

    accepted = np.stack([each.accepted_mw for each in choices])
    columns = np.arange(len(problem.columns))
    points = OperatingPoints(
        problem.grid,
        stacked(lambda each: each.points.voltage),
        stacked(lambda each: each.points.p_w),
        stacked(lambda each: each.points.q_var),
    )
    return Dispatch(
        accepted_mw=accepted[pick[problem.columns.period], columns],
        points=points,
        values=stacked(lambda each: each.values),
        excess=stacked(lambda each: each.excess),
        cost=stacked(lambda each: each.cost),
    )


@dataclass(frozen=True, eq=False)
class Rows:
    """Limits in single periods, linearised at a dispatch; powers in MW, limits relative to their scale.

    period, limit : (row,) which. excess : (row,) at the dispatch. by_p : (row, bus) derivative of excess by
    consumption [1/MW]. unmet : (row,) which amount left unmet it shares with other parts of the same limit. price :
    (unmet,) what one relative unit of it costs [EUR/h].
    """

    period: IntArray
    limit: IntArray
    excess: FloatArray
    by_p: FloatArray
    by_q: FloatArray
    unmet: IntArray
    price: FloatArray

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.period)


class Linearisation:
    """First (and, where asked for, second) derivatives of cost and limits at one dispatch."""

    def __init__(self, problem: ClearingProblem, dispatch: Dispatch) -> None:
        """Look at the market from `dispatch`; derivatives are computed when they are asked for."""
        self.problem = problem
        self.dispatch = dispatch
        self._jacobians: dict[int, Jacobian] = {}

    def jacobian(self, period: int) -> Jacobian:
        """The factorised power-flow Jacobian of a period."""
        if period not in self._jacobians:
            self._jacobians[period] = Jacobian.at(self.problem.grid, self.dispatch.points.voltage[period])
        return self._jacobians[period]

    @cached_property
    def _source(self) -> tuple[FloatArray, FloatArray]:
        """(period, bus) derivative of source power by active and reactive consumption [W per W]."""
        problem = self.problem
        by_p = np.zeros_like(problem.p_w)
        by_q = np.zeros_like(problem.p_w)
        quantity = problem.quantities.position(Family.SOURCE)
        for period in range(problem.periods):
            voltage = self.dispatch.points.voltage[period]
            p, q = self.jacobian(period).adjoint(problem.quantities.gradient(quantity, voltage)[:, None])
            by_p[period] = (p[:, 0] + problem.quantities.direct(quantity)) / BASE_VA
            by_q[period] = q[:, 0] / BASE_VA
        return by_p, by_q

    @cached_property
    def losses_by_p(self) -> FloatArray:
        """(period, bus) marginal losses dLosses/dp [W per W]; 0 at the source."""
        marginal: FloatArray = self._source[0] - 1.0
        return marginal

    @cached_property
    def column_cost(self) -> FloatArray:
        """(column,) what accepting one more MW costs: offer, energy and losses [EUR/MWh]."""
        problem, columns = self.problem, self.problem.columns
        weight = (problem.energy_price + problem.losses_price)[:, None]
        energy = problem.energy_price[:, None] + weight * self.losses_by_p
        cost: FloatArray = columns.price + columns.sign * energy[columns.period, columns.bus]
        return cost

    def rows(self, entered: BoolArray) -> Rows:
        """Limits that have entered, linearised. entered : (period, limit)."""
        problem, limits = self.problem, self.problem.limits
        period, limit = np.nonzero(entered)
        by_p = np.zeros((len(period), problem.grid.buses))
        by_q = np.zeros_like(by_p)
        for each in np.unique(period):
            at = np.flatnonzero(period == each)
            voltage = self.dispatch.points.voltage[each]
            wanted, back = np.unique(limits.quantity[limit[at]], return_inverse=True)
            gradients = np.stack([problem.quantities.gradient(quantity, voltage) for quantity in wanted], axis=1)
            direct = np.stack([problem.quantities.direct(quantity) for quantity in wanted], axis=1)
            p, q = self.jacobian(each).adjoint(gradients)
            by_p[at], by_q[at] = (p + direct).T[back], q.T[back]
        relative = (limits.sense[limit] / limits.scale[limit])[:, None]
        by_p, by_q = by_p * relative, by_q * relative
        shared, unmet = np.unique(np.stack([period, limits.whole[limit]]), axis=1, return_inverse=True)
        steepest, most = np.zeros(shared.shape[1]), np.zeros(shared.shape[1])
        np.maximum.at(steepest, unmet, np.abs(by_p).max(axis=1, initial=0.0))
        most[unmet] = np.where(np.isinf(limits.max_price[limit]), HARD_PRICE, limits.max_price[limit])
        # A limit that nothing can move costs nothing to leave: what is unmet of it is only reported.
        price = np.divide(most, steepest, out=np.zeros_like(most), where=steepest > 0)
        return Rows(period, limit, self.dispatch.excess[period, limit], by_p, by_q, unmet, price)

    def hessian(self, period: int, buses: IntArray, rows: Rows, shadow: FloatArray) -> FloatArray:
        """(k, k) second derivative of cost plus shadow-priced limits by consumption at k buses [EUR/h per MW^2].

        shadow : (row,) [EUR/h per relative unit].
        """
        problem = self.problem
        jacobian, voltage = self.jacobian(period), self.dispatch.points.voltage[period]
        response = jacobian.response(buses)
        weight = problem.energy_price[period] + problem.losses_price[period]
        by_p, by_q = weight * self._source[0][period], weight * self._source[1][period]
        by_p[problem.grid.source] = 0.0  # what the source's own bus draws passes through no voltage
        total = np.zeros((len(buses), len(buses)))
        for row in np.flatnonzero((rows.period == period) & (shadow > 0)):
            limit = rows.limit[row]
            relative = shadow[row] * problem.limits.sense[limit] / problem.limits.scale[limit]
            quantity = problem.limits.quantity[limit]
            total += relative * problem.quantities.curvature(quantity, voltage, response)
            through = (
                rows.by_p[row]
                - problem.quantities.direct(quantity) * problem.limits.sense[limit] / problem.limits.scale[limit]
            )
            by_p, by_q = (by_p + shadow[row] * through, by_q + shadow[row] * rows.by_q[row])
        return total + jacobian.curvature(by_p, by_q, response)
