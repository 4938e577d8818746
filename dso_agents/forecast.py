"""What the DSO expects on its network: load per bus, raised to the quantile that it wants to be safe for."""

import json
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Protocol, Self

from pydantic import Field, ValidationError, model_validator

from api_spec.case import Injection
from api_spec.defects import defects_of, duplicates, refuse, unknown
from api_spec.grid import Network
from api_spec.period import MarketPeriod
from api_spec.units import Message, NonNegative


class ForecastUnusable(ValueError):
    """The load that is known cannot be a forecast of what is asked: a file or a period does not fit."""


class ProfileSource(Protocol):
    """Where load profiles come from: a file, a shipped feeder, a meter history."""

    def injections(self, period: MarketPeriod) -> tuple[Injection, ...]:
        """Expected load without the chargers that take part, per bus and period; ForecastUnusable without one."""
        ...


class Uncertainty(Message):
    """How far the load may stray, and which quantile of it the DSO plans for.

    relative_error : standard deviation of a bus's load, relative to its size. quantile : 0.5 plans for what is
    expected; 0.95 for a load that is exceeded in one period of twenty.
    """

    relative_error: Annotated[NonNegative, Field(le=1)] = 0.0
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.5


class KnownLoad(Message):
    """A network and the load that is expected on it, as one JSON document."""

    network: Network
    period: MarketPeriod
    load: tuple[Injection, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        buses = self.network.bus_ids
        where = f'on network "{self.network.name}"'
        defects: list[tuple[tuple[str | int, ...], str]] = []
        for at, each in enumerate(self.load):
            if each.bus not in buses:
                defects.append((("load", at, "bus"), unknown("bus", each.bus, buses, where)))
            for name in ("p_w", "q_var"):
                length = len(getattr(each, name))
                if length != self.period.count:
                    reason = f"has {length} entries, but the period counts {self.period.count}"
                    defects.append((("load", at, name), reason))
        defects += [(("load", at, "bus"), f'"{bus}" is there twice') for at, bus in duplicates(_buses(self.load))]
        refuse("KnownLoad", defects)
        return self

    def injections(self, period: MarketPeriod) -> tuple[Injection, ...]:
        """The part of the known load that `period` covers, in the same resolution."""
        first = (period.start - self.period.start) // self.period.resolution
        aligned = self.period.start + first * self.period.resolution == period.start
        if period.resolution != self.period.resolution or not aligned:
            raise ForecastUnusable(
                f"load is known in steps of {self.period.resolution} from {self.period.start.isoformat()}, "
                f"not of {period.resolution} from {period.start.isoformat()}"
            )
        if first < 0 or period.end > self.period.end:
            raise ForecastUnusable(
                f"load is known from {self.period.start.isoformat()} to {self.period.end.isoformat()}, "
                f"not from {period.start.isoformat()} to {period.end.isoformat()}"
            )
        part = slice(first, first + period.count)
        return tuple(
            Injection(bus=each.bus, phase=each.phase, p_w=each.p_w[part], q_var=each.q_var[part]) for each in self.load
        )


def read_known_load(path: Path) -> KnownLoad:
    """A JSON file of a network and its load; ForecastUnusable names the file and every defect in it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as failure:
        raise ForecastUnusable(f"{path}: cannot be read ({failure})") from failure
    try:
        return KnownLoad.model_validate(document)
    except ValidationError as failure:
        lines = [f"{path}: {each.pointer}: {each.reason}" for each in defects_of(failure, document)]
        raise ForecastUnusable("\n".join(lines)) from failure


def forecast(expected: tuple[Injection, ...], uncertainty: Uncertainty) -> tuple[Injection, ...]:
    """Load at the chosen quantile: p + z(quantile) x relative_error x |p|, and q alike.

    Generation (p below zero) shrinks where load grows. The buses are taken to err together, which errs on the safe
    side for what they share. Normal errors: z is the standard normal quantile.
    """
    stretch = NormalDist().inv_cdf(uncertainty.quantile) * uncertainty.relative_error
    if stretch == 0:
        return expected
    return tuple(
        Injection(
            bus=each.bus,
            phase=each.phase,
            p_w=tuple(p + stretch * abs(p) for p in each.p_w),
            q_var=tuple(q + stretch * abs(q) for q in each.q_var),
        )
        for each in expected
    )


def _buses(load: tuple[Injection, ...]) -> list[str]:
    return [f"{each.bus} {each.phase}" if each.phase else each.bus for each in load]
