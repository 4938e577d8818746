"""What a plan is asked for: who charges where, what energy and going without cost, and what was sold. Frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import Field

from aggregator_agents.fleet import PHASE_V, FloatArray, Session, Site
from aggregator_agents.planning.grid import Grid
from api_spec.period import MarketPeriod
from api_spec.tariffs import TariffPrices
from api_spec.units import Fraction, Message, NonNegative, Positive, Real

BoolArray = np.typing.NDArray[np.bool_]
_RISING: Final = np.array([1.0, 1.0, 1.75, 5.0])
"""What missing a quarter of the wanted energy costs, and the next one, in terms of the first: the fairness knob."""
_NEARLY: Final = 0.1
"""Who misses less than this part of what was wanted counts as one who misses so much."""

How = Literal["optimal", "relaxed", "water-fill"]
"""How a plan came about: proven within the gap asked for; rounded from the linear programme, or the best that was found
in time; shared out without a solver."""


class Valuation(Message):
    """What energy, waiting and going without are worth to drivers [EUR/MWh].

    price_eur_per_mwh : of energy at any time. waiting_eur_per_mwh_hour : what an MWh loses in worth for every hour
    after arrival. shortfall_eur_per_mwh : compensation for energy that a driver asked for and did not get. fairness :
    0 where every missing MWh counts the same, whoever misses it; 1 where every driver counts the same; see
    Problem.missing_eur_per_mwh. wear_eur_per_mwh : of a battery, per MWh that it feeds back. switching_eur : what it
    costs to stop a vehicle that is on and not done; starting one costs as much later, so it does not count.
    """

    price_eur_per_mwh: Real = 0.0
    waiting_eur_per_mwh_hour: Annotated[Positive, Field(le=1e4)] = 10.0
    shortfall_eur_per_mwh: NonNegative = 2000.0
    fairness: Fraction = 0.0
    wear_eur_per_mwh: NonNegative = 60.0
    switching_eur: Annotated[NonNegative, Field(le=100)] = 0.05


@dataclass(frozen=True, eq=False)
class Corridor:
    """Where power should stay, (step,) each.

    ceiling_w, floor_w : [W], infinite where there is none. missed_eur_per_mwh : price of leaving, per MWh outside.
    """

    ceiling_w: FloatArray
    floor_w: FloatArray
    missed_eur_per_mwh: FloatArray

    def on(self, grid: Grid, period: MarketPeriod) -> Self:
        """The corridor of a market's periods on the steps of a plan; none outside of them."""
        return type(self)(
            grid.sample(period, self.ceiling_w, otherwise=np.inf),
            grid.sample(period, self.floor_w, otherwise=-np.inf),
            grid.sample(period, self.missed_eur_per_mwh, otherwise=0.0),
        )


@dataclass(frozen=True, eq=False)
class Prices:
    """Of energy at the connection, (step,) each [EUR/MWh]: bought, and sold for at most as much."""

    buy_eur_per_mwh: FloatArray
    sell_eur_per_mwh: FloatArray

    def __post_init__(self) -> None:
        """ValueError where selling earns more than buying costs: such a plan would turn energy round for ever."""
        if (self.sell_eur_per_mwh > self.buy_eur_per_mwh + 1e-9).any():
            raise ValueError("energy must not be sold for more than it costs")

    @classmethod
    def bought(cls, buy_eur_per_mwh: FloatArray) -> Self:
        """Feeding in earns nothing, or costs what consuming earns."""
        return cls(buy_eur_per_mwh, np.minimum(buy_eur_per_mwh, 0.0))


@dataclass(frozen=True, eq=False)
class Peak:
    """A price of the highest import among some steps (capacity component of a tariff, or a critical window).

    price_eur_per_kw : for every kW above so_far_w, the highest import until now. counts : (step,) whether a step does.
    Every step counts as if it were one metering interval, so that a bill is never higher than the plan thought.
    """

    price_eur_per_kw: float
    so_far_w: float
    counts: BoolArray


@dataclass(frozen=True)
class AtPlug:
    """What is known of a vehicle that is plugged in.

    signal_a : signalled now, per phase [A]; negative discharges. charged_wh : what its session got already [Wh].
    phases : of the site that it was seen to draw on; None while that is unknown, which counts on all three.
    """

    signal_a: int = 0
    charged_wh: float = 0.0
    phases: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """A plan is asked for.

    other_a : (3, step) what everything else behind the fuse draws on each phase [A], feeding in (PV) is negative; None
    where it is not measured: then site.other_a counts for the fuse, and nothing for power and prices. export_a : what
    the connection may feed in at most, per phase [A]; None = as much as it may draw. corridor : of the power at the
    connection, everything behind it together. at_plug : by session, for those that are plugged in. whole : whether
    the first step is to be whole amps that can be signalled; for those plugged in at its beginning.
    """

    site: Site
    grid: Grid
    sessions: tuple[Session, ...]
    value: Valuation
    prices: Prices
    other_a: FloatArray | None = None
    export_a: int | None = None
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
        return np.array([max(0.0, each.energy_wh) for each in self.sessions])

    @cached_property
    def room_a(self) -> FloatArray:
        """(3, step) what all chargers together may draw [A]; below 0 where the rest draws too much already.

        What feeds in behind the fuse does not count: it can vanish sooner than a lease.
        """
        most_a = float(self.site.fuse_a - self.site.margin_a)
        if self.other_a is None:
            return np.full((3, self.grid.count), most_a - self.site.other_a)
        room: FloatArray = most_a - np.maximum(self.other_a, 0.0)
        return room

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


def tariff_on(period: MarketPeriod, known: TariffPrices | None) -> FloatArray:
    """(period,) energy price of a tariff [EUR/MWh]; where it is not known, the mean of what is; 0 without a tariff."""
    if known is None:
        return np.zeros(period.count)
    prices = np.array(known.energy_eur_per_mwh, dtype=np.float64)
    return Grid.of(period).sample(known.period, prices, otherwise=float(prices.mean()))


def waited_h(session: Session, period: MarketPeriod) -> FloatArray:
    """(period,) hours from arrival to the middle of each period; 0 before."""
    hours: FloatArray = Grid.of(period).waited_h([session])[0]
    return hours
