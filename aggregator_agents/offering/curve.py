"""The parametric offer curve: the plan, re-solved for growing reductions. Pure.

    C(q) = cost of the cheapest plan with  P_t <= B_t - min(q, B_t)  in the window,  less the cost of the plan B

P, B [W] power of the site, q [W] reduction. C is the optimal value of a linear program as a function of a right-hand
side: convex, with C(0) = 0, so what is asked per MWh, C(q) / (q x window), never falls with q. What comes back later
because of q is in P - B: a reduction and its payback are one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.offering.deliverable import Outlook
from aggregator_agents.planning import Corridor, Plan, Valuation, plan
from api_spec.period import MarketPeriod

_AT_ANY_PRICE: Final = 1e6
_ROUNDING_W: Final = 1.0
_PER_MWH: Final = 1e-6


@dataclass(frozen=True)
class Reduction:
    """A reduction by reduced_w in the window: change_w (period,) of the plan [W], payback included, at cost_eur."""

    reduced_w: float
    change_w: FloatArray
    cost_eur: float

    def moved_mwh(self, period: MarketPeriod) -> float:
        """Energy that is changed, down and up together [MWh]."""
        return float(np.abs(self.change_w).sum()) * period.hours * _PER_MWH


def curve(
    planned: Plan,
    outlook: Outlook,
    value: Valuation,
    *,
    steps: int,
    tariff_eur_per_mwh: FloatArray | None = None,
) -> Iterator[Reduction]:
    """Reductions of the plan in the window, in `steps` equal steps up to all that it draws there.

    Ends early where the vehicles that are there cannot draw less.
    """
    site, period, base_w = outlook.site, outlook.period, planned.total_w
    deepest_w = float(base_w[outlook.window].max(initial=0.0))
    for step in range(1, steps + 1):
        reduced_w = deepest_w * step / steps
        if reduced_w <= _ROUNDING_W:
            return
        ceiling_w = np.where(outlook.window, base_w - np.clip(base_w, 0.0, reduced_w), np.inf)
        corridor = Corridor(ceiling_w, np.full(period.count, -np.inf), np.full(period.count, _AT_ANY_PRICE))
        found = plan(site, planned.sessions, period, value, corridor=corridor, tariff_eur_per_mwh=tariff_eur_per_mwh)
        if found.missed_w.max() > _ROUNDING_W:
            return
        yield Reduction(reduced_w, found.total_w - base_w, found.cost_eur - planned.cost_eur)
