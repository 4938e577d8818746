"""One envelope around what a site could do instead of its plan. Pure.

Bounds on power and running energy say exactly what one vehicle can do. Of a fleet they promise more: energy that one
vehicle gave up cannot come back through another, so what clearing makes of them may earn a penalty. They leave clearing
all freedom of time and keep to the fuse; blocks (aggregator_agents.offering.ladder) promise only what can be kept.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from aggregator_agents.fleet import WATTS_PER_AMP, FloatArray, Session, Site
from aggregator_agents.offering.asking import Asking
from aggregator_agents.planning import Plan, Valuation, waited_h
from aggregator_agents.planning.terms import BoolArray
from api_spec.flexibility import EnvelopeTerms
from api_spec.period import MarketPeriod

DEPTHS: Final = (0.25, 0.5, 0.75, 1.0)
_LEAST_MWH: Final = 1e-4
"""What can move must be worth an offer."""
_PER_MWH: Final = 1e-6


def offer(
    site: Site,
    planned: Plan,
    period: MarketPeriod,
    value: Valuation,
    *,
    window: tuple[bool, ...],
    asking: Asking,
    price_cap: Decimal,
    most_w: FloatArray | None = None,
    spread_eur_per_mwh: float = 0.0,
) -> EnvelopeTerms | None:
    """What the site can do instead of its plan, as the sum of what each vehicle can do.

    None where nothing can move, or only above the product's price cap [EUR/MWh].

    window : the periods in which a DSO asks for something. Charging there is moved to later, as soon as each vehicle's
    room allows. The price is what that costs the drivers, per MWh of change. spread_eur_per_mwh : between the highest
    and the lowest price of energy: the most that an MWh loses by being moved, of which each of its two changes bears
    half. most_w : (period,) what the connection may draw at most by contract [W]; absent = what its fuse carries.
    """
    inside = np.array(window)
    carried_w = np.full(period.count, site.usable_w) if most_w is None else np.minimum(most_w, site.usable_w)
    rooms = _rooms(site, planned, period, carried_w)
    vehicles = [
        _Vehicle(session, usual, room, period)
        for session, usual, room in zip(planned.sessions, planned.power_w, rooms, strict=True)
    ]
    moved = [(each, deepest) for each in vehicles if (deepest := _deepest(each, inside)) is not None]
    if not moved:
        return None
    usual_w = sum((each.usual_w for each, _ in moved), np.zeros(period.count))
    room_w = sum((each.room_w for each, _ in moved), np.zeros(period.count))
    # Never further behind than in the plan that made the price: who has left cannot take what is still missing.
    behind_wh = sum((each.running_wh(plan_w - each.usual_w) for each, plan_w in moved), np.zeros(period.count))
    ahead_wh = sum((each.running_wh(each.soonest_w(each.room_w) - each.usual_w) for each, _ in moved), 0 * behind_wh)
    moving = _moving(behind_wh, ahead_wh)
    cost_eur = sum(each.cost_eur(plan_w, value) for each, plan_w in moved)
    price = Decimal(f"{cost_eur / sum(each.moved_mwh(plan_w) for each, plan_w in moved):.2f}")
    asked = max(price + Decimal(f"{spread_eur_per_mwh / 2:.2f}"), asking.floor_eur_per_mwh)
    if asked > price_cap:
        return None
    return EnvelopeTerms(
        kind="envelope",
        bus=site.bus,
        power_w_min=_whole(asking.share * np.where(moving, -usual_w, 0.0)),
        power_w_max=_whole(asking.share * np.where(moving, room_w - usual_w, 0.0)),
        energy_wh_min=_whole(asking.share * np.minimum(behind_wh, 0)),
        energy_wh_max=_whole(asking.share * np.maximum(ahead_wh, 0)),
        price_eur_per_mwh=asked,
    )


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

    def filled_by(self, power_w: FloatArray) -> bool:
        """Whether it gets all of its energy, to a watt-hour."""
        return self.energy_wh - float(power_w.sum()) * self.period.hours <= 1.0

    def moved_mwh(self, plan_w: FloatArray) -> float:
        """Energy by which `plan_w` differs from the usual plan, up and down together [MWh]."""
        return float(np.abs(plan_w - self.usual_w).sum()) * self.period.hours * _PER_MWH

    def cost_eur(self, plan_w: FloatArray, value: Valuation) -> float:
        """What the driver's longer wait in `plan_w` costs [EUR]."""
        waiting = value.waiting_eur_per_mwh_hour * waited_h(self.session, self.period)
        return float(waiting @ (plan_w - self.usual_w)) * self.period.hours * _PER_MWH


