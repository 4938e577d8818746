"""The anchors' programme in Pyomo, with its persistent interface to HiGHS: (b). Written as `lindistflow.py` says it."""

import time
from collections import defaultdict
from typing import Any

import pyomo.environ as pyo
from pyomo.contrib.appsi.base import TerminationCondition
from pyomo.contrib.appsi.solvers import Highs

from bench.lindistflow import SETTINGS, SIDES, Answer
from bench.linear_market import LinearMarket


def solve_pyomo(market: LinearMarket) -> Answer:
    """Anchor (b): the same in Pyomo, with its persistent interface to HiGHS (appsi)."""
    started = time.perf_counter()
    model = pyomo_model(market)
    solver = Highs()
    solver.highs_options = dict(SETTINGS)
    solver.set_instance(model)
    constructed = time.perf_counter()
    results = solver.solve(model)
    solved = time.perf_counter()
    if results.termination_condition != TerminationCondition.optimal:
        raise RuntimeError(f"LinDistFlow in Pyomo ended {results.termination_condition}")
    return Answer(
        objective_eur=float(results.best_feasible_objective),
        unmet_mw=sum(pyo.value(s) for pair in (model.line_under, model.line_over) for s in pair.values()),
        unmet_pu=sum(pyo.value(s) for pair in (model.voltage_under, model.voltage_over) for s in pair.values()),
        construct_s=constructed - started,
        solve_s=solved - constructed,
        rows=sum(1 for _ in model.component_data_objects(pyo.Constraint, active=True)),
        columns=sum(1 for _ in model.component_data_objects(pyo.Var)),
    )


def pyomo_model(market: LinearMarket) -> pyo.ConcreteModel:
    """The programme as it is written down."""
    m = pyo.ConcreteModel()
    m.T = pyo.RangeSet(0, market.periods - 1)
    m.N = pyo.RangeSet(0, market.tree.buses - 1)
    m.B = pyo.RangeSet(0, market.tree.branches - 1)
    add_flows(m, market)
    add_changes(m, market)
    add_balances(m, market)
    add_voltage_drops(m, market)
    add_ratings(m, market)
    add_requested(m, market)
    minimise_cost(m, market)
    return m


def add_flows(m: pyo.ConcreteModel, market: LinearMarket) -> None:
    """P, Q, v and what the source gives; v within the band of the network."""
    low, high = market.low.tolist(), market.high.tolist()
    source, held = market.tree.source, market.tree.network.source.voltage_pu**2
    m.P = pyo.Var(m.T, m.B)
    m.Q = pyo.Var(m.T, m.B)
    m.v = pyo.Var(m.T, m.N, bounds=lambda m, t, n: (held, held) if n == source else (low[t][n], high[t][n]))
    m.P0 = pyo.Var(m.T)
    m.Q0 = pyo.Var(m.T)


def add_changes(m: pyo.ConcreteModel, market: LinearMarket) -> None:
    """What offers reduce and raise in the periods of their windows, within their energy."""
    cells, energies, h = market.cells, market.energies, market.hours
    most, sign, period = cells.most_mw.tolist(), cells.sign.tolist(), cells.period.tolist()
    m.C = pyo.RangeSet(0, len(most) - 1)
    m.E = pyo.RangeSet(0, len(energies.offer) - 1)
    m.y = pyo.Var(m.C, bounds=lambda m, c: (0, most[c]))
    window = defaultdict(list)
    for cell, offer in enumerate(cells.offer.tolist()):
        window[offer].append(cell)
    owner, last = energies.offer.tolist(), energies.period.tolist()
    low, high = energies.low_mwh.tolist(), energies.high_mwh.tolist()

    def running(m: pyo.ConcreteModel, e: int) -> Any:
        own = (c for c in window[owner[e]] if period[c] <= last[e])
        return (low[e], h * pyo.quicksum(sign[c] * m.y[c] for c in own), high[e])

    m.energy = pyo.Constraint(m.E, rule=running)


