"""What page and endpoints have in common: who may see and say what, and how often."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import Depends, Request

from aggregator_agents.drivers.book import BookUnavailable, Said, WishBook
from aggregator_agents.drivers.codes import Codes
from aggregator_agents.drivers.desk import DriverDesk, PlugView, StayOver, StayView
from aggregator_agents.drivers.guard import Rate
from aggregator_agents.drivers.wishes import Allowance, Wish, WishRefused, objections
from api_spec.problem import ProblemType


class Trouble(Enum):
    """Why a request is declined: the key of its words, its place in the catalogue of problems and its status."""

    NOT_FOUND = ("not_found", ProblemType.NOT_FOUND, 404)
    OVER = ("over", ProblemType.WRONG_STATE, 409)
    EMPTY = ("empty", ProblemType.WRONG_STATE, 409)
    TAKEN = ("taken", ProblemType.ALREADY_EXISTS, 409)
    SEAT = ("seat", ProblemType.UNAUTHENTICATED, 401)
    FORGED = ("forged", ProblemType.FORBIDDEN, 403)
    OFTEN = ("often", ProblemType.TOO_MANY, 429)
    INPUT = ("input", ProblemType.INVALID_INPUT, 422)
    FAULT = ("fault", ProblemType.INTERNAL, 500)
    UNAVAILABLE = ("unavailable", ProblemType.UNAVAILABLE, 503)

    def __init__(self, key: str, kind: ProblemType, status: int) -> None:
        """Keep the three."""
        self.key, self.kind, self.status = key, kind, status


class Declined(Exception):
    """A request that is not answered as it wanted. code : of the plug, where it was right."""

    def __init__(self, trouble: Trouble, code: str | None = None) -> None:
        """Keep why."""
        super().__init__(trouble.key)
        self.trouble, self.code = trouble, code


Door = Literal["free", "open", "taken", "too_late"]
"""What somebody without the seat finds: no vehicle, a seat to take, one that is taken, or the time for it over."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Reception:
    """The desk, the book and the codes behind every route.

    zone : of the clock that drivers read. seat_within : of plugging in, a seat can be taken. secure : the page is
    reached by https only. clock, now_s : the wall's, and monotonic seconds.
    """

    desk: DriverDesk
    book: WishBook
    codes: Codes
    zone: ZoneInfo
    seat_within: timedelta = timedelta(minutes=30)
    secure: bool = True
    clock: Callable[[], datetime] = _now
    now_s: Callable[[], float] = time.monotonic
    _said: Rate = field(init=False, repr=False)
    _taken: Rate = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        object.__setattr__(self, "_said", Rate(most=6, every_s=10.0, now_s=self.now_s))
        object.__setattr__(self, "_taken", Rate(most=10, every_s=6.0, now_s=self.now_s))

    async def plug(self, code: str) -> PlugView:
        """The plug of a code; Declined where it is of none."""
        plug = self.codes.plug_of(code)
        view = None if plug is None else await self.desk.plug(plug)
        if view is None:
            raise Declined(Trouble.NOT_FOUND)
        return view

    def stay(self, view: PlugView, secret: str | None) -> StayView | None:
        """The stay at a plug for who holds its seat; None for anybody else."""
        stay = view.stay
        return stay if stay is not None and secret and self.book.holds(stay.stay, secret) else None

    def door(self, view: PlugView, now: datetime) -> Door:
        """What somebody without the seat finds."""
        if view.stay is None:
            return "free"
        if not self.book.seat_is_free(view.stay.stay):
            return "taken"
        return "open" if now <= view.stay.session.arrives + self.seat_within else "too_late"

    async def take_seat(self, view: PlugView, code: str) -> str | None:
        """The secret of the seat; None where it is taken or the time is over. Raises Declined."""
        if view.stay is None:
            raise Declined(Trouble.EMPTY, code)
        if not self._taken.admits(view.plug):
            raise Declined(Trouble.OFTEN, code)
        now = self.clock()
        if self.door(view, now) != "open":
            return None
        try:
            return await asyncio.to_thread(self.book.take_seat, view.stay.stay, now)
        except BookUnavailable as failure:
            raise Declined(Trouble.UNAVAILABLE, code) from failure

    def said(self, stay: StayView) -> Said | None:
        """What was said last of a stay."""
        return self.book.said(stay.stay)

    def allowance(self, stay: StayView, now: datetime) -> Allowance:
        """The priorities left to the driver of a stay."""
        return self.book.allowance(stay.counted_for, now)

    async def say(self, stay: StayView, wish: Wish, code: str) -> None:
        """Hand a wish over; WishRefused or Declined."""
        now = self.clock()
        if not self._said.admits("\0".join(stay.stay)):
            raise Declined(Trouble.OFTEN, code)
        said = self.said(stay)
        has_priority = said is not None and said.has_priority
        found = objections(wish, stay.reach(now), self.allowance(stay, now), has_priority=has_priority)
        if found:
            raise WishRefused(found)
        try:
            await self.desk.say(stay.session.plug, stay.session.id, wish)
        except StayOver as failure:
            raise Declined(Trouble.OVER, code) from failure
        except BookUnavailable as failure:
            raise Declined(Trouble.UNAVAILABLE, code) from failure


def reception_of(request: Request) -> Reception:
    """Of the application that was asked."""
    reception = request.app.state.reception
    assert isinstance(reception, Reception)
    return reception


ReceptionOf = Annotated[Reception, Depends(reception_of)]
