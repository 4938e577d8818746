"""A ladder of blocks: growing reductions with their payback, of which clearing accepts at most one. Pure.

Rung k is the k-th reduction of the offer curve with its payback, each period cut down to what can be delivered with the
chance of Asking.level:

    a_kt = sign(P_kt - B_t) x min(|P_kt - B_t|, Q_1-level of what is delivered in t when a_k is ordered)

so that of what is ordered in any period, at least that part is delivered on average, and so of any award. The rungs
share an exclusive group, and rung k may be accepted from the depth of rung k-1 to its own: together they offer every
reduction from the smallest pause of a vehicle up to the deepest, once. Whatever part of a rung is accepted, the site's
power lies between its baseline and a plan, which fits through fuse and chargers, and is paid for: costs are convex.

    price = (extra cost + shortfall compensation + expected penalty) / energy changed + wear
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Final

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.curve import Reduction, curve, in_parts, only_waits
from aggregator_agents.offering.deliverable import Drawn, Outlook
from aggregator_agents.planning import Plan, Problem, Valuation
from aggregator_agents.planning.terms import BoolArray
from api_spec.flexibility import BlockTerms

SCENARIOS: Final = 200
_PASSES: Final = 5
_SETTLED_W: Final = 10.0
_PER_MWH: Final = 1e-6
_SHARES: Final = 10**6
"""In parts of which a least activation is given."""


@dataclass(frozen=True)
class Market:
    """What the market's product says: the highest price that may be asked, and what not delivering costs [EUR/MWh]."""

    price_cap_eur_per_mwh: Decimal
    penalty_eur_per_mwh: Decimal


def ladder(
    asked: Problem, planned: Plan, outlook: Outlook, *, asking: Asking, market: Market
) -> tuple[BlockTerms, ...]:
    """Blocks from the smallest reduction to the deepest, dearer and dearer; empty where nothing is reliable enough.

    Where nothing can be moved out of the whole time that is asked for, each part of it in which something can has a
    ladder of its own; of all of them one block is accepted.

    planned : the plan for what is `asked`, for sessions as their drivers' record expects them. The scenarios of
    `outlook` are of the same sessions as they were announced, which decides what a vehicle must have.
    """

    def reductions(window: BoolArray) -> Iterator[Reduction]:
        return curve(asked, planned, window, steps=asking.steps)

    parts = in_parts(outlook.window, reductions, suffices=only_waits)
    return tuple(rung for part in parts for rung in _rungs(asked, planned, outlook, part, asking=asking, market=market))


def _rungs(
    asked: Problem,
    planned: Plan,
    outlook: Outlook,
    reductions: Iterable[Reduction],
    *,
    asking: Asking,
    market: Market,
) -> Iterator[BlockTerms]:
    least_w = max((each.vehicle.min_a * each.vehicle.watts_per_amp for each in planned.sessions), default=0.0)
    price = Decimal(0)
    for reduction in reductions:
        order_w, outcome = _deliverable(outlook, reduction, asking.level)
        reduced_w = -float(order_w.min())
        if reduced_w <= 0 or reduced_w < least_w:
            continue
        cost = _eur_per_mwh(outlook, reduction, order_w, outcome, asked.value, market)
        price = max(price, Decimal(f"{cost:.2f}") + asking.floor_eur_per_mwh)
        if price > market.price_cap_eur_per_mwh:
            return
        yield BlockTerms(
            kind="block",
            bus=outlook.site.bus,
            power_w=tuple(int(each) for each in order_w),
            price_eur_per_mwh=price,
            # Upward: a part that is too small would be half a pause.
            min_activation=min(1.0, ceil(least_w / reduced_w * _SHARES) / _SHARES),
            exclusive_group=outlook.site.bus,
        )
        least_w = reduced_w


def _deliverable(outlook: Outlook, reduction: Reduction, level: float) -> tuple[FloatArray, Drawn]:
    """(period,) whole watts of a reduction and its payback that can be had at `level`, and what is drawn for them.

    Who gives up less has less to pay back, so what can be had is looked at again when less is ordered.
    """
    order_w = np.trunc(reduction.change_w)
    for _ in range(_PASSES):
        outcome = outlook.drawn(order_w)
        there_w = outlook.delivered_w(outcome, order_w)
        less_w = np.trunc(np.sign(order_w) * np.quantile(there_w, 1 - level, axis=0, method="lower"))
        settled = np.abs(less_w - order_w).max() <= _SETTLED_W
        order_w = less_w
        if settled:
            break
    return order_w, outcome


def _eur_per_mwh(
    outlook: Outlook, reduction: Reduction, order_w: FloatArray, outcome: Drawn, value: Valuation, market: Market
) -> float:
    """What an order costs, per MWh that is changed [EUR/MWh]."""
    hours = outlook.period.hours
    ordered_mwh = float(np.abs(order_w).sum()) * hours * _PER_MWH
    short_mwh = max(0.0, float((outcome.short_wh - outlook.free.short_wh).mean())) * _PER_MWH
    delivered_mwh = float(outlook.delivered_w(outcome, order_w).mean(axis=0).sum()) * hours * _PER_MWH
    penalty_eur = float(market.penalty_eur_per_mwh) * (ordered_mwh - delivered_mwh)
    risk_eur = value.shortfall_eur_per_mwh * short_mwh + penalty_eur
    return reduction.cost_eur / reduction.moved_mwh(outlook.period) + risk_eur / ordered_mwh