def add_balances(m: pyo.ConcreteModel, market: LinearMarket) -> None:
    """What flows in and is reduced = what is consumed and flows on."""
    tree, p, q = market.tree, market.consumption.real.tolist(), market.consumption.imag.tolist()
    before, sign = {end: branch for branch, end in enumerate(tree.to_bus.tolist())}, market.cells.sign.tolist()
    behind, reduced = defaultdict(list), defaultdict(list)
    for branch, start in enumerate(tree.from_bus.tolist()):
        behind[start].append(branch)
    for cell, key in enumerate(zip(market.cells.period.tolist(), market.cells.bus.tolist(), strict=True)):
        reduced[key].append(cell)

    def active(m: pyo.ConcreteModel, t: int, n: int) -> Any:
        given = m.P0[t] if n == tree.source else m.P[t, before[n]]
        less = pyo.quicksum(sign[c] * m.y[c] for c in reduced[t, n])
        return given + less - pyo.quicksum(m.P[t, b] for b in behind[n]) == p[t][n]

    def reactive(m: pyo.ConcreteModel, t: int, n: int) -> Any:
        given = m.Q0[t] if n == tree.source else m.Q[t, before[n]]
        return given - pyo.quicksum(m.Q[t, b] for b in behind[n]) == q[t][n]

    m.active_balance = pyo.Constraint(m.T, m.N, rule=active)
    m.reactive_balance = pyo.Constraint(m.T, m.N, rule=reactive)


def add_voltage_drops(m: pyo.ConcreteModel, market: LinearMarket) -> None:
    """Squared voltage falls by twice the resistive and reactive drop."""
    tree = market.tree
    start, end, z = tree.from_bus.tolist(), tree.to_bus.tolist(), tree.impedance.tolist()
    ratio = (1 / tree.tap_ratio**2).tolist()

    def fall(m: pyo.ConcreteModel, t: int, b: int) -> Any:
        drop = 2 * z[b].real * m.P[t, b] + 2 * z[b].imag * m.Q[t, b]
        return m.v[t, end[b]] - ratio[b] * m.v[t, start[b]] + drop == 0

    m.fall = pyo.Constraint(m.T, m.B, rule=fall)


def add_ratings(m: pyo.ConcreteModel, market: LinearMarket) -> None:
    """Apparent power within the polygon of every rating."""
    sides = [(cos, sin, limit.tolist()) for cos, sin, limit in market.polygon(SIDES)]
    branch = market.rated.tolist()
    m.sides, m.rated = pyo.RangeSet(0, SIDES - 1), pyo.RangeSet(0, len(branch) - 1)

    def side(m: pyo.ConcreteModel, t: int, k: int, of: int) -> Any:
        cos, sin, limit = sides[of]
        return cos * m.P[t, branch[k]] + sin * m.Q[t, branch[k]] <= limit[t][k]

    m.rating = pyo.Constraint(m.T, m.rated, m.sides, rule=side)


def add_requested(m: pyo.ConcreteModel, market: LinearMarket) -> None:
    """Requested limits with slack at both ends."""
    for kind, requested, of in (("line", market.lines, m.P), ("voltage", market.voltages, m.v)):
        at, low, high = requested.at.tolist(), requested.low.tolist(), requested.high.tolist()
        most = requested.slack_most.tolist()
        limits = pyo.RangeSet(0, len(at) - 1)
        under = pyo.Var(m.T, limits, bounds=lambda m, t, k, most=most: (0, most[k]))
        over = pyo.Var(m.T, limits, bounds=lambda m, t, k, most=most: (0, most[k]))
        for name, part in (("limits", limits), ("under", under), ("over", over)):
            m.add_component(f"{kind}_{name}", part)
        rule = _band_rule(of, at, low, high, under, over)
        m.add_component(f"{kind}_band", pyo.Constraint(m.T, limits, rule=rule))


def _band_rule(of: Any, at: list[int], low: Any, high: Any, under: Any, over: Any) -> Any:
    def band(m: pyo.ConcreteModel, t: int, k: int) -> Any:
        return pyo.inequality(low[t][k], of[t, at[k]] + under[t, k] - over[t, k], high[t][k])

    return band


def minimise_cost(m: pyo.ConcreteModel, market: LinearMarket) -> None:
    """Energy, reductions and unmet limits [EUR]."""
    price, energy_price = market.cells.price.tolist(), market.energy_price.tolist()
    line, voltage = market.lines.slack_price.tolist(), market.voltages.slack_price.tolist()
    unmet = [
        prices[k] * (under[t, k] + over[t, k])
        for prices, under, over in ((line, m.line_under, m.line_over), (voltage, m.voltage_under, m.voltage_over))
        for t, k in under
    ]
    m.cost = pyo.Objective(
        expr=market.hours
        * (
            pyo.quicksum(energy_price[t] * m.P0[t] for t in m.T)
            + pyo.quicksum(price[c] * m.y[c] for c in m.C)
            + pyo.quicksum(unmet)
        )
    )
