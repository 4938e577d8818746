"""What a whole connection can do instead of its plan: blocks of growing reductions, each with its payback. Pure.

    plan(q)   the cheapest plan with  P_t <= B_t - q  in the window, as far as that is worth the price cap
    block     share x (P(q) - B),  at  (C(q) - C(B)) / energy changed + wear

P, B [W] power at the connection, everything behind it together; C [EUR] what a plan costs its drivers and its owner,
with what energy costs behind the meter. Vehicles charge later, or feed back where they can; what they give comes back
with its losses. Costs are convex in q, so blocks are dearer the deeper they are. All profiles are of one convex set of
plans that holds the baseline: any part of one keeps fuse, chargers and floors.
"""

from dataclasses import replace
from decimal import Decimal
from math import ceil
from typing import Final

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.offering.asking import Asking
from aggregator_agents.planning import Corridor, Plan, Planner, Problem
from api_spec.flexibility import BlockTerms
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod

STEPS: Final = 4
_LEAST_W: Final = 500.0
"""Less than this is not worth an offer, and within what a forecast misses."""
_PER_MWH: Final = 1e-6


def net_w(asked: Problem, planned: Plan) -> FloatArray:
    """(period,) power at the connection as planned [W]: vehicles, and what else is expected."""
    return planned.total_w + asked.other_w


def nominated(asked: Problem, planned: Plan) -> BusPower:
    """The plan as the baseline of the connection point, in whole watts; feeding in is negative."""
    return BusPower(bus=asked.site.bus, power_w=tuple(int(each) for each in np.rint(net_w(asked, planned))))


def blocks(
    asked: Problem,
    planned: Plan,
    period: MarketPeriod,
    *,
    window: tuple[bool, ...],
    asking: Asking,
    price_cap: Decimal,
    planner: Planner | None = None,
) -> tuple[BlockTerms, ...]:
    """At most STEPS blocks, of which clearing accepts at most one, from the smallest reduction to the deepest.

    planned : the nominated plan for what is `asked`. window : the periods in which a DSO asks for something. price_cap
    : of the product [EUR/MWh]. Empty where nothing can be reduced for less.
    """
    planner = planner or Planner()
    inside, base_w = np.array(window), net_w(asked, planned)

    def reduced(by_w: float) -> Plan:
        ceiling_w = np.where(inside, base_w - by_w, np.inf)
        worth = Corridor(ceiling_w, np.full(period.count, -np.inf), np.full(period.count, float(price_cap)))
        return planner.plan(replace(asked, corridor=worth))

    most_w = _room_w(asked)
    deepest_w = float((base_w - net_w(asked, reduced(most_w)))[inside].max(initial=0.0))
    made: list[BlockTerms] = []
    price, before_w = asking.floor_eur_per_mwh, 0.0
    for step in range(1, STEPS + 1):
        found = reduced(deepest_w * step / STEPS)
        change_w = net_w(asked, found) - base_w
        order_w = np.trunc(asking.share * change_w)
        depth_w = -float(order_w.min())
        if depth_w < max(_LEAST_W, before_w + 1.0):
            continue
        moved_mwh = float(np.abs(change_w).sum()) * period.hours * _PER_MWH
        cost = Decimal(f"{(found.cost_eur - planned.cost_eur) / moved_mwh:.2f}")
        price = max(price, cost + asking.floor_eur_per_mwh)
        if price > price_cap:
            break
        made.append(
            BlockTerms(
                kind="block",
                bus=asked.site.bus,
                power_w=tuple(int(each) for each in order_w),
                price_eur_per_mwh=price,
                # Upward: a part that is too small would be one of the block before.
                min_activation=min(1.0, ceil(max(_LEAST_W, before_w) / depth_w * 1e6) / 1e6),
                exclusive_group=f"{asked.site.bus} {period.start:%Y-%m-%dT%H:%M}",
            )
        )
        before_w = depth_w
    return tuple(made)


def _room_w(asked: Problem) -> float:
    """More than all vehicles together can change [W]."""
    vehicles = (each.vehicle for each in asked.sessions)
    return sum(each.max_w + each.discharge_a * each.watts_per_amp for each in vehicles)
