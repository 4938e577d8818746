"""From a problem to a plan: solved where that takes few steps enough, shared out otherwise; never without an answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Final, Protocol

import numpy as np

from aggregator_agents.fleet import FloatArray, Session, Site
from aggregator_agents.planning.amps import filled, rounded, until_full
from aggregator_agents.planning.grid import Grid
from aggregator_agents.planning.merit import MeritOrder
from aggregator_agents.planning.model import build_model
from aggregator_agents.planning.problem import Problem
from aggregator_agents.planning.solver import NoPlan, Solution, Solver
from aggregator_agents.planning.terms import Corridor, How, Prices, Valuation
from aggregator_agents.planning.vehicles import Vehicles
from api_spec.period import MarketPeriod

_PER_MWH: Final = 1e-6
GAP: Final = 1e-3
"""Between a plan's cost and what may be possible, relative."""
_SEARCHED: Final = 200
"""First signals up to which better whole amps are searched for; more take longer than they are worth."""
_PLACES: Final = 6
"""Of watts: no solver is more exact, and a watt below a whole amp would be an amp less."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Currents and what they mean. how : it came about.

    amps : (session, step) per phase while it is plugged in, charging positive [A]; whole in the first step where that
    was asked for. power_w : (session, step) mean over the step [W]. shortfall_wh : (session,) [Wh]. missed_w : (step,)
    outside of the corridor [W]. cost_eur : to drivers, compared with nobody charging and feeding back.
    """

    sessions: tuple[Session, ...]
    grid: Grid
    amps: FloatArray
    power_w: FloatArray
    shortfall_wh: FloatArray
    missed_w: FloatArray
    cost_eur: float
    how: How = "optimal"

    @cached_property
    def total_w(self) -> FloatArray:
        """(step,) power of all vehicles [W]."""
        total: FloatArray = self.power_w.sum(axis=0)
        return total

    @cached_property
    def setpoint_a(self) -> dict[str, int]:
        """Amps of the first step by session, towards 0 where they are not whole; negative feeds back."""
        return {each.id: int(own) for each, own in zip(self.sessions, self.amps[:, 0], strict=True)}


class Plans(Protocol):
    """Who decides how a site charges."""

    def plan(self, problem: Problem) -> Plan:
        """An answer to every problem."""
        ...


class Planner:
    """Plans one site again and again."""

    def __init__(self, *, within_s: float = inf, gap: float = GAP, solver: Solver | None = None) -> None:
        """within_s : after so many seconds of a wall clock the best until then, or a simpler plan, has to do.

        For who cannot wait; without it a plan depends on nothing but its problem and the problems before.
        """
        self._solver = solver or Solver()
        self._within_s, self._gap = within_s, gap

    def plan(self, problem: Problem) -> Plan:
        """The cheapest plan, or the best that can be had in so many steps."""
        if not problem.sessions:
            return plan_of(problem, np.zeros((0, problem.grid.count)), np.zeros((0, problem.grid.count)), "optimal")
        if (order := MeritOrder.of(problem)) is not None:
            return self._in_order(order)
        try:
            return self._solved(problem, build_model(problem))
        except NoPlan:
            amps = filled(problem)
            return plan_of(problem, amps, np.zeros_like(amps), "water-fill")

    def _in_order(self, order: MeritOrder) -> Plan:
        """As below, with optima that need no solver."""
        problem, (charging_a, possible) = order.problem, order.relaxed()
        feeding_a = np.zeros_like(charging_a)
        if problem.present.any():
            first_a, _ = rounded(problem, charging_a[:, 0], feeding_a[:, 0])
            charging_a, cost = order.signalled(first_a)
            if cost - possible > self._gap * abs(possible):
                charging_a = order.whole()
        return plan_of(problem, charging_a, feeding_a, "optimal")

    def _solved(self, problem: Problem, model: Vehicles) -> Plan:
        """Without whole amps; then with those next to it; searched for better ones only where that may be worth it."""
        until_s = self._solver.used_s + self._within_s
        relaxed = self._solver.linear(model.program, within_s=self._within_s)
        charging_a, feeding_a = model.currents(relaxed.values, whole=False)
        if not problem.present.any():
            return plan_of(problem, charging_a, feeding_a, "optimal")
        charging_a[:, 0], feeding_a[:, 0] = rounded(problem, charging_a[:, 0], feeding_a[:, 0])
        try:
            nearby = self._next_to(model, charging_a[:, 0], feeding_a[:, 0], until_s)
        except NoPlan:
            return plan_of(problem, until_full(problem, charging_a), feeding_a, "relaxed")
        best = self._searched(model, nearby, possible=relaxed.objective, within_s=until_s - self._solver.used_s)
        return plan_of(problem, *model.currents(best.values, whole=True), "optimal" if best.optimal else "relaxed")

    def _next_to(self, model: Vehicles, charging_a: FloatArray, feeding_a: FloatArray, until_s: float) -> Solution:
        """The optimum with these whole amps in the first step : (session,), or with nothing fed back in it.

        A relaxed plan may charge and feed back at once, which whole amps of feeding alone need not be able to follow.
        Raises NoPlan.
        """
        try:
            return self._solver.fixed(*model.first(charging_a, feeding_a), within_s=until_s - self._solver.used_s)
        except NoPlan:
            if not feeding_a.any():
                raise
            first = model.first(charging_a, np.zeros_like(feeding_a))
            return self._solver.fixed(*first, within_s=until_s - self._solver.used_s)

    def _searched(self, model: Vehicles, known: Solution, *, possible: float, within_s: float) -> Solution:
        """The known solution where nothing can be much better than it, else the best that is found beside it in time.

        possible : an objective that none is better than.
        """
        if known.objective - possible <= self._gap * abs(possible):
            return known
        if len(model.z) > _SEARCHED:
            return replace(known, optimal=False)
        try:
            return self._solver.mixed(model.program, known.values, within_s=within_s, gap=self._gap)
        except NoPlan:
            return replace(known, optimal=False)


