"""Congested days at 16 plugs on 8 chargers, planned again every five minutes without knowing who comes.

Demand x2 on 63 A, where every charger keeps 7 A for when it loses contact, and x1.5 on 32 A, where there is no room for
that. Delivered: of the most that anyone who knew the whole day could deliver in any amps, whoever gets it. Met: drivers
with at least 99 % of what they wanted. Jain: Jain's index of the shares of what they wanted. Stops: how often a vehicle
is switched off, the last time included. Means over the days; least: of the worst day. Beaten in: days on which ours
meets more demands than this one with a Jain's index that is no worse.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from aggregator_agents.fleet import Site
from aggregator_agents.planning import Planner, Valuation
from bench.charging_day import Outcome, Scheduler, bound_kwh, drivers
from bench.charging_day import run as day
from bench.measuring import Options, Row, progress
from bench.sorted_charging import SCHEDULERS

DAYS: Final = ((63, 2.0), (32, 1.5))
SEEDS: Final = range(200, 212)
"""None of them was looked at while the method was made; those were 0 to 7, 100 to 111 and 300 to 315."""
FLAT: Final = Valuation()
FAIR: Final = Valuation(fairness=1.0)
OURS: Final = {"plan, flat": FLAT, "plan, fair": FAIR}


def run(options: Options) -> Iterator[Row]:
    seeds = SEEDS[:2] if options.quick else SEEDS
    for fuse_a, demand in DAYS:
        site = Site.of("lot", chargers=8, plugs_per_charger=2, fuse_a=fuse_a)
        outcomes: dict[str, list[Outcome]] = {name: [] for name in (*SCHEDULERS, *OURS)}
        bounds = list[float]()
        for seed in seeds:
            progress(f"charging: {fuse_a} A, demand x{demand:g}, day {seed}")
            sessions = drivers(site, demand=demand, seed=seed)
            bounds.append(bound_kwh(site, sessions))
            for name, scheduler in SCHEDULERS.items():
                outcomes[name].append(day(site, sessions, scheduler(), FLAT))
            for name, value in OURS.items():
                outcomes[name].append(day(site, sessions, _planned(), value))
        for name, days in outcomes.items():
            yield _row(f"{fuse_a} A, x{demand:g}", name, days, bounds, outcomes["plan, fair"])


def _planned() -> Scheduler:
    planner = Planner()
    return lambda problem: planner.plan(problem).setpoint_a


def _row(place: str, name: str, days: list[Outcome], bounds: list[float], fair: list[Outcome]) -> Row:
    delivered = [each.delivered_kwh / bound for each, bound in zip(days, bounds, strict=True)]
    beaten = [ours.met > each.met and ours.jain >= each.jain for ours, each in zip(fair, days, strict=True)]
    return {
        "days": f"{place} ({len(days)})",
        "scheduler": name,
        "delivered": f"{np.mean(delivered):.4f}",
        "least": f"{min(delivered):.3f}",
        "met": f"{_mean(days, lambda each: each.met / len(each.share)):.3f}",
        "Jain": f"{_mean(days, lambda each: each.jain):.4f}",
        "stops": f"{_mean(days, lambda each: float(each.stops.mean())):.2f}",
        "most stops": f"{max(int(each.stops.max()) for each in days)}",
        "beaten in": "" if days is fair else f"{sum(beaten)}",
    }


def _mean(days: list[Outcome], of: Callable[[Outcome], float]) -> float:
    return float(np.mean([of(each) for each in days]))
