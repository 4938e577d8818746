"""What a driver wants of a stay: when to leave, with how much energy, and whether before others. Pure.

    possible(departs) = min(takes, delivered + most_w x (departs - now))       the most energy of a stay [Wh]
    earliest(energy)  = now + (energy - delivered) / most_w                    when it can be there

That is what plug and vehicle can do when nobody else needs the fuse; the plan says what they will do.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Final, NamedTuple

from pydantic import Field, StrictBool

from aggregator_agents.fleet import Session
from api_spec.period import Instant
from api_spec.units import Message, NonNegative

AHEAD: Final = timedelta(days=7)
"""How far ahead a departure may be."""
MOST_WH: Final = 200_000.0
"""More than the battery of any car or van takes; the bound where nothing is known of the vehicle."""
PRIORITY: Final = 2.0
"""Of a session whose driver asked for priority: it counts as much as two others."""
_STEP_WH: Final = 100.0
_SLACK: Final = timedelta(minutes=5)
"""What was possible when a driver was told so is still accepted when he says yes."""

WattHoursPerKm = Annotated[NonNegative, Field(ge=50, le=1000)]


class Stay(NamedTuple):
    """A session at its plug. The numbers of transactions are unique only within one charger."""

    plug: str
    session: str


class Wish(Message):
    """What a driver said.

    departs : when the vehicle leaves. energy_wh : at the plug over the whole stay, with what was delivered before he
    said so [Wh]. priority : before others. wh_per_km : consumption that he reckons with [Wh/km]; None where he said
    energy, not distance.
    """

    departs: Instant
    energy_wh: Annotated[NonNegative, Field(le=1e8)]
    priority: StrictBool = False
    wh_per_km: WattHoursPerKm | None = None


@dataclass(frozen=True)
class Reach:
    """What is possible at a plug from now on.

    most_w : that plug, charger and vehicle can draw [W]. delivered_wh : to this stay until now [Wh]. takes_wh : the
    most that the vehicle can take in this stay, from its arrival on [Wh].
    """

    now: datetime
    most_w: float
    delivered_wh: float = 0.0
    takes_wh: float = MOST_WH

    def possible_wh(self, departs: datetime) -> float:
        """The most energy of the whole stay, if nobody else needs the fuse [Wh]; delivered_wh from now on."""
        hours = max(0.0, (departs - self.now) / timedelta(hours=1))
        return max(self.delivered_wh, min(self.takes_wh, self.delivered_wh + self.most_w * hours))

    def earliest(self, energy_wh: float) -> datetime | None:
        """When this energy can be there; None for what the vehicle cannot take or a week does not give."""
        missing_wh = max(0.0, energy_wh - self.delivered_wh)
        if energy_wh > self.takes_wh or missing_wh > self.most_w * (AHEAD / timedelta(hours=1)):
            return None
        return self.now + (timedelta(hours=missing_wh / self.most_w) if missing_wh else timedelta(0))


@dataclass(frozen=True)
class Allowance:
    """How many stays with priority are left to a driver. again_at : when one more is, where none is."""

    left: int
    again_at: datetime | None = None


@dataclass(frozen=True)
class DepartureGone:
    """The departure is not in the future."""

    now: datetime


@dataclass(frozen=True)
class DepartureTooFar:
    """The departure is further ahead than anybody plans."""

    latest: datetime


@dataclass(frozen=True)
class MoreThanItTakes:
    """The vehicle cannot take so much, however long it stays. most_wh : rounded down [Wh]."""

    most_wh: float


@dataclass(frozen=True)
class MoreThanPossible:
    """Not by this departure. most_wh : that is, rounded down [Wh]. earliest : when the energy can be there."""

    departs: datetime
    most_wh: float
    earliest: datetime | None


@dataclass(frozen=True)
class NoPriorityLeft:
    """The driver has used up the priorities that everybody has."""

    again_at: datetime | None


Objection = DepartureGone | DepartureTooFar | MoreThanItTakes | MoreThanPossible | NoPriorityLeft


class WishRefused(Exception):
    """A wish that cannot be granted; nothing of it was kept."""

    def __init__(self, objections: Iterable[Objection]) -> None:
        """Keep why."""
        self.objections = tuple(objections)
        super().__init__(", ".join(type(each).__name__ for each in self.objections))


def objections(wish: Wish, reach: Reach, allowance: Allowance, *, has_priority: bool) -> tuple[Objection, ...]:
    """Why a wish cannot be granted, at most one reason for each thing said; empty where it can.

    has_priority : the stay has been given priority before, which costs nothing a second time.
    """
    found = [_of_departure(wish, reach), _of_energy(wish, reach)]
    if wish.priority and not has_priority and allowance.left == 0:
        found.append(NoPriorityLeft(allowance.again_at))
    return tuple(each for each in found if each is not None)


def _of_departure(wish: Wish, reach: Reach) -> Objection | None:
    if wish.departs <= reach.now:
        return DepartureGone(reach.now)
    return DepartureTooFar(reach.now + AHEAD) if wish.departs > reach.now + AHEAD else None


def _of_energy(wish: Wish, reach: Reach) -> Objection | None:
    too_late = wish.departs <= reach.now
    if wish.energy_wh > reach.takes_wh and (too_late or reach.possible_wh(wish.departs) >= reach.takes_wh):
        return MoreThanItTakes(_stepped(reach.takes_wh))
    if too_late or wish.energy_wh <= reach.possible_wh(wish.departs + _SLACK):
        return None
    most_wh = _stepped(reach.possible_wh(wish.departs))
    return MoreThanPossible(wish.departs, most_wh, reach.earliest(wish.energy_wh))


def _stepped(energy_wh: float) -> float:
    return math.floor(energy_wh / _STEP_WH + 1e-9) * _STEP_WH


def allowance(asked_at: Iterable[datetime], now: datetime, *, most: int, within: timedelta) -> Allowance:
    """What is left of `most` priorities in any `within`, of those that were asked for at these times.

    The window slides: each one is given back when it is `within` old, so there is no day on which all are free again.
    """
    used = sorted(each for each in asked_at if each > now - within)
    left = max(0, most - len(used))
    if left or most == 0:
        return Allowance(left)
    return Allowance(0, used[len(used) - most] + within)


def applied(session: Session, wish: Wish) -> Session:
    """The session as its driver wants it."""
    priority = PRIORITY * session.priority if wish.priority else session.priority
    return replace(session, departs=wish.departs, energy_wh=wish.energy_wh, priority=priority)


def sessions_with_wishes(sessions: Iterable[Session], wishes: Mapping[Stay, Wish]) -> tuple[Session, ...]:
    """All sessions in their order, each as its driver wants it where he said something."""
    said = ((each, wishes.get(Stay(each.plug, each.id))) for each in sessions)
    return tuple(session if wish is None else applied(session, wish) for session, wish in said)
