"""Sentences, numbers and times in the driver's language. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from aggregator_agents.drivers.catalogue import CATALOGUE, LANGUAGES, Language
from aggregator_agents.drivers.form import NoSuchTime, NotAConsumption, NotANumber, NotATime, Slip
from aggregator_agents.drivers.wishes import (
    DepartureGone,
    DepartureTooFar,
    MoreThanItTakes,
    MoreThanPossible,
    NoPriorityLeft,
    Objection,
)

_CLOCK: Final[dict[Language, str]] = {"en": "%H:%M", "da": "%H.%M"}
FIELD: Final[dict[type[Objection | Slip], str]] = {
    DepartureGone: "departs",
    DepartureTooFar: "departs",
    NotATime: "departs",
    NoSuchTime: "departs",
    MoreThanItTakes: "energy",
    MoreThanPossible: "energy",
    NotANumber: "energy",
    NotAConsumption: "consumption",
    NoPriorityLeft: "priority",
}
"""Beside which field of the form an objection stands."""


@dataclass(frozen=True)
class Words:
    """The words of one answer. zone : of the clock that the driver reads."""

    language: Language
    zone: ZoneInfo
    now: datetime

    def say(self, key: str, **values: object) -> str:
        """A sentence of the catalogue."""
        return CATALOGUE[self.language][key].format(**values)

    def number(self, value: float, places: int = 1) -> str:
        """`12.4`, in Danish `12,4`; with a true minus sign."""
        text = f"{value:.{places}f}".replace("-", "\u2212")
        return text.replace(".", ",") if self.language == "da" else text

    def typed(self, text: str) -> str:
        """A number as the form holds it, the way that it is typed in this language; anything else as it is."""
        is_number = text.replace(".", "", 1).isdecimal()
        return text.replace(".", ",") if self.language == "da" and is_number else text

    def energy(self, energy_wh: float) -> str:
        """An energy in kWh."""
        return f"{self.number(energy_wh / 1000)}\u00a0kWh"

    def power(self, power_w: float) -> str:
        """A power in kW."""
        return f"{self.number(power_w / 1000)}\u00a0kW"

    @property
    def clock_format(self) -> str:
        """The time of day, for strftime."""
        return _CLOCK[self.language]

    def clock(self, at: datetime) -> str:
        """`17:00`, without its day."""
        return f"{at.astimezone(self.zone):{self.clock_format}}"

    def time(self, at: datetime) -> str:
        """A time with its day, where that is another: `17:00`, `tomorrow 07:30`, `Sat 28/11 07:30`."""
        local, clock = at.astimezone(self.zone), self.clock(at)
        match self._days_off(local.date()):
            case 0:
                return self.say("at_today", clock=clock)
            case 1:
                return self.say("at_tomorrow", clock=clock)
        return self.say("at_day", day=self._day(local.date()), clock=clock)

    def day(self, day: date) -> str:
        """A day to choose: `Today`, `Tomorrow`, `Sat 28/11`."""
        off = self._days_off(day)
        return self.say("today" if off == 0 else "tomorrow") if off in (0, 1) else self._day(day)

    def sentence(self, objection: Objection | Slip) -> str:
        """Why a wish cannot be granted."""
        name = type(objection).__name__
        match objection:
            case DepartureGone(now):
                return self.say(name, time=self.time(now))
            case DepartureTooFar(latest):
                return self.say(name, time=self.time(latest))
            case MoreThanItTakes(most_wh):
                return self.say(name, energy=self.energy(most_wh))
            case MoreThanPossible(departs, most_wh, earliest):
                later = "" if earliest is None else " " + self.say("later_instead", time=self.time(earliest))
                return self.say(name, time=self.time(departs), energy=self.energy(most_wh)) + later
            case NoPriorityLeft(again_at):
                return self.say("NoPriorities") if again_at is None else self.say(name, time=self.time(again_at))
        return self.say(name)

    def _days_off(self, day: date) -> int:
        return (day - self.now.astimezone(self.zone).date()) // timedelta(days=1)

    def _day(self, day: date) -> str:
        return f"{self.say('days').split()[day.weekday()]} {day.day}/{day.month}"


def language_of(accepted: str) -> Language:
    """The language of an Accept-Language header (RFC 9110, section 12.5.4); English where it asks for none of ours."""
    asked: list[tuple[float, int, Language]] = []
    for place, each in enumerate(accepted[:500].split(",")):
        name, _, weight = each.partition(";")
        known = next((ours for ours in LANGUAGES if name.strip().lower().split("-")[0] == ours), None)
        if known is not None:
            asked.append((-_weight(weight), place, known))
    best = min(asked, default=None)
    return "en" if best is None or best[0] == 0 else best[2]


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
