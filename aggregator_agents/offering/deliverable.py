"""What a site could really do of an order, in many scenarios of its drivers at once. Pure.

In every period vehicles first get what they must have now, to have by their announced departure what their drivers
asked for; the rest is given out evenly, up to the ordered power and what fuse and chargers allow. Nobody knows before
that a driver leaves early, or that a vehicle is full. Where nobody asks for anything, the site is not held back.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from aggregator_agents.fleet import WATTS_PER_AMP, FloatArray, Site
from aggregator_agents.offering.record import Scenarios
from api_spec.period import MarketPeriod

BoolArray = np.typing.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Drawn:
    """power_w : (scenario, period) mean power at the connection point [W].

    short_wh : (scenario,) what drivers left without who stayed as long as they had said. Who leaves early is owed
    nothing.
    """

    power_w: FloatArray
    short_wh: FloatArray


@dataclass(frozen=True, eq=False)
class Outlook:
    """What may happen at a site in a market's periods.

    baseline_w : (period,) as nominated, of the connection point [W]. window : (period,) where a DSO asks for something.
    other_w : (case, period) what else may be drawn behind the meter, equally likely cases in turn [W]; None = nothing.
    """

    site: Site
    period: MarketPeriod
    scenarios: Scenarios
    baseline_w: FloatArray
    window: BoolArray
    other_w: FloatArray | None = None

    @cached_property
    def free(self) -> Drawn:
        """What is drawn without any order."""
        return self._drawn(np.full((1, self.period.count), np.inf))

    def drawn(self, order_w: FloatArray) -> Drawn:
        """What is drawn when order_w (period,) [W] is to be kept to; and the baseline, in the window."""
        asked = self.window | (order_w != 0)
        return self._drawn(np.where(asked, self.baseline_w + order_w, np.inf)[None] - self._other_w)

    def delivered_w(self, drawn: Drawn, order_w: FloatArray) -> FloatArray:
        """(scenario, period) size of the change in its ordered direction, at most what was ordered [W]."""
        change_w = drawn.power_w - self.baseline_w
        delivered: FloatArray = np.clip(change_w * np.sign(order_w), 0.0, np.abs(order_w))
        return delivered

    @cached_property
    def _other_w(self) -> FloatArray:
        count = len(self.scenarios.energy_wh)
        if self.other_w is None:
            return np.zeros((1, self.period.count))
        return self.other_w[np.arange(count) % len(self.other_w)]

    def _drawn(self, ceiling_w: FloatArray) -> Drawn:
        """ceiling_w : (scenario or 1, period) of the vehicles together [W]."""
        period, sessions = self.period, self.scenarios.sessions
        most_w = np.array([each.max_w for each in sessions])
        begins = np.array([(each.arrives - period.start) / period.resolution for each in sessions])
        said_ends = np.array([(each.departs - period.start) / period.resolution for each in sessions])
        ends = begins + self.scenarios.departs_h / period.hours
        # Who came before the first period has been charging since, as in Session.within.
        before_wh = np.maximum(-begins, 0.0) * period.hours * most_w
        left_wh = np.maximum(self.scenarios.energy_wh - before_wh, 0.0)
        asked_wh = np.array([each.energy_wh for each in sessions])
        owed_wh = np.maximum(asked_wh - before_wh, 0.0) * np.ones_like(left_wh)
        supply = _Supply.of(self.site, self.scenarios)
        power_w = np.zeros((len(left_wh), period.count))
        for t in range(period.count):
            share = np.clip(np.minimum(ends, t + 1) - np.maximum(begins, t), 0.0, 1.0)
            can_w = supply.fit(np.minimum(most_w * share, left_wh / period.hours))
            later_wh = np.maximum(said_ends - np.maximum(begins, t + 1), 0.0) * period.hours * most_w
            must_w = np.clip((owed_wh - later_wh) / period.hours, 0.0, can_w)
            taken_w = _below(ceiling_w[:, t, None], must_w, can_w)
            power_w[:, t] = taken_w.sum(axis=1)
            left_wh -= taken_w * period.hours
            owed_wh = np.maximum(owed_wh - taken_w * period.hours, 0.0)
        owing = (begins < period.count) & (ends >= said_ends)
        return Drawn(power_w + self._other_w, np.where(owing, left_wh, 0.0).sum(axis=1))


@dataclass(frozen=True, eq=False)
class _Supply:
    """Limits of a site. at : (session, charger) 1 where it is plugged in. most_w : (charger,)."""

    at: FloatArray
    most_w: FloatArray
    floor_w: float
    spare_w: float

    @classmethod
    def of(cls, site: Site, scenarios: Scenarios) -> Self:
        own = [site.charger_of(each.plug).id for each in scenarios.sessions]
        at = np.array([[float(id == each.id) for each in site.chargers] for id in own])
        return cls(
            at.reshape(len(own), len(site.chargers)),
            np.array([each.max_a * WATTS_PER_AMP for each in site.chargers]),
            site.floor_a * WATTS_PER_AMP,
            site.spare_a * WATTS_PER_AMP,
        )

    def fit(self, wish_w: FloatArray) -> FloatArray:
        """(scenario, session) the same part of all wishes at a charger, so that its limit and the fuse hold."""
        wished_w = wish_w @ self.at
        held_w = np.minimum(wished_w, self.most_w)
        above_w = np.maximum(held_w - self.floor_w, 0.0)
        part = np.minimum(1.0, self.spare_w / np.maximum(above_w.sum(axis=1, keepdims=True), 1e-9))
        held_w = held_w - above_w * (1.0 - part)
        fitting: FloatArray = wish_w * ((held_w / np.maximum(wished_w, 1e-9)) @ self.at.T)
        return fitting


def _below(ceiling_w: FloatArray, must_w: FloatArray, can_w: FloatArray) -> FloatArray:
    """(scenario, session) between what must and what can be drawn, to the ceiling where that is possible."""
    least_w, most_w = must_w.sum(axis=1, keepdims=True), can_w.sum(axis=1, keepdims=True)
    part = np.clip((ceiling_w - least_w) / np.maximum(most_w - least_w, 1e-9), 0.0, 1.0)
    taken: FloatArray = must_w + part * (can_w - must_w)
    return taken
