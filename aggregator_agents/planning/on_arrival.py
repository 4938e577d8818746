"""Charging that nobody plans: every vehicle as soon and as fast as its plug, its fuse and its duties let it."""

from dataclasses import replace

import numpy as np

from aggregator_agents.planning.amps import filled
from aggregator_agents.planning.planner import Plan, plan_of
from aggregator_agents.planning.problem import Problem
from aggregator_agents.planning.terms import Corridor


class OnArrival:
    """What happens without a plan: no price moves it, and of a corridor it keeps only duties.

    A duty is what costs more to leave than a driver is owed for energy that is missing: a right that was called, by law
    or by contract.
    """

    def plan(self, problem: Problem) -> Plan:
        """Whole amps from the first step on; where not all vehicles fit, the most urgent come first."""
        charging_a = filled(replace(problem, corridor=_duties(problem)))
        return plan_of(problem, charging_a, np.zeros_like(charging_a), "water-fill")


def _duties(problem: Problem) -> Corridor | None:
    asked = problem.corridor
    if asked is None:
        return None
    duty = asked.missed_eur_per_mwh > problem.value.shortfall_eur_per_mwh
    return replace(asked, ceiling_w=np.where(duty, asked.ceiling_w, np.inf))
