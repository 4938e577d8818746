"""What a driver typed into the form, read as a wish. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from aggregator_agents.drivers.wishes import AHEAD, Wish

WH_PER_KM: Final = 180.0
"""Of a usual car, for who does not know better."""
_NUMBER: Final = re.compile(r"\d{1,4}([.,]\d{1,3})?")
_TIME: Final = re.compile(r"([01]?\d|2[0-3])[:.]?([0-5]\d)")


@dataclass(frozen=True)
class Typed:
    """The fields of the form as they came.

    day : ISO date of the departure; time : local. unit : kwh or km, of amount. per_100km : consumption [kWh/100 km].
    instead_kwh : energy that a button under a refused wish offers in place of amount [kWh].
    """

    day: str = ""
    time: str = ""
    amount: str = ""
    unit: str = "kwh"
    per_100km: str = ""
    priority: bool = False
    instead_kwh: str = ""


@dataclass(frozen=True)
class NotATime:
    """No time of day, or no day."""


@dataclass(frozen=True)
class NoSuchTime:
    """Clocks jump over this time."""

    day: date


@dataclass(frozen=True)
class NotANumber:
    """Not a number that an amount can be."""


@dataclass(frozen=True)
class NotAConsumption:
    """No consumption that a car has."""


Slip = NotATime | NoSuchTime | NotANumber | NotAConsumption


def read_form(typed: Typed, *, zone: ZoneInfo, efficiency: float) -> Wish | tuple[Slip, ...]:
    """The wish, or what is wrong with each field.

    Of a distance, the energy at the plug is distance x consumption / efficiency of the vehicle's charger.
    """
    departs = _departure(typed, zone)
    amount = _number(typed.amount)
    by_distance = typed.unit == "km"
    wh_per_km = _consumption(typed.per_100km) if by_distance else None
    slips: list[Slip] = [departs] if isinstance(departs, NotATime | NoSuchTime) else []
    if amount is None and _number(typed.instead_kwh) is None:
        slips.append(NotANumber())
    if by_distance and wh_per_km is None:
        slips.append(NotAConsumption())
    if slips:
        return tuple(slips)
    assert isinstance(departs, datetime), "a departure that is none is a slip"
    if (instead := _number(typed.instead_kwh)) is not None:
        return Wish(departs=departs, energy_wh=1000 * instead, priority=typed.priority)
    assert amount is not None, "an amount that is none is a slip"
    energy_wh = 1000 * amount if wh_per_km is None else amount * wh_per_km / efficiency
    return Wish(departs=departs, energy_wh=energy_wh, priority=typed.priority, wh_per_km=wh_per_km)


def days_ahead(now: datetime, zone: ZoneInfo) -> tuple[date, ...]:
    """The days on which a departure may be."""
    first, last = now.astimezone(zone).date(), (now + AHEAD).astimezone(zone).date()
    return tuple(first + timedelta(days=each) for each in range((last - first).days + 1))


def typed_of(
    wish_departs: datetime, energy_wh: float, wh_per_km: float | None, *, zone: ZoneInfo, efficiency: float
) -> Typed:
    """The form filled in with what holds now. Amounts with a dot."""
    local = wish_departs.astimezone(zone)
    if wh_per_km is None:
        amount, unit = energy_wh / 1000, "kwh"
    else:
        amount, unit = energy_wh * efficiency / wh_per_km, "km"
    per_100km = f"{(wh_per_km or WH_PER_KM) / 10:g}"
    return Typed(local.date().isoformat(), f"{local:%H:%M}", f"{round(amount, 1):g}", unit, per_100km)


def _departure(typed: Typed, zone: ZoneInfo) -> datetime | NotATime | NoSuchTime:
    """The instant on the local clock; where the clock shows a time twice, the first, so that nobody leaves too late."""
    clock = _TIME.fullmatch(typed.time.strip())
    try:
        day = date.fromisoformat(typed.day)
    except ValueError:
        return NotATime()
    if clock is None or not 2000 <= day.year < 2900:
        return NotATime()
    wall = datetime.combine(day, time(int(clock[1]), int(clock[2])))
    departs = wall.replace(tzinfo=zone).astimezone(UTC)
    return departs if departs.astimezone(zone).replace(tzinfo=None) == wall else NoSuchTime(day)


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def _consumption(text: str) -> float | None:
    number = _number(text)
    return 10 * number if number is not None and 5 <= number <= 100 else None
