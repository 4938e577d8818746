"""A ladder of blocks: growing reductions with their payback, of which clearing accepts at most one. Pure.

Rung k is the reduction q_k of the offer curve with its payback, each period cut down to what can be delivered with the
chance of Asking.level:

    a_kt = sign(P_kt - B_t) x min(|P_kt - B_t|, Q_1-level of what is delivered in t when a_k is ordered)

so that of what is ordered in any period, at least that part is delivered on average, and so of any award. The rungs
share an exclusive group, and rung k may be accepted from the depth of rung k-1 to its own: together they offer every
reduction from the smallest pause of a vehicle up to the deepest, once. Whatever part of a rung is accepted, the site's
power lies between its baseline and a plan, which fits through fuse and chargers, and is paid for: costs are convex.

    price = (extra cost + shortfall compensation + expected penalty) / energy changed + wear
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import Final

import numpy as np

from aggregator_agents.fleet import FloatArray, Session, Site
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.curve import Reduction, curve
from aggregator_agents.offering.deliverable import Drawn, delivered_w, drawn
from aggregator_agents.offering.record import Record, Scenarios
from aggregator_agents.planning import Plan, Valuation
from api_spec.flexibility import BlockTerms
from api_spec.period import MarketPeriod

SCENARIOS: Final = 200
_PASSES: Final = 5
_SETTLED_W: Final = 10.0
_PER_MWH: Final = 1e-6


@dataclass(frozen=True)
class Market:
    """What the market's product says: the highest price that may be asked, and what not delivering costs [EUR/MWh]."""

    price_cap_eur_per_mwh: Decimal
    penalty_eur_per_mwh: Decimal


def ladder(
    site: Site,
    planned: Plan,
    period: MarketPeriod,
    value: Valuation,
    *,
    said: Sequence[Session],
    record: Record,
    now: datetime,
    window: tuple[bool, ...],
    asking: Asking,
    market: Market,
    tariff_eur_per_mwh: FloatArray | None = None,
    seed: int = 0,
) -> tuple[BlockTerms, ...]:
    """Blocks from the smallest reduction to the deepest, dearer and dearer; empty where nothing is reliable enough.

    planned : the nominated plan, of sessions as `record` expects them. said : the same sessions, whole, as their
    drivers announced them; they decide what a vehicle must have. window : the periods in which a DSO asks for
    something. seed : of the scenarios.
    """
    random = np.random.default_rng(seed)
    scenarios = record.scenarios(said, now=now, count=SCENARIOS, random=random)
    base_w, free = np.rint(planned.total_w), drawn(site, scenarios, period)
    made: list[BlockTerms] = []
    least_w = max((each.vehicle.min_a * each.vehicle.watts_per_amp for each in planned.sessions), default=0.0)
    price = Decimal(0)
    steps = curve(
        site, planned, period, value, window=window, steps=asking.steps, tariff_eur_per_mwh=tariff_eur_per_mwh
    )
    for reduction in steps:
        order_w, outcome = _deliverable(site, scenarios, period, base_w, reduction, np.array(window), asking.level)
        reduced_w = -float(order_w.min())
        if reduced_w < least_w or reduced_w <= 0:
            continue
        cost = _eur_per_mwh(reduction, order_w, outcome, free, base_w, period, value, market)
        price = max(price, Decimal(f"{cost:.2f}") + asking.floor_eur_per_mwh)
        if price > market.price_cap_eur_per_mwh:
            break
        made.append(
            BlockTerms(
                kind="block",
                bus=site.bus,
                power_w=tuple(int(each) for each in order_w),
                price_eur_per_mwh=price,
                # Upward: a part that is too small would be half a pause.
                min_activation=min(1.0, ceil(least_w / reduced_w * 1e6) / 1e6),
                exclusive_group=f"{site.bus} {period.start:%Y-%m-%dT%H:%M}",
            )
        )
        least_w = reduced_w
    return tuple(made)


def _deliverable(
    site: Site,
    scenarios: Scenarios,
    period: MarketPeriod,
    base_w: FloatArray,
    reduction: Reduction,
    window: np.typing.NDArray[np.bool_],
    level: float,
) -> tuple[FloatArray, Drawn]:
    """(period,) whole watts of a reduction and its payback that can be had at `level`, and what is drawn for them.

    The site keeps to baseline and order in the window and wherever something is ordered; elsewhere nobody asks it to.
    Who gives up less has less to pay back, so what can be had is looked at again when less is ordered.
    """
    order_w = np.trunc(reduction.change_w)
    for _ in range(_PASSES):
        ceiling_w = np.where(window | (order_w != 0), base_w + order_w, np.inf)
        outcome = drawn(site, scenarios, period, ceiling_w=ceiling_w)
        there_w = delivered_w(outcome.power_w, base_w, order_w)
        less_w = np.trunc(np.sign(order_w) * np.quantile(there_w, 1 - level, axis=0, method="lower"))
        settled = np.abs(less_w - order_w).max() <= _SETTLED_W
        order_w = less_w
        if settled:
            break
    return order_w, outcome


def _eur_per_mwh(
    reduction: Reduction,
    order_w: FloatArray,
    outcome: Drawn,
    free: Drawn,
    base_w: FloatArray,
    period: MarketPeriod,
    value: Valuation,
    market: Market,
) -> float:
    """What an order costs, per MWh that is changed [EUR/MWh]."""
    ordered_mwh = float(np.abs(order_w).sum()) * period.hours * _PER_MWH
    short_mwh = max(0.0, float((outcome.short_wh - free.short_wh).mean())) * _PER_MWH
    mean_w = delivered_w(outcome.power_w, base_w, order_w).mean(axis=0)
    missed_mwh = float((np.abs(order_w) - mean_w).sum()) * period.hours * _PER_MWH
    risk_eur = value.shortfall_eur_per_mwh * short_mwh + float(market.penalty_eur_per_mwh) * missed_mwh
    return reduction.cost_eur / reduction.moved_mwh(period) + risk_eur / ordered_mwh
