"""One working day at the Risø lot under each control architecture, with the same vehicles, award and troubles."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, Literal

import numpy as np

from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.emulation.architectures import Architecture, Centralised, Decentralised, Distributed
from aggregator_agents.emulation.link import IDEAL, Weather
from aggregator_agents.fleet import WATTS_PER_AMP, Session, Site

Kind = Literal["centralised", "decentralised", "distributed", "distributed, floors yielded"]
Trouble = Literal["none", "bad lines", "lines lost"]

LOT: Final = Site.of("risoe", chargers=8, plugs_per_charger=2, fuse_a=63, fallback_a=6)
_BEGINS: Final = datetime(2026, 3, 3, 7, tzinfo=UTC)
_LASTS_S: Final = 8 * 3600
_AWARDS: Final = ((10_800, 14_400), (21_600, 23_400))
_CAP_A: Final = 30
_LOST: Final = (10_500, 13_200)
_SETTLING_S: Final = 60
_TOLERATED: Final = 1.02
_BAD: Final = Weather(loss=0.3, delay_s=0.5, jitter_s=25.0, doubling=0.1)


@dataclass(frozen=True)
class Day:
    """What came of it.

    delivered_wh : to all vehicles. followed : share of the awarded time in which the site kept to the award. peak_a,
    above_as : through the fuse, and amp-seconds above it. lost_w : mean power while lines were lost and an award held.
    """

    delivered_wh: float
    followed: float
    peak_a: float
    above_as: float
    messages: int
    lost_w: float


def live(kind: Kind, trouble: Trouble, *, seed: int = 0, lasts_s: int = _LASTS_S) -> Day:
    """One day from 7 on, or its first `lasts_s`.

    At most 30 A a phase were promised from 10 to 11 and from 13 to 13:30; lines are lost from 9:55 to 10:40. Voltage is
    0.94 of nominal while the award holds, as the feeder is congested, and 0.98 else.
    """
    site = _site(kind, _BAD if trouble == "bad lines" else IDEAL, Random(seed))
    sessions = _sessions(Random(seed))
    site.expect(sessions)
    for second in range(0, lasts_s, 60):
        site.plant.run_until(second)
        site.cut_lines(cut=trouble == "lines lost" and _LOST[0] <= second < _LOST[1])
        site.follow(SitePlan(urgency=_urgency(sessions, second), cap_a=_CAP_A if _awarded(second) else None))
    site.plant.run_until(lasts_s)
    return _judge(site, lasts_s)


def _site(kind: Kind, weather: Weather, random: Random) -> Architecture:
    match kind:
        case "centralised":
            return Centralised(LOT, since=_BEGINS, weather=weather, random=random)
        case "decentralised":
            voltage = lambda second: 0.94 if _awarded(second) else 0.98  # noqa: E731
            return Decentralised(LOT, since=_BEGINS, voltage_pu=voltage, random=random)
        case "distributed, floors yielded":
            return Distributed(replace(LOT, yields_floors=True), since=_BEGINS, weather=weather, random=random)
        case _:
            return Distributed(LOT, since=_BEGINS, weather=weather, random=random)


def _judge(site: Architecture, lasts_s: int) -> Day:
    plant, step_s = site.plant, 5
    meter = plant.meter
    followed = [
        meter.mean_w(begin_s + _SETTLING_S, step_s, (end_s - begin_s - _SETTLING_S) // step_s)
        <= _CAP_A * WATTS_PER_AMP * _TOLERATED
        for begin_s, end_s in _AWARDS
        if end_s <= lasts_s
    ]
    (lost_w,) = meter.mean_w(_AWARDS[0][0], _LOST[1] - _AWARDS[0][0], 1)
    return Day(
        delivered_wh=sum(each.delivered_wh for each in plant.outcomes()),
        followed=float(np.concatenate(followed).mean()),
        peak_a=plant.fuse.peak_a,
        above_as=plant.fuse.above_as,
        messages=site.messages,
        lost_w=float(lost_w),
    )


def _awarded(second: float) -> bool:
    return any(begin_s <= second < end_s for begin_s, end_s in _AWARDS)


def _sessions(random: Random) -> list[Session]:
    """Commuters at three plugs of four, some of whom go for lunch and let others in."""
    found = []
    for plug in LOT.plugs:
        at_s = random.uniform(0, 10_000)
        while at_s < _LASTS_S and random.random() < 0.75:
            stays_s = random.choice([random.uniform(1800, 7200), random.uniform(7200, 25_000)])
            arrives = _BEGINS + timedelta(seconds=at_s)
            energy_wh = random.uniform(5_000, 25_000)
            departs = arrives + timedelta(seconds=stays_s)
            found.append(Session(f"{plug.id} {at_s:.0f}", plug.id, arrives, departs, energy_wh))
            at_s += stays_s + random.uniform(10, 1200)
    return found


def _urgency(sessions: list[Session], second: float) -> dict[str, float]:
    """Of those who are there, as far as the cloud knows: what they wanted over the time that they have left."""
    now = _BEGINS + timedelta(seconds=second)
    return {
        each.plug: each.energy_wh / each.max_w / max(60.0, (each.departs - now).total_seconds()) * 3600
        for each in sessions
        if each.arrives <= now < each.departs
    }
