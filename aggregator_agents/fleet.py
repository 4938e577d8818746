"""Sites, chargers, plugs and vehicles of an aggregator, and the sessions that drivers ask for. Frozen; times are aware.

Amps are per phase and, unless it says otherwise, of the phases of the site: L1, L2, L3 are 0, 1, 2. Charging is
positive, discharging negative. One amp on one phase is PHASE_V watts (the amps <-> watts door).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from api_spec.period import MarketPeriod

PHASE_V: Final = 230.0
WATTS_PER_AMP: Final = 3 * PHASE_V
"""Of a vehicle on three phases."""
MIN_A: Final = 6
"""The lowest current that the control pilot can signal (IEC 61851-1); 1 to 5 A do not exist."""

LEAST_FED_A: Final = 1
"""The lowest current that a vehicle feeds back: it is agreed on over ISO 15118, not signalled by the control pilot."""

FloatArray = npt.NDArray[np.float64]
PhaseAmps = tuple[float, float, float]
"""Current on L1, L2, L3 of the site [A]."""

Rotation = Literal["RST", "RTS", "SRT", "STR", "TRS", "TSR"]
"""Which phases of the site (R is L1) are behind terminals 1, 2, 3 of a charger; as OCPP names it."""
ROTATIONS: Final[tuple[Rotation, ...]] = get_args(Rotation)


@dataclass(frozen=True)
class Plug:
    """One socket. max_a : of plug and cable, per phase [A]."""

    id: str
    charger: str
    max_a: int = 16


@dataclass(frozen=True)
class Charger:
    """Plugs behind one supply. max_a : of the supply, shared by its plugs, per phase [A]."""

    id: str
    plugs: tuple[Plug, ...]
    max_a: int = 16
    rotation: Rotation = "RST"

    @property
    def terminals(self) -> tuple[int, int, int]:
        """The phase of the site behind each terminal."""
        first, second, third = ("RST".index(each) for each in self.rotation)
        return first, second, third

    def phases_of(self, vehicle: "Vehicle") -> tuple[int, ...]:
        """The site's phases that a vehicle draws on: it uses the first terminals of its plug."""
        return self.terminals[: vehicle.phases]


