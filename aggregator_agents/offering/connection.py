"""What a whole connection can do instead of its plan: blocks of growing reductions, each with its payback. Pure.

    plan(q)   the cheapest plan with  P_t <= B_t - q  in the window, as far as that is worth the price cap; then again
              with what comes back spread: every kW above the highest B outside of the window weighs a little
    block     share x (P(q) - B),  at  (C(q) - C(B)) / energy changed + wear

P, B [W] power at the connection, everything behind it together; C [EUR] what a plan costs its drivers and its owner,
with what energy costs behind the meter. Vehicles charge later, or feed back where they can; what they give comes back
with its losses. Costs are convex in q, so blocks are dearer the deeper they are. All profiles are of one convex set of
plans that holds the baseline: any part of one keeps fuse, chargers and floors.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil
from typing import Final

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.curve import in_parts
from aggregator_agents.planning import Corridor, Peak, Plan, Planner, Problem
from aggregator_agents.planning.terms import BoolArray
from api_spec.flexibility import BlockTerms
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod

STEPS: Final = 4
_MOST_TIMES: Final = 3
_LEAST_W: Final = 500.0
"""Less than this is not worth an offer, and within what a forecast misses."""
_REBOUND_EUR_PER_KW: Final = 0.1
"""Spreads what comes back; it weighs in the plan, and is not asked for."""
_KEPT_EUR_PER_MWH: Final = 1e5
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
    """Blocks of which clearing accepts at most one, STEPS for each time of asking, from the smallest reduction on.

    planned : the nominated plan for what is `asked`. window : the periods in which a DSO asks for something; where it
    asks at several times of the day, each of the longest, and all of them together, have blocks; and parts of a time
    that is too long to move anything out of it. price_cap : of the
    product [EUR/MWh]. Empty where nothing can be reduced for less.
    """
    planner, base_w = planner or Planner(), net_w(asked, planned)
    group = f"{asked.site.bus} {period.start:%Y-%m-%dT%H:%M}"
    made: dict[tuple[int, ...], BlockTerms] = {}

    def steps(inside: BoolArray) -> Iterator[_Step]:
        return _steps(asked, planned, base_w, inside, asking, price_cap, planner)

    for inside in _times(np.array(window)):
        for step in itertools.chain.from_iterable(in_parts(inside, steps)):
            power_w = tuple(int(each) for each in step.order_w)
            block = BlockTerms(
                kind="block",
                bus=asked.site.bus,
                power_w=power_w,
                price_eur_per_mwh=step.price_eur_per_mwh,
                min_activation=step.least,
                exclusive_group=group,
            )
            made.setdefault(power_w, block)
    return tuple(made.values())


@dataclass(frozen=True, eq=False)
class _Step:
    """order_w : (period,) [W]. least : the part of it below which the step before would do."""

    order_w: FloatArray
    price_eur_per_mwh: Decimal
    least: float


def _steps(
    asked: Problem,
    planned: Plan,
    base_w: FloatArray,
    inside: BoolArray,
    asking: Asking,
    price_cap: Decimal,
    planner: Planner,
) -> Iterator[_Step]:
    rebound = Peak(_REBOUND_EUR_PER_KW, float(base_w[~inside].max(initial=0.0)), ~inside)
    hours = asked.grid.length_h

    def below(ceiling_w: FloatArray, missed_eur_per_mwh: float, *peaks: Peak) -> Plan:
        high_w, nothing = np.where(inside, ceiling_w, np.inf), np.full(len(base_w), -np.inf)
        corridor = Corridor(high_w, nothing, np.full(len(base_w), missed_eur_per_mwh))
        return planner.plan(replace(asked, corridor=corridor, peaks=peaks))

    deepest = below(base_w - _room_w(asked), float(price_cap))
    deepest_w = float((base_w - net_w(asked, deepest))[inside].max(initial=0.0))
    if deepest_w < _LEAST_W:
        return
    price, before_w = asking.floor_eur_per_mwh, 0.0
    for step in range(1, STEPS + 1):
        deep = below(base_w - deepest_w * step / STEPS, float(price_cap))
        found = below(net_w(asked, deep), _KEPT_EUR_PER_MWH, rebound)
        change_w = net_w(asked, found) - base_w
        order_w = np.trunc(asking.share * change_w)
        depth_w = -float(order_w.min())
        if depth_w < max(_LEAST_W, before_w + 1.0):
            continue
        extra_eur = found.cost_eur - _spread_eur(asked, found, rebound) - planned.cost_eur
        cost = Decimal(f"{extra_eur / float(np.abs(change_w) @ hours * _PER_MWH):.2f}")
        price = max(price, cost + asking.floor_eur_per_mwh)
        if price > price_cap:
            return
        # Upward: a part that is too small would be one of the step before.
        yield _Step(order_w, price, min(1.0, ceil(max(_LEAST_W, before_w) / depth_w * 1e6) / 1e6))
        before_w = depth_w


def _times(window: BoolArray) -> tuple[BoolArray, ...]:
    """The longest stretches of a window, and all of it."""
    if not window.any():
        return ()
    begins = window & ~np.concatenate([[False], window[:-1]])
    number = np.cumsum(begins) * window
    lengths = np.bincount(number)[1:]
    if len(lengths) == 1:
        return (window,)
    longest = np.argsort(-lengths, kind="stable")[:_MOST_TIMES] + 1
    return (*(number == each for each in sorted(longest.tolist())), window)


def _spread_eur(asked: Problem, found: Plan, rebound: Peak) -> float:
    """What the weight of the rebound makes of a plan's cost [EUR]."""
    high, without = (
        max(rebound.so_far_w, float(power_w[rebound.counts].max(initial=0.0)))
        for power_w in (net_w(asked, found), asked.other_w)
    )
    return rebound.price_eur_per_kw * (high - without) / 1e3


def _room_w(asked: Problem) -> float:
    """More than all vehicles together can change [W]."""
    vehicles = (each.vehicle for each in asked.sessions)
    return sum(each.max_w + each.discharge_a * each.watts_per_amp for each in vehicles)
