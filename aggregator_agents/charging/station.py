"""What the agent needs of the chargers at a site, whatever protocol they speak."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final, Protocol

from aggregator_agents.fleet import FloatArray, Session

VEHICLE_LAG: Final = timedelta(seconds=5)
"""A vehicle follows a change of the control pilot within this time (IEC 61851-1)."""


class ChargerSilent(Exception):
    """A charger did not answer; what was asked of it counts as not done."""


@dataclass(frozen=True)
class PlugStatus:
    """A plug as its charger reports it.

    session : of the vehicle that is there, None without one. energy_wh : delivered to that vehicle. limit_a : the
    current per phase that is signalled now. held_a : what nobody else may have yet, see `held_a`. register_wh : the
    plug's energy meter, which only grows. faulted : the contactor is open, because the vehicle drew more than it was
    allowed; it stays so until the vehicle leaves.
    """

    plug: str
    session: Session | None
    energy_wh: float
    limit_a: int
    held_a: int
    register_wh: float
    faulted: bool = False


def held_a(*, limit_a: int, before_a: int, drawn_a: float, since_change: timedelta) -> int:
    """What a plug may be drawing, whole amps per phase: its limit, and what it has not been seen to give back.

    limit_a, before_a : signalled now, and before the last change. drawn_a : measured. A measurement counts from
    VEHICLE_LAG after the change on: until then the vehicle may still follow the signal of before.
    """
    return max(limit_a, ceil(drawn_a - 1e-6), before_a if since_change < VEHICLE_LAG else 0)


class Station(Protocol):
    """The chargers of one site."""

    async def plugs(self, now: datetime) -> tuple[PlugStatus, ...]:
        """All plugs, in the order of ids. Raises ChargerSilent."""
        ...

    async def cap(self, plug: str, limit_a: int, *, now: datetime, expires_in: timedelta) -> None:
        """Cap the current per phase [A]: 0 pauses, 1 to 5 do not exist (IEC 61851-1).

        After `expires_in` without another cap the charger falls back to what is safe without any coordination.
        Raises ChargerSilent; the cap then counts as not applied.
        """
        ...

    async def metered_wh(self, start: datetime, end: datetime) -> float:
        """Energy of all plugs together from `start` to `end`, consumption positive [Wh]. Raises ChargerSilent."""
        ...

    async def mean_w(self, start: datetime, step: timedelta, count: int) -> FloatArray:
        """Mean power of all plugs together in `count` steps from `start` on, (step,) [W]. Raises ChargerSilent."""
        ...
