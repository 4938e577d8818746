"""What a site's chargers and fuse give its vehicles, now and later, in many scenarios at once. Pure."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from aggregator_agents.fleet import WATTS_PER_AMP, FloatArray, Site
from aggregator_agents.offering.record import Scenarios
from api_spec.period import MarketPeriod

BoolArray = np.typing.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Supply:
    """Limits of a site. at : for each phase, (session, charger) amps of a watt that a session draws there [A/W].

    Phases that the same vehicles use are in it once. most_a : (charger,).
    """

    at: tuple[FloatArray, ...]
    most_a: FloatArray
    floor_a: int
    spare_a: int

    @classmethod
    def of(cls, site: Site, scenarios: Scenarios) -> Self:
        """Of a site for its sessions, with the phases that they use."""
        at = np.zeros((3, len(scenarios.sessions), len(site.chargers)))
        place = {each.id: c for c, each in enumerate(site.chargers)}
        for i, each in enumerate(scenarios.sessions):
            charger = site.charger_of(each.plug)
            at[charger.phases_of(each.vehicle), i, place[charger.id]] = 1 / each.vehicle.watts_per_amp
        most_a = np.array([each.max_a for each in site.chargers], dtype=np.float64)
        return cls(tuple(np.unique(at, axis=0)), most_a, site.floor_a, site.spare_a)

    def fit(self, wish_w: FloatArray) -> FloatArray:
        """(scenario, session) the same part of all wishes at a charger, on each phase, so that it and the fuse hold."""
        for at in self.at:
            wished_a = wish_w @ at
            held_a = np.minimum(wished_a, self.most_a)
            above_a = np.maximum(held_a - self.floor_a, 0.0)
            part = np.minimum(1.0, self.spare_a / np.maximum(above_a.sum(axis=1, keepdims=True), 1e-9))
            held_a = held_a - above_a * (1.0 - part)
            missing = 1.0 - held_a / np.maximum(wished_a, 1e-9)
            wish_w = wish_w * (1.0 - np.where(wished_a > 0, missing, 0.0) @ (at > 0).T)
        return wish_w


@dataclass(frozen=True, eq=False)
class Later:
    """What each charger, and the fuse, can give later to those who leave by each expected departure.

    ends : (session,) expected departure [period]. charger : (charger, session) whether it is plugged in there.
    charger_w, usable_w, floor_w, spare_w : of each charger, (charger,), and of the site, as Site has it [W].
    """

    ends: FloatArray
    charger: BoolArray
    charger_w: FloatArray
    usable_w: float
    floor_w: float
    spare_w: float
    hours: float

    @classmethod
    def of(cls, site: Site, scenarios: Scenarios, period: MarketPeriod) -> Self:
        """Of a site for its sessions, in a market's periods."""
        sessions = scenarios.sessions
        begins = np.array([(each.arrives - period.start) / period.resolution for each in sessions])
        charger = np.array([[site.charger_of(each.plug).id == own.id for each in sessions] for own in site.chargers])
        widest = (charger * np.array([each.vehicle.watts_per_amp for each in sessions])).max(axis=1)
        return cls(
            begins + scenarios.expected_h / period.hours,
            charger,
            np.array([each.max_a for each in site.chargers]) * widest,
            site.usable_w,
            site.floor_a * WATTS_PER_AMP,
            site.spare_a * WATTS_PER_AMP,
            period.hours,
        )

    def least_w(self, wanted_wh: FloatArray, t: int) -> FloatArray:
        """(scenario,) what has to be drawn in period t; wanted_wh : (scenario, session) by who is there [Wh]."""
        here = np.flatnonzero(wanted_wh.any(axis=0))
        here = here[np.argsort(self.ends[here], kind="stable")]
        left_h = np.maximum(self.ends[here] - (t + 1), 0.0) * self.hours
        wanted_wh, charger = wanted_wh[:, here], self.charger[:, here]
        in_use, at_chargers_w = np.zeros_like(wanted_wh), np.zeros(len(wanted_wh))
        for own, most_w in zip(charger, self.charger_w, strict=True):
            if own.any():
                by_then_wh = np.cumsum(wanted_wh[:, own], axis=1) - most_w * left_h[own]
                at_chargers_w += np.maximum(by_then_wh.max(axis=1), 0.0) / self.hours
                in_use += np.maximum.accumulate((wanted_wh > 0) & own, axis=1)
        # A charger that nobody uses keeps its floor, so a few vehicles never have the whole fuse.
        most_w = np.minimum(self.usable_w, in_use * self.floor_w + self.spare_w)
        at_fuse_w = (np.cumsum(wanted_wh, axis=1) - most_w * left_h).max(axis=1, initial=0.0) / self.hours
        least_w: FloatArray = np.maximum(at_chargers_w, at_fuse_w)
        return least_w
