"""From sessions to a charging plan: the cheapest one for the drivers within fuse, chargers and what was sold. Pure.

`Problem` says what is asked for, `Planner` answers with a `Plan`; the equations stand in `model`. `plan` is the plan of
a market's periods.
"""

from aggregator_agents.planning.grid import Grid
from aggregator_agents.planning.on_arrival import OnArrival
from aggregator_agents.planning.planner import Plan, Planner, Plans, plan
from aggregator_agents.planning.problem import Problem
from aggregator_agents.planning.terms import (
    AtPlug,
    Corridor,
    Peak,
    Prices,
    Valuation,
    tariff_on,
    waited_h,
)

__all__ = [
    "AtPlug",
    "Corridor",
    "Grid",
    "OnArrival",
    "Peak",
    "Plan",
    "Planner",
    "Plans",
    "Prices",
    "Problem",
    "Valuation",
    "plan",
    "tariff_on",
    "waited_h",
]
