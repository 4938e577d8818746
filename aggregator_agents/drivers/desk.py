"""What a driver may see of a plug, and the desk where the page asks for it and hands wishes over."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from aggregator_agents.drivers.book import WishBook
from aggregator_agents.drivers.wishes import MOST_WH, Reach, Stay, Wish
from aggregator_agents.fleet import Session

_NEAR_WH: Final = 50.0


@dataclass(frozen=True)
class PowerPlan:
    """What a plug is going to draw. edges : of the steps, one more than power_w [W], in the order of time.

    made_at : when it was planned. wish : what the driver had said by then. Charging is positive.
    """

    made_at: datetime
    edges: tuple[datetime, ...]
    power_w: tuple[float, ...]
    wish: Wish | None = None


@dataclass(frozen=True)
class StayView:
    """A vehicle at a plug.

    session : as the plan takes it, wishes and all. most_w : that plug, charger and vehicle can draw [W]. drawn_w,
    delivered_wh : measured, now and in this stay. wants : the vehicle takes current when it is offered. plan : None
    before there is one. driver : a pseudonym of the charging card (`Codes.pseudonym`), None without one.
    """

    session: Session
    most_w: float
    drawn_w: float
    delivered_wh: float
    plan: PowerPlan | None = None
    driver: str | None = None
    wants: bool = True

    @property
    def stay(self) -> Stay:
        """Its key in the book."""
        return Stay(self.session.plug, self.session.id)

    @property
    def counted_for(self) -> str:
        """Whose priorities it uses: the card's; without a card those of the plug, which all such drivers share."""
        return self.driver or f"plug {self.session.plug}"

    def is_planned_with(self, wish: Wish | None) -> bool:
        """Whether there is a plan, and it was made with this wish."""
        return self.plan is not None and self.plan.wish == wish

    def reach(self, now: datetime) -> Reach:
        """What is possible from now on."""
        vehicle = self.session.vehicle
        takes_wh = MOST_WH
        if vehicle.battery_wh is not None:
            takes_wh = max(0.0, vehicle.battery_wh - self.session.stored_wh) / vehicle.efficiency
        return Reach(now, self.most_w, self.delivered_wh, min(MOST_WH, takes_wh))


@dataclass(frozen=True)
class PlugView:
    """A plug. name : for people. giving_until : the site draws less, or more, for the grid now; None where it does not.

    stay : None without a vehicle.
    """

    plug: str
    name: str
    giving_until: datetime | None = None
    stay: StayView | None = None


class StayOver(Exception):
    """The vehicle that a wish is for is not at the plug any more."""


class DriverDesk(Protocol):
    """The aggregator, as far as a driver has to do with it."""

    async def plug(self, plug: str) -> PlugView | None:
        """What is known of a plug now; None for one that this aggregator does not have."""
        ...

    async def say(self, plug: str, session: str, wish: Wish) -> None:
        """Keep a wish and plan with it, within a cycle; durable when this returns.

        Raises StayOver, WishRefused (no priority left), BookUnavailable: nothing was kept then.
        """
        ...


class BookDesk:
    """The desk over a book of wishes and whoever plans with it."""

    def __init__(
        self,
        book: WishBook,
        *,
        look: Callable[[str], PlugView | None],
        replan: Callable[[], None],
        clock: Callable[[], datetime],
    ) -> None:
        """Over a book.

        look : what the aggregator knows of a plug. replan : called once a wish is in the book.
        """
        self._book, self._look, self._replan, self._clock = book, look, replan, clock

    async def plug(self, plug: str) -> PlugView | None:
        """See DriverDesk."""
        return self._look(plug)

    async def say(self, plug: str, session: str, wish: Wish) -> None:
        """See DriverDesk."""
        view = self._look(plug)
        if view is None or view.stay is None or view.stay.session.id != session:
            raise StayOver
        driver = view.stay.counted_for
        await asyncio.to_thread(self._book.keep, view.stay.stay, wish, driver=driver, now=self._clock())
        self._replan()


@dataclass(frozen=True)
class Outlook:
    """What a plan means for a driver.

    ready_at : when the energy that he wants is there, None where the plan does not get there. by_departure_wh : what is
    delivered when he leaves [Wh]. resumes_at : when charging starts or goes on, None where it does now or never will.
    """

    ready_at: datetime | None
    by_departure_wh: float
    resumes_at: datetime | None


def outlook(stay: StayView, now: datetime) -> Outlook | None:
    """What the plan means from now on; None without one, or where it does not reach to the departure."""
    plan, session = stay.plan, stay.session
    if stay.delivered_wh >= session.energy_wh - _NEAR_WH:
        return Outlook(now, stay.delivered_wh, None)
    if plan is None or not plan.power_w or plan.edges[-1] <= now:
        return None
    there_wh, ready_at, resumes_at = stay.delivered_wh, None, None
    first = max(0, bisect_right(plan.edges, now) - 1)
    for begin, end, power_w in zip(plan.edges[first:], plan.edges[first + 1 :], plan.power_w[first:], strict=False):
        since, until = max(begin, now), min(end, session.departs)
        if until <= since:
            continue
        if power_w > 0 and resumes_at is None:
            resumes_at = since
        step_wh = power_w * ((until - since) / timedelta(hours=1))
        if ready_at is None and step_wh > 0 and there_wh + step_wh >= session.energy_wh - _NEAR_WH:
            missing_wh = max(0.0, session.energy_wh - there_wh)
            ready_at = min(until, since + timedelta(hours=missing_wh / power_w))
        there_wh += step_wh
    if ready_at is None and plan.edges[-1] < session.departs:
        return None
    by_departure_wh = min(there_wh, session.energy_wh) if ready_at else there_wh
    return Outlook(ready_at, by_departure_wh, resumes_at if resumes_at != now else None)
