"""What a site delivers of an order on a day as it really was: least laxity first, vehicle by vehicle.

Knows what drivers announced; that a vehicle is full or gone it learns when it happens. Shares nothing with the code
that made the offer.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from aggregator_agents.fleet import WATTS_PER_AMP, Site
from aggregator_agents.straying import Stay
from api_spec.period import MarketPeriod


@dataclass
class _Vehicle:
    """share : of every period in which it is there. left_wh : it takes; owed_wh : of what its driver asked for [Wh]."""

    stay: Stay
    share: list[float]
    said_share: list[float]
    left_wh: float
    owed_wh: float

    def must_w(self, t: int, hours: float) -> float:
        """What it has to draw now to have by its announced departure what was asked for [W]."""
        later_wh = sum(self.said_share[t + 1 :]) * hours * self.stay.said.max_w
        return max(0.0, self.owed_wh - later_wh) / hours

    def laxity_h(self, t: int, hours: float) -> float:
        """How long it could wait before it has to charge at full power [h]."""
        return sum(self.said_share[t:]) * hours - self.owed_wh / self.stay.said.max_w

    def can_w(self, t: int, hours: float) -> float:
        return min(self.stay.did.max_w * self.share[t], self.left_wh / hours)

    def take(self, power_w: float, hours: float) -> None:
        self.left_wh -= power_w * hours
        self.owed_wh = max(0.0, self.owed_wh - power_w * hours)


class _Room:
    """What is free in one period; checked charger by charger as Site.spare_a has it."""

    def __init__(self, site: Site) -> None:
        self.site, self.drawn_w = site, defaultdict[str, float](float)

    def give(self, plug: str, wish_w: float) -> float:
        charger = self.site.charger_of(plug)
        floor_w, own_w = self.site.floor_a * WATTS_PER_AMP, self.drawn_w[charger.id]
        held_w = sum(max(floor_w, self.drawn_w[each.id]) for each in self.site.chargers)
        free_w = self.site.usable_w - held_w + max(0.0, floor_w - own_w)
        given_w = max(0.0, min(wish_w, charger.max_a * WATTS_PER_AMP - own_w, free_w))
        self.drawn_w[charger.id] += given_w
        return given_w


def power_of_day(
    site: Site, stays: Sequence[Stay], period: MarketPeriod, ceiling_w: Sequence[float] | None = None
) -> list[float]:
    """(period,) mean power of the site [W], below the ceiling as far as drivers get what they asked for."""
    vehicles = list(_vehicles(stays, period))
    return [
        _step(site, vehicles, t, period.hours, inf if ceiling_w is None else ceiling_w[t]) for t in range(period.count)
    ]


def delivered_wh(power_w: Sequence[float], base_w: Sequence[float], order_w: Sequence[float], hours: float) -> float:
    """What is delivered of an order: in each period in its direction, at most what was ordered [Wh]."""
    return hours * sum(
        min(order, max(0.0, power - base)) if order > 0 else min(-order, max(0.0, base - power))
        for power, base, order in zip(power_w, base_w, order_w, strict=True)
    )


def _vehicles(stays: Sequence[Stay], period: MarketPeriod) -> Iterator[_Vehicle]:
    for stay in stays:
        yield _Vehicle(
            stay,
            stay.did.plugged(period).tolist(),
            stay.said.plugged(period).tolist(),
            stay.did.within(period).energy_wh if stay.did.arrives < period.start else stay.did.energy_wh,
            stay.said.within(period).energy_wh if stay.said.arrives < period.start else stay.said.energy_wh,
        )


def _step(site: Site, vehicles: Sequence[_Vehicle], t: int, hours: float, ceiling_w: float) -> float:
    here = [each for each in vehicles if each.share[t] > 0 and each.left_wh > 0]
    here.sort(key=lambda each: (each.laxity_h(t, hours), each.stay.said.id))
    room, total_w = _Room(site), 0.0
    taken_w = dict.fromkeys((id(each) for each in here), 0.0)
    for ceiling in (inf, ceiling_w):
        for each in here:
            goal_w = each.can_w(t, hours)
            if ceiling is inf and ceiling_w < inf:
                goal_w = min(goal_w, each.must_w(t, hours))
            wish_w = min(goal_w - taken_w[id(each)], max(0.0, ceiling - total_w))
            given_w = room.give(each.stay.said.plug, wish_w)
            taken_w[id(each)] += given_w
            total_w += given_w
    for each in here:
        each.take(taken_w[id(each)], hours)
    return total_w