@dataclass(frozen=True)
class Site:
    """Chargers behind one fuse at one bus of the network.

    fuse_a : per phase [A]. other_a : what everything else behind the fuse may draw at most, per phase [A], which
    counts wherever it is not measured. margin_a : of the fuse that is left unused, per phase [A]. fallback_a : the most
    that a charger draws without any coordination, per phase [A]; None for an equal share. What is kept for falling back
    cannot be moved to other chargers; where yields_floors, but while nobody at a charger wants energy. That is only for
    chargers with a virtual aggregator of their own, which promise not to fall back to more than nothing for a while.
    """

    bus: str
    fuse_a: int
    chargers: tuple[Charger, ...]
    other_a: int = 0
    margin_a: int = 0
    fallback_a: int | None = None
    yields_floors: bool = False

    @classmethod
    def of(
        cls,
        bus: str,
        *,
        chargers: int,
        plugs_per_charger: int,
        fuse_a: int,
        charger_a: int = 16,
        other_a: int = 0,
        margin_a: int = 0,
        fallback_a: int | None = None,
        rotations: tuple[Rotation, ...] = ("RST",),
    ) -> Self:
        """A site of equal chargers, numbered from 1: plug `lot-3-2` is the second of the third charger at bus `lot`.

        rotations : of the chargers in turn, from the first again when there are more chargers.
        """
        alike = []
        for number in range(1, chargers + 1):
            id = f"{bus}-{number}"
            plugs = tuple(Plug(f"{id}-{plug}", id, charger_a) for plug in range(1, plugs_per_charger + 1))
            alike.append(Charger(id, plugs, charger_a, rotations[(number - 1) % len(rotations)]))
        return cls(bus, fuse_a, tuple(alike), other_a, margin_a, fallback_a)

    @cached_property
    def plugs(self) -> tuple[Plug, ...]:
        """All plugs, charger by charger."""
        return tuple(plug for charger in self.chargers for plug in charger.plugs)

    @cached_property
    def _by_plug(self) -> dict[str, Charger]:
        return {plug.id: charger for charger in self.chargers for plug in charger.plugs}

    def charger_of(self, plug: str) -> Charger:
        """The charger that a plug belongs to."""
        return self._by_plug[plug]

    @property
    def usable_a(self) -> int:
        """What the fuse leaves to all plugs together while nothing is known of the other load, per phase [A]."""
        return max(0, self.fuse_a - self.margin_a - self.other_a)

    @property
    def floor_a(self) -> int:
        """What every charger may draw at the same time without any coordination, per phase [A]; 0 or at least MIN_A."""
        if not self.chargers:
            return 0
        floor_a = min(*(each.max_a for each in self.chargers), self.usable_a // len(self.chargers))
        if self.fallback_a is not None:
            floor_a = min(floor_a, self.fallback_a)
        return floor_a if floor_a >= MIN_A else 0

    @property
    def spare_a(self) -> int:
        """What all chargers together may draw above `floor_a` each, per phase [A].

        Any of them may lose contact and fall back to floor_a: the fuse holds in every mixture as long as
        sum over chargers of max(floor_a, drawn) <= usable_a.
        """
        return self.usable_a - len(self.chargers) * self.floor_a

    @property
    def usable_w(self) -> float:
        """The same as power [W]."""
        return self.usable_a * WATTS_PER_AMP


@dataclass(frozen=True)
class Vehicle:
    """What a vehicle can do.

    phases : 1, 2 or 3 that it charges on. min_a, max_a : per phase [A]. efficiency : of its charger, one way.
    discharge_a : what it can feed back, per phase [A]; 0 for one that cannot. battery_wh : usable, where known.
    """

    phases: int = 3
    min_a: int = MIN_A
    max_a: int = 16
    efficiency: float = 1.0
    discharge_a: int = 0
    battery_wh: float | None = None

    @property
    def watts_per_amp(self) -> float:
        """Power of one amp on each of its phases [W]."""
        return self.phases * PHASE_V

    @property
    def max_w(self) -> float:
        """The most that it draws [W]."""
        return self.max_a * self.watts_per_amp


@dataclass(frozen=True)
class Session:
    """A vehicle at a plug, as its driver announced it.

    energy_wh : wanted at the plug by departure, consumption positive [Wh]. priority : how much more than others its
    driver needs it, 1 = as much. stored_wh, floor_wh : in the battery at arrival, and what its driver never wants to
    be below [Wh]; they count for a vehicle that discharges.
    """

    id: str
    plug: str
    arrives: datetime
    departs: datetime
    energy_wh: float
    vehicle: Vehicle = Vehicle()
    priority: float = 1.0
    stored_wh: float = 0.0
    floor_wh: float = 0.0

    @property
    def max_w(self) -> float:
        """The most that it draws [W]."""
        return self.vehicle.max_w

    def plugged(self, period: MarketPeriod) -> FloatArray:
        """(period,) share of every period in which it is at the plug, 0 to 1."""
        begin = (self.arrives - period.start) / period.resolution
        end = (self.departs - period.start) / period.resolution
        first = np.arange(period.count)
        share: FloatArray = np.clip(np.minimum(end, first + 1) - np.maximum(begin, first), 0.0, 1.0)
        return share

    def within(self, period: MarketPeriod) -> "Session":
        """The part of its stay inside `period`, wanting no more than that part can give.

        Who arrived before has been charging since, as fast as the vehicle can.
        """
        inside = replace(self, arrives=max(self.arrives, period.start), departs=min(self.departs, period.end))
        charged_wh = min(self.energy_wh, _hours(self.arrives, inside.arrives) * self.max_w)
        possible_wh = _hours(inside.arrives, inside.departs) * self.max_w
        stored_wh = self.stored_wh + charged_wh * self.vehicle.efficiency
        return replace(inside, energy_wh=min(self.energy_wh - charged_wh, possible_wh), stored_wh=stored_wh)


def _hours(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds() / 3600)
