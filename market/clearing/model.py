"""The linear programme around one dispatch, in Pyomo: what to accept so that cost falls and limits hold.

This is the definition that is read, and extended with constraints of one's own; `program.py` writes the same programme
as arrays for the columns in play, and a property test holds the two to each other. Powers are in units of the largest
column so that the solver sees numbers near one; limits are relative to their scale. Symbols: x accepted power, c its
marginal cost, a derivative of a limit's excess, s what stays unmet of a limit, e running energy of an envelope.
"""

from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

from market.clearing.linearisation import Linearisation, Rows
from market.clearing.program import Bounds


def build_model(point: Linearisation, rows: Rows, bounds: Bounds) -> pyo.ConcreteModel:
    """The step's linear programme over all columns: minimise sum c x + sum price s over offers and limits."""
    m: Any = pyo.ConcreteModel(name=point.problem.case.name)
    add_offers(m, point, bounds)
    add_energy_of_envelopes(m, point)
    add_limits(m, point, rows)
    minimise_cost(m, point, rows)
    return m


def add_offers(m: Any, point: Linearisation, bounds: Bounds) -> None:
    """Accepted power of every column: low <= x <= high."""
    unit = point.problem.unit_mw
    low, high = (bounds.low_mw / unit).tolist(), (bounds.high_mw / unit).tolist()
    m.accepted = pyo.Var(range(len(low)), bounds=lambda _, column: (low[column], high[column]))


def add_energy_of_envelopes(m: Any, point: Linearisation) -> None:
    """Running energy of a fleet: e_t = e_(t-1) + x_more,t - x_less,t, between its bounds at the end of each t."""
    problem, fleets = point.problem, point.problem.envelopes
    keys = [(number, t) for number in range(len(fleets)) for t in range(problem.periods)]
    low, high = fleets.low / problem.unit_mw, fleets.high / problem.unit_mw
    m.energy = pyo.Var(keys, bounds=lambda _, number, t: (float(low[number, t]), float(high[number, t])))

    def running(_: Any, number: int, t: int) -> Any:
        terms = [(m.energy[number, t], 1.0)]
        terms += [(m.energy[number, t - 1], -1.0)] if t > 0 else []
        more, less = int(fleets.more[number, t]), int(fleets.less[number, t])
        terms += [(m.accepted[more], -1.0)] if more >= 0 else []
        terms += [(m.accepted[less], 1.0)] if less >= 0 else []
        return _linear(terms) == 0.0

    m.running_energy = pyo.Constraint(keys, rule=running)


def add_limits(m: Any, point: Linearisation, rows: Rows) -> None:
    """Every limit that has entered: excess + a (x - x_0) - s <= 0, with s >= 0 unmet at its price."""
    columns, accepted = point.problem.columns, point.dispatch.accepted_mw
    m.unmet = pyo.Var(range(len(rows.price)), within=pyo.NonNegativeReals)
    of_period = [np.flatnonzero(columns.period == t) for t in range(point.problem.periods)]

    def limit(_: Any, row: int) -> Any:
        inside = of_period[int(rows.period[row])]
        slope, column = columns.weight[inside] * rows.slope[row, columns.place[inside]], columns.column[inside]
        at_zero = float(rows.excess[row] - slope @ accepted[column])
        scaled = (slope * point.problem.unit_mw).tolist()
        terms = [(m.accepted[j], a) for j, a in zip(column.tolist(), scaled, strict=True) if a != 0.0]
        return _linear([*terms, (m.unmet[int(rows.unmet[row])], -1.0)]) <= -at_zero

    m.limit = pyo.Constraint(range(len(rows)), rule=limit)


def minimise_cost(m: Any, point: Linearisation, rows: Rows) -> None:
    """Marginal cost of what is accepted, and the price of what stays unmet [EUR/h per unit of power]."""
    cost, price = point.column_cost.tolist(), (rows.price / point.problem.unit_mw).tolist()
    terms = [(m.accepted[column], c) for column, c in enumerate(cost)]
    m.cost = pyo.Objective(expr=_linear([*terms, *((m.unmet[k], c) for k, c in enumerate(price))]))


def _linear(terms: list[tuple[Any, float]]) -> Any:
    return LinearExpression(linear_coefs=[c for _, c in terms], linear_vars=[v for v, _ in terms])
