"""Sites, chargers and plugs of an aggregator, and the sessions that drivers ask for. Frozen; times are aware.

Every vehicle charges on three phases: amps are per phase, and one amp is 690 W (the amps <-> watts door).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from api_spec.period import MarketPeriod

PHASE_V: Final = 230.0
WATTS_PER_AMP: Final = 3 * PHASE_V
MIN_A: Final = 6
"""The lowest current that the control pilot can signal (IEC 61851-1); 1 to 5 A do not exist."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plug:
    """One socket. max_a : of plug and cable, per phase [A]."""

    id: str
    charger: str
    max_a: int = 16


@dataclass(frozen=True)
class Site:
    """Chargers behind one fuse at one bus of the network.

    fuse_a : per phase [A]. other_a : what everything else behind the fuse may draw at most, per phase [A]. charger_a :
    limit of each charger, shared by its plugs, per phase [A].
    """

    bus: str
    fuse_a: int
    plugs: tuple[Plug, ...]
    charger_a: int = 16
    other_a: int = 0

    @classmethod
    def of(cls, bus: str, *, chargers: int, plugs_per_charger: int, fuse_a: int, charger_a: int, other_a: int) -> Self:
        """A site of equal chargers, numbered from 1: plug `lot-3-2` is the second of the third charger at bus `lot`."""
        plugs = tuple(
            Plug(f"{bus}-{charger}-{plug}", f"{bus}-{charger}", charger_a)
            for charger in range(1, chargers + 1)
            for plug in range(1, plugs_per_charger + 1)
        )
        return cls(bus, fuse_a, plugs, charger_a, other_a)

    @cached_property
    def chargers(self) -> tuple[str, ...]:
        """Ids of all chargers, in order."""
        return tuple(sorted({each.charger for each in self.plugs}))

    @property
    def usable_a(self) -> int:
        """What the fuse leaves to all plugs together, per phase [A]."""
        return max(0, self.fuse_a - self.other_a)

    @property
    def safe_a(self) -> int:
        """What every charger may draw at the same time without any coordination, per phase [A]; 0 or at least MIN_A."""
        safe_a = min(self.charger_a, self.usable_a // len(self.chargers))
        return safe_a if safe_a >= MIN_A else 0

    @property
    def spare_a(self) -> int:
        """What all chargers together may draw above `safe_a` each, per phase [A].

        Any of them may lose contact and fall back to safe_a: the fuse holds in every mixture as long as
        sum over chargers of max(safe_a, drawn) <= usable_a.
        """
        return self.usable_a - len(self.chargers) * self.safe_a

    @property
    def usable_w(self) -> float:
        """The same as power [W]."""
        return self.usable_a * WATTS_PER_AMP

    def charger_of(self, plug: str) -> str:
        """The charger that a plug belongs to."""
        return next(each.charger for each in self.plugs if each.id == plug)


@dataclass(frozen=True)
class Session:
    """A vehicle at a plug, as its driver announced it.

    energy_wh : wanted at the plug by departure, consumption positive [Wh]. max_a : of the vehicle, per phase [A].
    """

    id: str
    plug: str
    arrives: datetime
    departs: datetime
    energy_wh: float
    max_a: int = 16

    @property
    def max_w(self) -> float:
        """The most that it draws [W]."""
        return self.max_a * WATTS_PER_AMP

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
        charged_wh = _hours(self.arrives, inside.arrives) * self.max_w
        possible_wh = _hours(inside.arrives, inside.departs) * self.max_w
        return replace(inside, energy_wh=max(0.0, min(self.energy_wh - charged_wh, possible_wh)))


def _hours(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds() / 3600)
