"""Networks that ship with flexmarket, each with one day of load, its source and its licence.

A feeder is a folder beside this file: `network.json` (the wire form), `load.json` (one day), `SOURCE.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field, field_validator

from api_spec.case import Injection
from api_spec.grid import Network, Phase
from api_spec.ids import BusId
from api_spec.period import Duration, MarketPeriod
from api_spec.units import Message, Watts
from market.errors import NoLoadForPeriod, UnknownFeeder

_DAY: Final = timedelta(days=1)
_SERIES = Field(min_length=1, max_length=1440)


class BusDay(Message):
    """One day of load at a bus, one mean value per step [W] and [var], consumption positive."""

    p_w: Annotated[tuple[Watts, ...], _SERIES]
    q_var: Annotated[tuple[Watts, ...], _SERIES]


class LoadDay(Message):
    """One day of load, in steps of `resolution` from local midnight in `timezone`; it stands for any day.

    buses : totals, on three-phase networks balanced over the three. by_phase : what is drawn in one phase alone. A bus
    may stand in both and in several phases; all of it adds up.
    """

    timezone: str
    resolution: Duration
    buses: dict[BusId, BusDay] = Field(default_factory=dict)
    by_phase: dict[Phase, dict[BusId, BusDay]] = Field(default_factory=dict)

    @field_validator("resolution")
    @classmethod
    def _divides_a_day(cls, resolution: timedelta) -> timedelta:
        if _DAY % resolution:
            raise ValueError("must divide a day")
        return resolution

    def parts(self) -> list[tuple[BusId, Phase | None, BusDay]]:
        """All of it in the order of buses, each bus's total (phase None) before its phases a, b, c."""
        parts: list[tuple[BusId, Phase | None, BusDay]] = [(bus, None, day) for bus, day in self.buses.items()]
        parts += [(bus, phase, day) for phase, days in self.by_phase.items() for bus, day in days.items()]
        return sorted(parts, key=lambda part: (part[0], part[1] or ""))


@dataclass(frozen=True)
class Feeder:
    """A shipped network and what is drawn on it without the chargers that take part in the market.

    source : where network and load come from, and under which licence (the text of SOURCE.md).
    """

    name: str
    network: Network
    load: LoadDay
    source: str

    def injections(self, period: MarketPeriod) -> tuple[Injection, ...]:
        """Load per bus, phase and period [W], [var]: the day's values at the same local time of day.

        A longer period takes the mean of the steps that it covers. NoLoadForPeriod where steps and periods do not fit
        into each other.
        """
        steps = self._steps(period)
        return tuple(
            Injection(
                bus=bus,
                phase=phase,
                p_w=tuple(np.array(day.p_w, dtype=float)[steps].mean(axis=1).tolist()),
                q_var=tuple(np.array(day.q_var, dtype=float)[steps].mean(axis=1).tolist()),
            )
            for bus, phase, day in self.load.parts()
        )

    def mean_w(self) -> Mapping[tuple[BusId, Phase | None], float]:
        """Mean size of the load of each bus and phase over its day [W]."""
        return {(bus, phase): float(np.abs(day.p_w).mean()) for bus, phase, day in self.load.parts()}

    def _steps(self, period: MarketPeriod) -> list[list[int]]:
        """The steps of the day that every period covers."""
        step = self.load.resolution
        if period.resolution % step and step % period.resolution:
            raise NoLoadForPeriod(self.name, step, period.resolution)
        zone = ZoneInfo(self.load.timezone)
        covered = range(max(1, period.resolution // step))
        return [[self._step(start + k * step, zone) for k in covered] for start in period.starts()]

    def _step(self, instant: datetime, zone: ZoneInfo) -> int:
        local = instant.astimezone(zone)
        since_midnight = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
        return since_midnight // self.load.resolution


def feeders() -> tuple[str, ...]:
    """Names of all shipped feeders."""
    return tuple(sorted(each.name for each in files(__name__).iterdir() if (each / "network.json").is_file()))


@cache
def feeder(name: str) -> Feeder:
    """A shipped feeder; UnknownFeeder for any other name."""
    if name not in feeders():
        raise UnknownFeeder(name, feeders())
    folder = files(__name__) / name
    return Feeder(
        name=name,
        network=Network.model_validate_json(_text(folder / "network.json")),
        load=LoadDay.model_validate_json(_text(folder / "load.json")),
        source=_text(folder / "SOURCE.md"),
    )


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
