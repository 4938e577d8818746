"""A parking lot that plans with what drivers say: the reference desk of the tests, over a book and the real planner."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from aggregator_agents.drivers.book import PriorityRule, WishBook
from aggregator_agents.drivers.codes import Codes
from aggregator_agents.drivers.desk import BookDesk, PlugView, PowerPlan, StayView
from aggregator_agents.drivers.reception import Reception
from aggregator_agents.drivers.wishes import Stay, sessions_with_wishes
from aggregator_agents.fleet import Session, Site
from aggregator_agents.planning import Valuation, plan
from api_spec.period import MarketPeriod
from tests.unit.aggregator_agents.places import NOON, site, vehicle

KEY = bytes(range(32))
COPENHAGEN = ZoneInfo("Europe/Copenhagen")
"""NOON is 13:00 there."""


@dataclass
class Parking:
    """One charger with one plug, by default. plans_at_once : on every wish, or only when `cycle` is called."""

    book: WishBook
    place: Site = field(default_factory=site)
    sessions: list[Session] = field(default_factory=lambda: [vehicle()])
    now: datetime = NOON
    now_s: float = 0.0
    plans_at_once: bool = True
    delivered_wh: float = 0.0
    drawn_w: float = 0.0
    giving_until: datetime | None = None
    card: str | None = "card of the driver"
    _plans: dict[str, PowerPlan] = field(default_factory=dict)

    @property
    def codes(self) -> Codes:
        return Codes(KEY)

    def reception(self, *, seat_within: timedelta = timedelta(minutes=30)) -> Reception:
        desk = BookDesk(self.book, look=self.look, replan=self._told, clock=lambda: self.now)
        return Reception(
            desk,
            self.book,
            self.codes,
            COPENHAGEN,
            seat_within=seat_within,
            secure=False,
            clock=lambda: self.now,
            now_s=lambda: self.now_s,
        )

    def look(self, plug: str) -> PlugView | None:
        if plug not in {each.id for each in self.place.plugs}:
            return None
        wanted = sessions_with_wishes(self.sessions, self.book.wishes)
        session = next((each for each in wanted if each.plug == plug), None)
        stay = None if session is None else self._stay(session)
        return PlugView(plug, f"Harbour, {plug}", self.giving_until, stay)

    def _stay(self, session: Session) -> StayView:
        return StayView(
            session,
            most_w=session.max_w,
            drawn_w=self.drawn_w,
            delivered_wh=self.delivered_wh,
            plan=self._plans.get(session.plug),
            driver=None if self.card is None else self.codes.pseudonym(self.card),
        )

    def _told(self) -> None:
        if self.plans_at_once:
            self.cycle()

    def cycle(self) -> None:
        """Plan a day of quarter-hours from now on with every wish in the book."""
        self.book.observe(self.present(), self.now)
        wanted = sessions_with_wishes(self.sessions, self.book.wishes)
        rest = [replace(each, arrives=self.now, energy_wh=each.energy_wh - self.delivered_wh) for each in wanted]
        period = MarketPeriod(start=self.now, resolution=timedelta(minutes=15), count=96)
        planned = plan(self.place, [each.within(period) for each in rest], period, Valuation())
        edges = (*period.starts(), period.end)
        self._plans = {
            each.plug: PowerPlan(self.now, edges, tuple(own), self.book.wishes.get(Stay(each.plug, each.id)))
            for each, own in zip(planned.sessions, planned.power_w.tolist(), strict=True)
        }

    def present(self) -> dict[str, str | None]:
        """The session at every plug."""
        there = {each.plug: each.id for each in self.sessions}
        return {each.id: there.get(each.id) for each in self.place.plugs}


@contextmanager
def parking(folder: Path, *, rule: PriorityRule | None = None) -> Iterator[Parking]:
    """A lot with a vehicle that arrived at noon, wants 11.04 kWh and leaves in four hours."""
    with WishBook.open(folder / "wishes.db", rule) as book:
        lot = Parking(book)
        lot.cycle()
        yield lot
