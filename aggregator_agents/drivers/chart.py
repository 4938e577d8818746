"""The plan as a small picture: where its lines are, for a template that draws them as SVG. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from aggregator_agents.drivers.desk import PowerPlan

WIDTH, HEIGHT = 360.0, 176.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 30.0, 352.0, 26.0, 152.0
_LONGEST: Final = timedelta(hours=24)
_SHORTEST: Final = timedelta(hours=2)
_TICKS_H: Final = (0.5, 1, 2, 3, 4, 6)


@dataclass(frozen=True)
class Tick:
    """at : place on its axis. text : what stands there."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Everything in units of the picture, WIDTH x HEIGHT, y downward.

    area, line : path data of the power. hours, powers : ticks. zero_y : where nothing is drawn. departs_x, ready_x :
    None outside of the picture.
    """

    area: str
    line: str
    hours: tuple[Tick, ...]
    powers: tuple[Tick, ...]
    zero_y: float
    departs_x: float | None
    ready_x: float | None
    width: float = WIDTH
    height: float = HEIGHT
    left: float = _LEFT
    right: float = _RIGHT
    top: float = _TOP
    bottom: float = _BOTTOM


def chart(
    plan: PowerPlan,
    *,
    now: datetime,
    departs: datetime,
    ready_at: datetime | None,
    most_w: float,
    zone: ZoneInfo,
    clock: str,
) -> Chart:
    """The plan from now to a little after the departure, a day at most. clock : strftime format of the hours."""
    end = min(now + _LONGEST, max(departs + (departs - now) / 12, now + _SHORTEST))

    def x(at: datetime) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * ((at - now) / (end - now)), 1)

    top_kw = _round_up(max(most_w, *map(abs, plan.power_w), 1000.0) / 1000)
    low_kw = -top_kw if min(plan.power_w, default=0.0) < 0 else 0.0

    def y(power_w: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * (power_w / 1000 - low_kw) / (top_kw - low_kw), 1)

    corners: list[str] = []
    for begin, after, power_w in zip(plan.edges[:-1], plan.edges[1:], plan.power_w, strict=True):
        if after > now and begin < end:
            corners += [f"{x(max(begin, now))} {y(power_w)}", f"{x(min(after, end))} {y(power_w)}"]
    line = "M" + " L".join(corners) if corners else ""
    first, last = (corners[0].split()[0], corners[-1].split()[0]) if corners else ("", "")
    area = f"{line} L{last} {y(0)} L{first} {y(0)} Z" if corners else ""
    powers = tuple(Tick(y(1000 * kw), f"{kw:g}") for kw in (low_kw, (low_kw + top_kw) / 2, top_kw))
    hours = tuple(Tick(x(at), f"{at.astimezone(zone):{clock}}") for at in _hours(now, end, zone))
    ready_x = x(ready_at) if ready_at is not None and now < ready_at <= end else None
    departs_x = x(departs) if now < departs <= end else None
    return Chart(area, line, hours, powers, y(0), departs_x, ready_x)


def _hours(now: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """At most seven round times on the local clock at now; a step that divides the day."""
    length_h = (end - now) / timedelta(hours=1)
    step = timedelta(hours=next((each for each in _TICKS_H if length_h / each <= 6), _TICKS_H[-1]))
    local = now.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    since = local.replace(tzinfo=None) - midnight
    first = now + ((since // step + 1) * step - since)
    return [first + number * step for number in range(max(0, (end - first) // step + 1))]


def _round_up(kw: float) -> float:
    return next((each for each in (2, 4, 8, 12, 16, 24, 44) if each >= kw - 0.2), round(kw + 5, -1))
