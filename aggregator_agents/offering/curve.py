"""The parametric offer curve: the plan, re-solved for growing reductions. Pure.

    C(q) = cost of the cheapest plan with  P_t <= (1 - q) B_t  in the window,  less the cost of the plan B

P, B [W] power of the site, q the part by which it is reduced. C is the optimal value of a linear program as a function
of its right-hand side, along a line: convex, with C(0) = 0, so the cost of an MWh, C(q) / (q x energy in the window),
never falls with q. What comes back later because of q is in P - B: a reduction and its payback are one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.planning import Corridor, Plan, Planner, Problem
from aggregator_agents.planning.terms import BoolArray
from api_spec.period import MarketPeriod

_AT_ANY_PRICE: Final = 1e6
_ROUNDING_W: Final = 1.0
_PER_MWH: Final = 1e-6


@dataclass(frozen=True)
class Reduction:
    """A reduction by a part of the window's power: change_w (period,) of the plan [W], with payback, at cost_eur."""

    part: float
    change_w: FloatArray
    cost_eur: float

    def moved_mwh(self, period: MarketPeriod) -> float:
        """Energy that is changed, down and up together [MWh]."""
        return float(np.abs(self.change_w).sum()) * period.hours * _PER_MWH


def curve(asked: Problem, planned: Plan, window: BoolArray, *, steps: int) -> Iterator[Reduction]:
    """Reductions of the plan in the window, in `steps` equal parts up to all that vehicles draw there.

    planned : for what is `asked`, without a corridor. window : (period,). Ends early where the vehicles that are there
    cannot draw less.
    """
    base_w, count, planner = planned.total_w, asked.grid.count, Planner()
    if base_w[window].max(initial=0.0) <= _ROUNDING_W:
        return
    for step in range(1, steps + 1):
        part = step / steps
        ceiling_w = np.where(window, asked.other_w + base_w - part * np.maximum(base_w, 0.0), np.inf)
        corridor = Corridor(ceiling_w, np.full(count, -np.inf), np.full(count, _AT_ANY_PRICE))
        found = planner.plan(replace(asked, corridor=corridor))
        if found.missed_w.max() > _ROUNDING_W:
            return
        yield Reduction(part, found.total_w - base_w, found.cost_eur - planned.cost_eur)
