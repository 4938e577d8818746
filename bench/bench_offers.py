"""Offers of a car park, and what was delivered of them: Risø's 8 chargers with 2 plugs behind 63 A.

Every working day the deepest block for two hours is awarded, with its payback. Real drivers: the 16 busiest plugs of
JPL's car park from July 2019 on (tests/acn); generated ones: as fitted to 25 330 sessions. Quantiles are learned from
the 56 days before each day. A level of 1 % is an offer of what the plan says, without a quantile. Delivered: of awarded
energy, up and down, by least laxity first; re-planned: by a plan within the order every quarter-hour. Penalty: 100
EUR/MWh of what is missing, in percent of what the offers asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from aggregator_agents.fleet import Session, Site
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.record import Record
from aggregator_agents.planning import Corridor, Valuation, plan
from aggregator_agents.sessions import Pattern, actual, announced, past
from aggregator_agents.straying import Stay
from api_spec.period import MarketPeriod
from bench.measuring import Options, Row, progress
from tests.acn import lot
from tests.acn.days import DAY, MARKET, Day, Delivery, delivered, workdays

NONE: Final = 0.01
USUAL: Final = 0.9
LEVELS: Final = {(8, 10): (NONE, USUAL), (10, 12): (NONE, 0.5, 0.8, USUAL, 0.95), (12, 14): (NONE, USUAL)}
"""By the hours that are asked for."""
REPLANNED: Final = (USUAL, (10, 12))
"""A plan for every quarter-hour of every day takes its time."""
OFFICE: Final = Pattern(
    arrives_h=7.55, arrives_std_h=1.29, departs_h=15.89, departs_std_h=2.07, energy_kwh=30.2, energy_std_kwh=23.1
)
ZONE: Final = "Europe/Copenhagen"
QUARTER: Final = timedelta(minutes=15)
SOME_WH: Final = 500.0


def run(options: Options) -> Iterator[Row]:
    number = 10 if options.quick else 40
    for name, days in (("real", workdays(number)), ("generated", generated(number))):
        for window, levels in LEVELS.items():
            for level in levels:
                progress(f"offers: {name} drivers, {window[0]} to {window[1]} o'clock, level {level}")
                yield row(name, days, window, level)


def row(name: str, days: Sequence[Day], window: tuple[int, int], level: float) -> Row:
    asking = Asking(kind="blocks", level=level)
    made = [(day, delivered(day, day.window(*window), asking)) for day in days]
    awards = [each for _, each in made if each is not None]
    total_kwh = sum(each.ordered_wh for each in awards) / 1e3
    again = list[Delivery]()
    if (level, window) == REPLANNED:
        for day in days:
            dispatch = partial(replanned, Record.of(day.known, zone=day.zone))
            found = delivered(day, day.window(*window), asking, dispatch=dispatch)
            again += [] if found is None else [found]
    asked = sum(each.price_eur_per_mwh * each.ordered_wh for each in awards)
    missed = sum(each.ordered_wh - each.delivered_wh for each in awards) * float(MARKET.penalty_eur_per_mwh)
    return {
        "drivers": name,
        "hours": f"{window[0]}-{window[1]}",
        "level": f"{level:.0%}",
        "days offered": f"{len(awards)} of {len(days)}",
        "kWh a day": f"{total_kwh / max(len(awards), 1):.1f}",
        "payback": f"{sum(each.payback_wh for each in awards) / 10 / max(total_kwh, 1e-9):.0f} %",
        "asked EUR/MWh": f"{median(each.price_eur_per_mwh for each in awards):.0f}",
        "delivered": _reliability(awards),
        "re-planned": _reliability(again) if again else "",
        "penalty": f"{100 * missed / max(asked, 1e-9):.1f} %",
        "days below 90 %": str(sum(each.delivered_wh < 0.9 * each.ordered_wh for each in awards)),
    }


def generated(number: int) -> tuple[Day, ...]:
    """Days of drivers as they were fitted, from the same day on."""
    pattern = OFFICE.model_copy(update={"drivers": "workplace", "presence": 0.9, "timezone": ZONE})
    first = datetime(2026, 3, 2, tzinfo=ZoneInfo(ZONE))
    return tuple(_generated(first + at * DAY, pattern) for at in range(number))


def replanned(
    record: Record, site: Site, stays: Sequence[Stay], period: MarketPeriod, ceiling_w: Sequence[float]
) -> list[float]:
    """Every quarter-hour the cheapest plan within the order, of sessions as the record expects them by then."""
    value, power_w = Valuation(), list[float]()
    running = [_Running(each) for each in stays]
    ceiling = np.array(ceiling_w)
    for t, start in enumerate(period.starts()):
        rest = MarketPeriod(start=start, resolution=period.resolution, count=period.count - t)
        missed = np.full(rest.count, float(MARKET.penalty_eur_per_mwh) + 300)
        corridor = Corridor(ceiling[t:], np.full(rest.count, -np.inf), missed)
        here = [each for each in running if each.wants_at(start)]
        taken_wh = {each.stay.said.id: each.taken_wh for each in here}
        expected = record.expected([each.stay.said for each in here], now=start, taken_wh=taken_wh)
        left = [_rest(each, taken_wh[each.id], start).within(rest) for each in expected]
        planned = plan(site, left, rest, value, corridor=corridor)
        now = MarketPeriod(start=start, resolution=period.resolution, count=1)
        taken = [each.take(float(own[0]), now) for each, own in zip(here, planned.power_w, strict=True)]
        power_w.append(sum(taken))
    return power_w


@dataclass
class _Running:
    """A session while it lasts. taken_wh : until now."""

    stay: Stay
    taken_wh: float = 0.0

    def wants_at(self, now: datetime) -> bool:
        did = self.stay.did
        return did.arrives < now + QUARTER and now < did.departs and self.taken_wh < did.energy_wh

    def take(self, power_w: float, now: MarketPeriod) -> float:
        """What is drawn of it [W]."""
        share = float(self.stay.did.plugged(now)[0])
        left_w = (self.stay.did.energy_wh - self.taken_wh) / now.hours
        taken_w = min(power_w, self.stay.did.max_w * share, left_w)
        self.taken_wh += taken_w * now.hours
        return taken_w


def _rest(expected: Session, taken_wh: float, now: datetime) -> Session:
    """Who is still there may leave at any moment; who still charges wants some more."""
    departs = max(expected.departs, now + QUARTER)
    left_wh = max(expected.energy_wh - taken_wh, SOME_WH)
    return replace(expected, arrives=max(expected.arrives, now), departs=departs, energy_wh=left_wh)


def _generated(start: datetime, pattern: Pattern) -> Day:
    end = start + DAY
    period = MarketPeriod(start=start, resolution=QUARTER, count=round((end.timestamp() - start.timestamp()) / 900))
    said = tuple(each for each in announced(lot(), pattern, period, seed=1) if start <= each.arrives < end)
    stays = (Stay(each, did) for each, did in zip(said, actual(said, pattern, seed=1), strict=True))
    return Day(period, tuple(stays), past(lot(), pattern, period.start, days=Asking().history_days, seed=1), ZONE)


def _reliability(awards: Sequence[Delivery]) -> str:
    return (
        f"{100 * sum(each.delivered_wh for each in awards) / max(1e-9, sum(each.ordered_wh for each in awards)):.1f} %"
    )
