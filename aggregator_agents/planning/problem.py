"""A plan is asked for: who charges where, on which terms; and what follows from that, as arrays. Frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from aggregator_agents.fleet import PHASE_V, FloatArray, Session, Site
from aggregator_agents.planning.grid import Grid
from aggregator_agents.planning.terms import AtPlug, BoolArray, Corridor, Peak, Prices, Valuation

_RISING: Final = np.array([1.0, 1.0, 1.75, 5.0])
"""What missing a quarter of the wanted energy costs, and the next one, in terms of the first: the fairness knob."""
_NOTHING_WH: Final = 0.01
"""Who wants less is full: rounding leaves crumbs."""
_NEARLY: Final = 0.1
"""Who misses less than this part of what was wanted counts as one who misses so much."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A plan is asked for.

    other_a : (3, step) what everything else behind the fuse draws on each phase [A], feeding in (PV) is negative; None
    where it is not measured: then site.other_a counts for the fuse, and nothing for power and prices. export_a : what
    the connection may feed in at most, per phase [A]; None = as much as it may draw. most_w : (step,) what the
    connection may draw at most by contract, a third of it on each phase [W]; None = as much as the fuse carries.
    corridor : of the power at the connection, everything behind it together. at_plug : by session, for those that are
    plugged in. whole : whether the first step is to be whole amps that can be signalled; for those plugged in at its
    beginning.
    """

    site: Site
    grid: Grid
    sessions: tuple[Session, ...]
    value: Valuation
    prices: Prices
    other_a: FloatArray | None = None
    export_a: int | None = None
    most_w: FloatArray | None = None
    corridor: Corridor | None = None
    peaks: tuple[Peak, ...] = ()
    at_plug: Mapping[str, AtPlug] = field(default_factory=dict)
    whole: bool = True

    @cached_property
    def share(self) -> FloatArray:
        """(session, step) part of the step at the plug."""
        return self.grid.share(self.sessions)

    @cached_property
    def present(self) -> BoolArray:
        """(session,) whether its first step is to be whole amps."""
        here = [self.whole and each.arrives <= self.grid.start for each in self.sessions]
        return np.array(here, dtype=np.bool_) & (self.share[:, 0] > 0)

    @cached_property
    def signal_a(self) -> FloatArray:
        """(session,) signalled now; 0 for those that are not plugged in [A]."""
        return np.array([self.at_plug.get(each.id, AtPlug()).signal_a for each in self.sessions], dtype=np.float64)

    @cached_property
    def uses(self) -> BoolArray:
        """(session, phase) the phases of the site that a vehicle's amps count on."""
        uses = np.zeros((len(self.sessions), 3), dtype=np.bool_)
        for own, session in zip(uses, self.sessions, strict=True):
            seen = self.at_plug.get(session.id)
            if seen is None:
                own[list(self.site.charger_of(session.plug).phases_of(session.vehicle))] = True
            else:
                own[list(seen.phases or (0, 1, 2))] = True
        return uses

    @cached_property
    def max_a(self) -> FloatArray:
        """(session,) the most that vehicle, plug and supply allow [A]."""
        most_a = {plug.id: min(plug.max_a, charger.max_a) for charger in self.site.chargers for plug in charger.plugs}
        return np.array([min(each.vehicle.max_a, most_a[each.plug]) for each in self.sessions], dtype=np.float64)

    @cached_property
    def min_a(self) -> FloatArray:
        """(session,) the least that it charges with [A]."""
        return np.array([each.vehicle.min_a for each in self.sessions], dtype=np.float64)

    @cached_property
    def watts_per_amp(self) -> FloatArray:
        """(session,) [W/A]."""
        return np.array([each.vehicle.watts_per_amp for each in self.sessions])

    @cached_property
    def wanted_wh(self) -> FloatArray:
        """(session,) [Wh]."""
        return np.array([each.energy_wh if each.energy_wh > _NOTHING_WH else 0.0 for each in self.sessions])

    @cached_property
    def room_a(self) -> FloatArray:
        """(3, step) what all chargers together may draw [A]; below 0 where the rest draws too much already.

        What feeds in behind the fuse does not count: it can vanish sooner than a lease.
        """
        most_a = float(self.site.fuse_a - self.site.margin_a)
        other_a = np.full((3, self.grid.count), self.site.other_a) if self.other_a is None else self.other_a
        room: FloatArray = most_a - np.maximum(other_a, 0.0)
        if self.most_w is None:
            return room
        # The fuse carries what is not measured behind it as well; the contract is about what is.
        measured_a = np.zeros_like(other_a) if self.other_a is None else np.maximum(self.other_a, 0.0)
        return np.minimum(room, self.most_w / (3 * PHASE_V) - measured_a)

    @cached_property
    def spare_a(self) -> FloatArray:
        """(3, step) what all chargers together may draw above site.floor_a each [A]; see Site.spare_a.

        Where chargers yield their floors, only those with a vehicle have one.
        """
        site = self.site
        floors = np.full(self.grid.count, len(site.chargers))
        if site.yields_floors:
            number = {charger.id: c for c, charger in enumerate(site.chargers)}
            used = np.zeros((len(site.chargers), self.grid.count), dtype=np.bool_)
            for session, share in zip(self.sessions, self.share, strict=True):
                used[number[site.charger_of(session.plug).id]] |= share > 0
            floors = used.sum(axis=0)
        spare: FloatArray = self.room_a - site.floor_a * floors
        return spare

    @cached_property
    def feed_a(self) -> FloatArray:
        """(3, step) what all vehicles together may feed back [A]: through the fuse, and out of the connection.

        What draws behind the fuse does not count for the fuse: it can stop sooner than a lease.
        """
        most_a = float(self.site.fuse_a - self.site.margin_a)
        other = np.zeros((3, self.grid.count)) if self.other_a is None else self.other_a
        out_a = np.inf if self.export_a is None else self.export_a + other
        feed: FloatArray = np.maximum(np.minimum(most_a + np.minimum(other, 0.0), out_a), 0.0)
        return feed

    @cached_property
    def other_w(self) -> FloatArray:
        """(step,) power of everything else behind the connection [W]."""
        if self.other_a is None:
            return np.zeros(self.grid.count)
        power: FloatArray = self.other_a.sum(axis=0) * PHASE_V
        return power

    @cached_property
    def feeds_back(self) -> BoolArray:
        """(session,) whether a vehicle discharges at all."""
        return np.array([each.vehicle.discharge_a > 0 for each in self.sessions], dtype=np.bool_)

    @cached_property
    def capacity_wh(self) -> FloatArray:
        """(session,) the most that is in the battery [Wh]: what it holds, or what its driver wants, where unknown."""
        holds = [each.vehicle.battery_wh for each in self.sessions]
        asked = [each.stored_wh + each.vehicle.efficiency * max(0.0, each.energy_wh) for each in self.sessions]
        full = [wants if known is None else known for known, wants in zip(holds, asked, strict=True)]
        return np.maximum(full, [each.stored_wh for each in self.sessions])

    @cached_property
    def target_wh(self) -> FloatArray:
        """(session,) what is to be stored at departure [Wh]; a negative energy_wh is what its driver can spare."""
        stored_wh = np.array([each.stored_wh for each in self.sessions])
        efficiency = np.array([each.vehicle.efficiency for each in self.sessions])
        spared_wh = np.minimum([each.energy_wh for each in self.sessions], 0.0)
        target: FloatArray = np.maximum(stored_wh + efficiency * self.wanted_wh + spared_wh, 0.0)
        return target

    @cached_property
    def takes_wh(self) -> FloatArray:
        """(session,) the most that it takes at the plug before it feeds anything back [Wh]."""
        stored = np.array([each.stored_wh for each in self.sessions])
        efficiency = np.array([each.vehicle.efficiency for each in self.sessions])
        takes: FloatArray = np.where(self.feeds_back, (self.capacity_wh - stored) / efficiency, self.wanted_wh)
        return takes

    @cached_property
    def amp_wh(self) -> FloatArray:
        """(session, step) energy at the plug of one amp [Wh]: n V h, as long as it is there.

        A vehicle that is full before the end of a first step of whole amps at its minimum charges for a shorter time.
        """
        energy: FloatArray = self.watts_per_amp[:, None] * self.share * self.grid.length_h
        energy[:, 0] = np.where(self.present, np.minimum(energy[:, 0], self.takes_wh / self.min_a), energy[:, 0])
        return energy

    @cached_property
    def asked_wh(self) -> FloatArray:
        """(session,) wanted before it got anything [Wh]."""
        charged = [self.at_plug.get(each.id, AtPlug()).charged_wh for each in self.sessions]
        return self.wanted_wh + np.maximum(charged, 0.0)

    @cached_property
    def missing_wh(self) -> FloatArray:
        """(session, part) width of the parts of what was asked for [Wh]; the part that is missed first comes first."""
        parts = 1 if self.value.fairness == 0 else len(_RISING)
        return np.repeat(self.asked_wh[:, None] / parts, parts, axis=1)

    @cached_property
    def missing_eur_per_mwh(self) -> FloatArray:
        """(session, part) what missing each part costs, rising from part to part: c_1 <= ... <= c_G.

        priority x shortfall x (mean size / size)^fairness x (1 + fairness (rising - 1)), where the size of a demand is
        the geometric mean of what was asked for and what is still wanted: the smaller and the nearer to its end it is,
        the sooner it is finished; and nobody is left with next to nothing before others miss half.
        """
        fairness = self.value.fairness
        priority = np.array([each.priority for each in self.sessions]) * self.value.shortfall_eur_per_mwh
        if fairness == 0:
            return priority[:, None]
        size_wh = np.sqrt(self.asked_wh * np.maximum(self.wanted_wh, _NEARLY * self.asked_wh))
        some = size_wh > 0
        relative = (
            np.where(some, size_wh[some].mean() / np.where(some, size_wh, 1.0), 1.0) if some.any() else some + 1.0
        )
        return np.outer(priority * relative**fairness, 1 + fairness * (_RISING - 1))

    @cached_property
    def energy_eur_per_mwh(self) -> FloatArray:
        """(session, step) what charging costs the driver: energy, and having waited for it."""
        waiting = self.value.waiting_eur_per_mwh_hour * self.grid.waited_h(self.sessions)
        cost: FloatArray = self.prices.buy_eur_per_mwh + waiting
        return cost

    @cached_property
    def hurry_eur_per_mwh(self) -> FloatArray:
        """(session, step) what putting off costs on top where whole amps are decided, for every hour from now.

        waiting x ((1 - fairness) urgency + fairness / (1 + hours left)), 0 for those that feed back, which charge for
        others as well. Where every missing MWh counts the same, the one with the least time to spare goes first, so
        that nobody is left at the end who could have used room that others did not need. Where every driver counts the
        same, of equal ones whoever leaves first goes first: those that stay can use room later.
        """
        if not self.whole:
            return np.zeros(self.share.shape)
        middle_h = (self.grid.edges_h[1:] + self.grid.edges_h[:-1]) / 2
        possible_wh = self.max_a * self.amp_wh.sum(axis=1)
        urgency = np.minimum(self.wanted_wh / np.maximum(possible_wh, 1.0), 1.0)
        leaving = 1.0 / (1.0 + self.share @ self.grid.length_h)
        fairness = self.value.fairness
        haste = np.where(self.feeds_back, 0.0, (1 - fairness) * urgency + fairness * leaving)
        hurry: FloatArray = self.value.waiting_eur_per_mwh_hour * np.outer(haste, middle_h)
        return hurry