def _rooms(site: Site, planned: Plan, period: MarketPeriod, carried_w: FloatArray) -> Iterator[FloatArray]:
    """(period,) for each session: its plan, and its part of what charger and connection have left beside all plans [W].

    The parts of the vehicles that are there add up to what is left, so whatever is accepted, no fuse is exceeded, also
    when chargers lose contact.
    """
    most = np.array([each.max_w * each.plugged(period) for each in planned.sessions]).reshape(planned.power_w.shape)
    at = np.array([[site.charger_of(each.plug) == charger for each in planned.sessions] for charger in site.chargers])
    usual_w, wish_w = at @ planned.power_w, at @ (most - planned.power_w)
    part = at.T @ _part(np.array([[each.max_a] for each in site.chargers]) * WATTS_PER_AMP - usual_w, wish_w)
    wish = (most - planned.power_w) * part
    wish *= _part(carried_w - planned.total_w, wish.sum(axis=0))
    # What is above floor_a at each charger is convex in the wish, so that this part of it keeps to spare_a.
    above_w, wished_w = (_above_safe_w(site, at @ each) for each in (planned.power_w, planned.power_w + wish))
    wish *= _part(site.spare_a * WATTS_PER_AMP - above_w, wished_w - above_w)
    return iter(planned.power_w + wish)


def _above_safe_w(site: Site, charger_w: FloatArray) -> FloatArray:
    """(period,) what the chargers draw above what they fall back to, together [W]; charger_w : (charger, period)."""
    above: FloatArray = np.maximum(charger_w - site.floor_a * WATTS_PER_AMP, 0.0).sum(axis=0)
    return above


def _part(left_w: FloatArray, wished_w: FloatArray) -> FloatArray:
    """Which part of a wish can be had, 0 to 1."""
    part: FloatArray = np.clip(left_w, 0.0, None) / np.maximum(wished_w, 1e-9)
    return np.where(wished_w <= left_w, 1.0, part)


def _deepest(vehicle: _Vehicle, window: BoolArray) -> FloatArray | None:
    """(period,) plan with the deepest reduction in the window after which the vehicle is still full; None without.

    A window may be too long to move a quarter of what is charged in it past its end. Then charging stops for as much of
    its beginning as can be made up for until departure, in the rest of the window too: limits hold there, but clearing
    knows how much room they leave, and an aggregator does not.
    """
    deepest = None
    for depth in DEPTHS:
        plan_w = vehicle.soonest_w(np.where(window, (1 - depth) * vehicle.usual_w, vehicle.room_w))
        if not vehicle.filled_by(plan_w) or vehicle.moved_mwh(plan_w) < _LEAST_MWH:
            break
        deepest = plan_w
    return _paused(vehicle, window) if deepest is None else deepest


def _paused(vehicle: _Vehicle, window: BoolArray) -> FloatArray | None:
    """(period,) plan that charges nothing in as many of the window's first periods as can be made up for later."""

    def after(count: int) -> FloatArray:
        pausing = window & (np.cumsum(window) <= count)
        return vehicle.soonest_w(np.where(pausing, 0.0, vehicle.room_w))

    # The longer the pause, the less is charged by the end.
    longest = bisect_left(range(int(window.sum()) + 1), True, key=lambda count: not vehicle.filled_by(after(count))) - 1
    plan_w = after(max(longest, 0))
    behind_wh = -vehicle.running_wh(plan_w - vehicle.usual_w).min(initial=0.0)
    return plan_w if behind_wh >= _LEAST_MWH / _PER_MWH else None


def _moving(behind_wh: FloatArray, ahead_wh: FloatArray) -> BoolArray:
    """(period,) where running energy has room at the beginning or at the end; elsewhere no power can change."""
    wide = (ahead_wh >= 1.0) | (behind_wh <= -1.0)
    moving: BoolArray = wide | np.concatenate([[False], wide[:-1]])
    return moving


def _whole(values: FloatArray) -> tuple[int, ...]:
    """Whole watts or watt-hours, never more than there is."""
    return tuple(int(each) for each in np.trunc(values))
