"""What a site could really do of an order, in many scenarios of its drivers at once. Pure.

Drivers come first. In every period each vehicle has what it must have now to get by its announced departure what its
driver asked for, and those at a charger, and all behind the fuse, together at least

    max over departures d of (energy that is expected to be taken by those who leave by d - usable x (d - t)) / h

which would not fit through it any more later. The rest is given out evenly, up to the ordered power and what fuse
and chargers allow. Nobody knows before that a driver leaves early, or that a vehicle is full. Where nobody asks for
anything, the site is not held back.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aggregator_agents.fleet import FloatArray, Site
from aggregator_agents.offering.record import Scenarios
from aggregator_agents.offering.supply import Later, Supply
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
        if not sessions:
            nothing = np.zeros((len(self.scenarios.energy_wh), period.count))
            return Drawn(nothing + self._other_w, nothing.sum(axis=1))
        most_w = np.array([each.max_w for each in sessions])
        begins = np.array([(each.arrives - period.start) / period.resolution for each in sessions])
        said_ends = np.array([(each.departs - period.start) / period.resolution for each in sessions])
        ends = begins + self.scenarios.departs_h / period.hours
        # Who came before the first period has been charging since, as in Session.within.
        before_wh = np.maximum(-begins, 0.0) * period.hours * most_w
        left_wh = np.maximum(self.scenarios.energy_wh - before_wh, 0.0)
        asked_wh = np.array([each.energy_wh for each in sessions])
        owed_wh = np.maximum(asked_wh - before_wh, 0.0) * np.ones_like(left_wh)
        supply = Supply.of(self.site, self.scenarios)
        later_on = Later.of(self.site, self.scenarios, period)
        still_wh = np.maximum(self.scenarios.expected_wh - before_wh, 0.0) * np.ones_like(left_wh)
        power_w = np.zeros((len(left_wh), period.count))
        for t in range(period.count):
            share = np.clip(np.minimum(ends, t + 1) - np.maximum(begins, t), 0.0, 1.0)
            if not share.any():
                continue
            taken_w = supply.fit(np.minimum(most_w * share, left_wh / period.hours))
            if np.isfinite(ceiling_w[:, t]).any():
                later_wh = np.maximum(said_ends - np.maximum(begins, t + 1), 0.0) * period.hours * most_w
                must_w = np.clip((owed_wh - later_wh) / period.hours, 0.0, taken_w)
                wanted_wh = np.where((share > 0) & (left_wh > 0), still_wh, 0.0)
                within_w = np.maximum(ceiling_w[:, t], later_on.least_w(wanted_wh, t))
                taken_w = _below(within_w[:, None], must_w, taken_w)
            power_w[:, t] = taken_w.sum(axis=1)
            left_wh -= taken_w * period.hours
            still_wh = np.maximum(still_wh - taken_w * period.hours, 0.0)
            owed_wh = np.maximum(owed_wh - taken_w * period.hours, 0.0)
        owing = (begins < period.count) & (ends >= said_ends)
        return Drawn(power_w + self._other_w, np.where(owing, left_wh, 0.0).sum(axis=1))


def _below(ceiling_w: FloatArray, must_w: FloatArray, can_w: FloatArray) -> FloatArray:
    """(scenario, session) between what must and what can be drawn, to the ceiling where that is possible."""
    least_w, most_w = must_w.sum(axis=1, keepdims=True), can_w.sum(axis=1, keepdims=True)
    part = np.clip((ceiling_w - least_w) / np.maximum(most_w - least_w, 1e-9), 0.0, 1.0)
    taken: FloatArray = must_w + part * (can_w - must_w)
    return taken
