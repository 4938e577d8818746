"""From plans to what is put on the market: the nominated baseline, and offers of what it could be instead. Pure.

Each vehicle is an offer of its own. Bounds on power and running energy say exactly what one vehicle can do; of a fleet
they would promise too much, because energy that one vehicle gave up cannot come back through another.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from aggregator_agents.fleet import WATTS_PER_AMP, FloatArray, Session, Site
from aggregator_agents.planning import Plan, Valuation, waited_h
from api_spec.flexibility import EnvelopeTerms
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from api_spec.units import EurPerMwh, Fraction, Message

DEPTHS: Final = (0.25, 0.5, 0.75, 1.0)
_LEAST_WH: Final = 100.0
"""What can move must be worth an offer."""
_PER_MWH: Final = 1e-6


class Asking(Message):
    """How the aggregator asks.

    share : part of the flexibility that is offered; the rest covers drivers who stray from what they said. floor_eur_
    per_mwh : the least that is asked, for wear and effort.
    """

    share: Annotated[Fraction, Field(gt=0)] = 0.9
    floor_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] = Decimal(5)


def nominated(site: Site, planned: Plan) -> BusPower:
    """The plan as a baseline, in whole watts."""
    return BusPower(bus=site.bus, power_w=tuple(int(each) for each in np.rint(planned.total_w)))


def offers(
    site: Site, planned: Plan, period: MarketPeriod, value: Valuation, *, window: tuple[bool, ...], asking: Asking
) -> tuple[EnvelopeTerms, ...]:
    """What the site can do instead of its plan, vehicle by vehicle, in the order of the plan's sessions.

    window : the periods in which a DSO asks for something. Each vehicle's charging there is moved to later, as soon as
    its room allows; what that costs its driver, per MWh of change, is the price. Vehicles that have nothing to move in
    the window make no offer. All offers of a site can be accepted together: see `_rooms`.
    """
    inside = np.array(window)
    rooms = _rooms(site, planned, period)
    made = (
        _offer(site, _Vehicle(session, usual, room, period), value, inside, asking)
        for session, usual, room in zip(planned.sessions, planned.power_w, rooms, strict=True)
    )
    return tuple(each for each in made if each is not None)


@dataclass(frozen=True)
class _Vehicle:
    """One vehicle for itself. usual_w : its plan. room_w : the most it may draw. Both (period,), with room >= usual."""

    session: Session
    usual_w: FloatArray
    room_w: FloatArray
    period: MarketPeriod

    @property
    def energy_wh(self) -> float:
        return float(self.usual_w.sum()) * self.period.hours

    def running_wh(self, power_w: FloatArray) -> FloatArray:
        """(period,) energy at the end of every period [Wh]."""
        running: FloatArray = np.cumsum(power_w) * self.period.hours
        return running

    def soonest_w(self, room_w: FloatArray) -> FloatArray:
        """(period,) charging as early as `room_w` allows; the cheapest for its driver, for whom waiting costs."""
        reached = np.minimum(self.running_wh(room_w), self.energy_wh)
        soonest: FloatArray = np.diff(reached, prepend=0.0) / self.period.hours
        return soonest


def _rooms(site: Site, planned: Plan, period: MarketPeriod) -> Iterator[FloatArray]:
    """(period,) for each session: its plan, and its part of what charger and fuse have left beside all plans [W].

    The parts of the vehicles that are there add up to what is left, so whatever is accepted, no fuse is exceeded.
    """
    most = np.array([each.max_w * each.plugged(period) for each in planned.sessions]).reshape(planned.power_w.shape)
    chargers = np.array([site.charger_of(each.plug) for each in planned.sessions])
    wish = most - planned.power_w
    for charger in set(chargers):
        own = chargers == charger
        wish[own] *= _part(site.charger_a * WATTS_PER_AMP - planned.power_w[own].sum(axis=0), wish[own].sum(axis=0))
    wish *= _part(site.usable_w - planned.total_w, wish.sum(axis=0))
    return iter(planned.power_w + wish)


def _part(left_w: FloatArray, wished_w: FloatArray) -> FloatArray:
    """Which part of a wish can be had, 0 to 1."""
    part: FloatArray = np.clip(left_w, 0.0, None) / np.maximum(wished_w, 1e-9)
    return np.minimum(part, 1.0)


def _offer(
    site: Site, vehicle: _Vehicle, value: Valuation, window: np.typing.NDArray[np.bool_], asking: Asking
) -> EnvelopeTerms | None:
    moved = _moved(vehicle, value, window)
    if moved is None:
        return None
    deepest_w, price = moved
    usual_wh = vehicle.running_wh(vehicle.usual_w)
    power_min, power_max = -vehicle.usual_w, vehicle.room_w - vehicle.usual_w
    # Never further behind than in the plan that made the price, never further ahead than the room allows.
    energy_min = vehicle.running_wh(deepest_w) - usual_wh
    energy_max = vehicle.running_wh(vehicle.soonest_w(vehicle.room_w)) - usual_wh
    return EnvelopeTerms(
        kind="envelope",
        bus=site.bus,
        power_w_min=_whole(asking.share * np.minimum(power_min, 0)),
        power_w_max=_whole(asking.share * np.maximum(power_max, 0)),
        energy_wh_min=_whole(asking.share * np.minimum(energy_min, 0)),
        energy_wh_max=_whole(asking.share * np.maximum(energy_max, 0)),
        price_eur_per_mwh=max(Decimal(f"{price:.2f}"), asking.floor_eur_per_mwh),
    )


def _moved(vehicle: _Vehicle, value: Valuation, window: np.typing.NDArray[np.bool_]) -> tuple[FloatArray, float] | None:
    """The deepest reduction in the window after which the vehicle is still full, and the price of moving [EUR/MWh].

    The price is the highest average cost to the driver over growing depths: cost is convex in depth, so that is the
    deepest one's but for rounding. None where nothing worth an offer can move.
    """
    waiting = value.waiting_eur_per_mwh_hour * waited_h(vehicle.session, vehicle.period)
    deepest, price = None, 0.0
    for depth in DEPTHS:
        plan_w = vehicle.soonest_w(np.where(window, (1 - depth) * vehicle.usual_w, vehicle.room_w))
        change = plan_w - vehicle.usual_w
        moved_wh = float(np.abs(change).sum()) * vehicle.period.hours
        short_wh = vehicle.energy_wh - float(plan_w.sum()) * vehicle.period.hours
        if short_wh > 1.0 or moved_wh < _LEAST_WH:
            break
        cost_eur = float(waiting @ change) * vehicle.period.hours * _PER_MWH
        deepest, price = plan_w, max(price, cost_eur / (moved_wh * _PER_MWH))
    return None if deepest is None else (deepest, price)


def _whole(values: FloatArray) -> tuple[int, ...]:
    """Whole watts or watt-hours, never more than there is."""
    return tuple(int(each) for each in np.trunc(values))
