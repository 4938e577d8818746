"""The linear programme around one dispatch, in Pyomo: what to accept so that cost falls and limits hold.

Powers are in units of the largest column so that the solver sees numbers near one; limits are relative to their scale.
Symbols: x accepted power, c its marginal cost, a derivative of a limit's excess, s what stays unmet of a limit, e
running energy of an envelope.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

from market.clearing.linearisation import Linearisation, Rows
from market.network.model import FloatArray


@dataclass(frozen=True, eq=False)
class Bounds:
    """Between which values each column may move in this step [MW] : (column,)."""

    low_mw: FloatArray
    high_mw: FloatArray


def build_model(point: Linearisation, rows: Rows, bounds: Bounds, unit_mw: float) -> pyo.ConcreteModel:
    """The step's linear programme: minimise sum c x + sum price s over offers and limits."""
    m: Any = pyo.ConcreteModel(name=point.problem.case.name)
    add_offers(m, bounds, unit_mw)
    add_energy_of_envelopes(m, point, unit_mw)
    add_limits(m, point, rows, unit_mw)
    minimise_cost(m, point, rows, unit_mw)
    return m


def add_offers(m: Any, bounds: Bounds, unit_mw: float) -> None:
    """Accepted power of every column: low <= x <= high."""
    low, high = (bounds.low_mw / unit_mw).tolist(), (bounds.high_mw / unit_mw).tolist()
    m.accepted = pyo.Var(range(len(low)), bounds=lambda _, column: (low[column], high[column]))


def add_energy_of_envelopes(m: Any, point: Linearisation, unit_mw: float) -> None:
    """Running energy of a fleet: e_t = e_(t-1) + h (x_more,t - x_less,t), between its bounds at the end of each t."""
    problem = point.problem
    keys = [(number, t) for number in range(len(problem.envelopes)) for t in range(problem.periods)]
    bound = {
        (number, t): (low / unit_mw / problem.hours, high / unit_mw / problem.hours)
        for number, each in enumerate(problem.envelopes)
        for t, (low, high) in enumerate(zip(each.low_mwh, each.high_mwh, strict=True))
    }
    m.energy = pyo.Var(keys, bounds=lambda _, number, t: bound[number, t])

    def running(_: Any, number: int, t: int) -> Any:
        each = problem.envelopes[number]
        terms = [(m.energy[number, t], 1.0)]
        terms += [(m.energy[number, t - 1], -1.0)] if t > 0 else []
        terms += [(m.accepted[each.more[t]], -1.0)] if each.more[t] >= 0 else []
        terms += [(m.accepted[each.less[t]], 1.0)] if each.less[t] >= 0 else []
        return _linear(terms) == 0.0

    m.running_energy = pyo.Constraint(keys, rule=running)


def add_limits(m: Any, point: Linearisation, rows: Rows, unit_mw: float) -> None:
    """Every limit that has entered: excess + a (x - x_0) - s <= 0, with s >= 0 unmet at its price."""
    columns, accepted = point.problem.columns, point.dispatch.accepted_mw
    m.unmet = pyo.Var(range(len(rows.price)), within=pyo.NonNegativeReals)
    unmet = rows.unmet.tolist()
    of_period = [np.flatnonzero(columns.period == t) for t in range(point.problem.periods)]

    def limit(_: Any, row: int) -> Any:
        inside = of_period[rows.period[row]]
        slope = columns.sign[inside] * rows.by_p[row, columns.bus[inside]]
        at_zero = float(rows.excess[row] - slope @ accepted[inside])
        terms = [(m.accepted[j], a * unit_mw) for j, a in zip(inside.tolist(), slope.tolist(), strict=True) if a != 0.0]
        return _linear([*terms, (m.unmet[unmet[row]], -1.0)]) <= -at_zero

    m.limit = pyo.Constraint(range(len(rows)), rule=limit)


def minimise_cost(m: Any, point: Linearisation, rows: Rows, unit_mw: float) -> None:
    """Marginal cost of what is accepted, and the price of what stays unmet [EUR/h per unit of power]."""
    cost, price = point.column_cost.tolist(), (rows.price / unit_mw).tolist()
    terms = [(m.accepted[column], c) for column, c in enumerate(cost)]
    m.cost = pyo.Objective(expr=_linear([*terms, *((m.unmet[k], c) for k, c in enumerate(price))]))


def _linear(terms: list[tuple[Any, float]]) -> Any:
    return LinearExpression(linear_coefs=[c for _, c in terms], linear_vars=[v for v, _ in terms])