def plan(
    site: Site,
    sessions: Sequence[Session],
    period: MarketPeriod,
    value: Valuation,
    *,
    corridor: Corridor | None = None,
    tariff_eur_per_mwh: FloatArray | None = None,
) -> Plan:
    """The cheapest plan of a market's periods, in amps that need not be whole. Never fails for want of room.

    tariff_eur_per_mwh : (period,) what energy costs in each period on top; absent = nothing.
    """
    grid = Grid.of(period)
    buy = value.price_eur_per_mwh + (np.zeros(grid.count) if tariff_eur_per_mwh is None else tariff_eur_per_mwh)
    prices = Prices.bought(buy)
    problem = Problem(site, grid, tuple(sessions), value, prices, corridor=corridor, whole=False)
    return Planner().plan(problem)


def plan_of(problem: Problem, charging_a: FloatArray, feeding_a: FloatArray, how: How) -> Plan:
    """What currents mean; computed from them alone, whatever a solver says of its objective.

    charging_a, feeding_a : (session, step).
    """
    hours = problem.grid.length_h
    fed_wh = problem.watts_per_amp[:, None] * problem.share * hours * feeding_a
    power_w = np.round((problem.amp_wh * charging_a - fed_wh) / hours, _PLACES)
    shortfall_wh = _shortfall_wh(problem, (problem.amp_wh * charging_a).sum(axis=1), fed_wh.sum(axis=1))
    at_connection_w = power_w.sum(axis=0) + problem.other_w
    missed_w = np.zeros(problem.grid.count)
    if problem.corridor is not None:
        missed_w = np.maximum(at_connection_w - problem.corridor.ceiling_w, 0.0)
        missed_w = np.maximum(missed_w, problem.corridor.floor_w - at_connection_w)
    cost_eur = _cost_eur(problem, charging_a, fed_wh, shortfall_wh, at_connection_w)
    return Plan(problem.sessions, problem.grid, charging_a - feeding_a, power_w, shortfall_wh, missed_w, cost_eur, how)


def _shortfall_wh(problem: Problem, charged_wh: FloatArray, fed_wh: FloatArray) -> FloatArray:
    """(session,) what drivers miss at the plug [Wh]; of a vehicle that feeds back, what its battery misses."""
    efficiency = np.array([each.vehicle.efficiency for each in problem.sessions])
    stored_wh = np.array([each.stored_wh for each in problem.sessions])
    battery_wh = stored_wh + efficiency * charged_wh - fed_wh / efficiency
    missing_wh = np.where(
        problem.feeds_back, (problem.target_wh - battery_wh) / efficiency, problem.wanted_wh - charged_wh
    )
    return np.clip(np.round(missing_wh, _PLACES), 0.0, problem.asked_wh)


def _cost_eur(
    problem: Problem, charging_a: FloatArray, fed_wh: FloatArray, shortfall_wh: FloatArray, at_connection_w: FloatArray
) -> float:
    """Energy, waiting, wear, peaks and shortfall, less what the connection costs without any vehicle [EUR]."""
    value, prices, hours = problem.value, problem.prices, problem.grid.length_h
    margin = prices.buy_eur_per_mwh - prices.sell_eur_per_mwh
    exported_w = np.maximum(-at_connection_w, 0.0) - np.maximum(-problem.other_w, 0.0)
    charged = float((problem.energy_eur_per_mwh * problem.amp_wh * charging_a).sum())
    fed = float(((value.wear_eur_per_mwh - prices.buy_eur_per_mwh) * fed_wh).sum())
    exported = float((margin * exported_w) @ hours)
    width_wh = problem.missing_wh
    parts_wh = np.clip(shortfall_wh[:, None] - (np.cumsum(width_wh, axis=1) - width_wh), 0.0, width_wh)
    missing = float((problem.missing_eur_per_mwh * parts_wh).sum())
    cost = _PER_MWH * (charged + fed + exported + missing)
    for peak in problem.peaks:
        high = max(peak.so_far_w, float(at_connection_w[peak.counts].max(initial=-np.inf)))
        without = max(peak.so_far_w, float(problem.other_w[peak.counts].max(initial=-np.inf)))
        cost += peak.price_eur_per_kw * (high - without) / 1e3
    return cost
