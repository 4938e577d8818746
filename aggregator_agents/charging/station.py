"""What the agent needs of the chargers at a site, whatever protocol they speak."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from aggregator_agents.fleet import Session


class ChargerSilent(Exception):
    """A charger did not answer; what was asked of it counts as not done."""


@dataclass(frozen=True)
class PlugStatus:
    """A plug as its charger reports it.

    session : of the vehicle that is there, None without one. energy_wh : delivered to that vehicle. limit_a : the
    current per phase that is allowed now. register_wh : the plug's energy meter, which only grows.
    """

    plug: str
    session: Session | None
    energy_wh: float
    limit_a: int
    register_wh: float


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
