"""Where and when the network would leave its limits: AC power flow of what is expected and of what may be. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from types import MappingProxyType
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from api_spec.case import Injection
from api_spec.ids import Identifier
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from api_spec.units import Message, NonNegative
from dso_agents.likely import LikelyDay
from dso_agents.risk import Risk, Tightened, tightened
from market.network import Grid, operating_points

NOTHING_DERATED: Final[Mapping[str, float]] = MappingProxyType({})


class Margins(Message):
    """What the DSO keeps free for what it does not know.

    current : share of every rating. elements : by id, of those that have another one, such as a cable under repair.
    voltage_pu : distance to both ends of the voltage band.
    """

    current: Annotated[NonNegative, Field(lt=1)] = 0.05
    elements: dict[Identifier, Annotated[NonNegative, Field(lt=1)]] = Field(default_factory=dict)
    voltage_pu: Annotated[NonNegative, Field(lt=0.1)] = 0.005


@dataclass(frozen=True)
class Chance:
    """How likely a limit is left, per period, without the market, and the probability that is accepted of it."""

    probability: tuple[float, ...]
    accepted: float

    @property
    def worst(self) -> float:
        """The highest of all periods."""
        return max(self.probability)

    def minutes(self, period: MarketPeriod) -> float:
        """Expected minutes outside the limit [min]."""
        return sum(self.probability) * period.hours * 60


@dataclass(frozen=True)
class Overload:
    """An element whose current exceeds what may be planned of its rating.

    rating_a : less what the element has lost, where `chance` is known [A]. limit_a : per period, that less what is kept
    free for what is not known [A]. current_a : expected in every period [A]. chance : absent where nothing is known but
    what is expected.
    """

    element: str
    rating_a: float
    limit_a: tuple[float, ...]
    current_a: tuple[float, ...]
    chance: Chance | None = None

    @property
    def affected(self) -> tuple[bool, ...]:
        """The periods in which it is overloaded."""
        return tuple(current > limit for current, limit in zip(self.current_a, self.limit_a, strict=True))

    @property
    def firm(self) -> "Overload | None":
        """The same without any margin for risk: what of it is expected to exceed the rating itself, if anything."""
        if self.chance is None:
            return self
        bare = replace(self, limit_a=(self.rating_a,) * len(self.limit_a), chance=None)
        return bare if any(bare.affected) else None

    @property
    def margin(self) -> "Overload | None":
        """The same where its limit lies below the rating for risk."""
        lowest_a = min(limit for limit, now in zip(self.limit_a, self.affected, strict=True) if now)
        return None if self.chance is None or lowest_a >= self.rating_a else self

    @property
    def worst(self) -> int:
        """The period in which it is farthest above its limit."""
        return int(np.argmax(np.subtract(self.current_a, self.limit_a)))


@dataclass(frozen=True)
class VoltageViolation:
    """A bus whose voltage leaves the band that may be planned.

    min_pu, max_pu : the bus's band less what is kept free for what is not known. voltage_pu : expected in every period.
    affected : the periods in which it is outside. band_pu : the bus's own band where `chance` is known.
    """

    bus: str
    min_pu: float
    max_pu: float
    voltage_pu: tuple[float, ...]
    affected: tuple[bool, ...]
    chance: Chance | None = None
    band_pu: tuple[float, float] | None = None

    @property
    def firm(self) -> "VoltageViolation | None":
        """The same without any margin for risk: what of it is expected outside the bus's own band, if anything."""
        if self.band_pu is None:
            return self
        low, high = self.band_pu
        outside = tuple(not low <= each <= high for each in self.voltage_pu)
        if not any(outside):
            return None
        return replace(self, min_pu=low, max_pu=high, affected=outside, chance=None, band_pu=None)

    @property
    def margin(self) -> "VoltageViolation | None":
        """The same where its band is narrowed for risk."""
        return None if self.band_pu is None or (self.min_pu, self.max_pu) == self.band_pu else self

    @property
    def worst(self) -> int:
        """The period in which it is farthest outside."""
        return int(np.argmax([max(self.min_pu - each, each - self.max_pu) for each in self.voltage_pu]))


@dataclass(frozen=True)
class Congestion:
    """Everything that is expected to leave its limits; elements and buses in the order of ids."""

    period: MarketPeriod
    overloads: tuple[Overload, ...]
    violations: tuple[VoltageViolation, ...]

    @property
    def firm(self) -> "Congestion":
        """What leaves ratings and bands themselves, as expected; where no chance is known, all of it."""
        return self._of([each.firm for each in self.overloads], [each.firm for each in self.violations])

    @property
    def margin(self) -> "Congestion":
        """What leaves limits that are tightened for risk, and only for that."""
        return self._of([each.margin for each in self.overloads], [each.margin for each in self.violations])

    def _of(self, overloads: Iterable[Overload | None], violations: Iterable[VoltageViolation | None]) -> "Congestion":
        return Congestion(
            self.period,
            tuple(each for each in overloads if each is not None),
            tuple(each for each in violations if each is not None),
        )


def congestion(
    grid: Grid,
    period: MarketPeriod,
    *,
    load: Iterable[Injection],
    baselines: Iterable[BusPower] = (),
    margins: Margins,
) -> Congestion:
    """Overloads and voltage violations of the load forecast plus what aggregators nominated.

    baselines : at unity power factor, as the market clears them. The source's own voltage is given, so it is never a
    violation. Raises market.errors.PowerFlowDiverged where the network cannot carry the load at all.
    """
    p_w, q_var = grid.consumption(load, period.count)
    for nominated in baselines:
        at = grid.connected(nominated.bus, None)
        p_w[:, at] += np.array(nominated.power_w)[:, None] / len(at)
    points = operating_points(grid, p_w, q_var)

    kept = np.array([margins.elements.get(each, margins.current) for each in grid.branch_ids])
    usable = grid.rating_a * (1 - kept)
    overloads = tuple(
        Overload(
            element=name,
            rating_a=float(grid.rating_a[at]),
            limit_a=(float(usable[at]),) * period.count,
            current_a=tuple(points.current_a[:, at].tolist()),
        )
        for at, name in enumerate(grid.branch_ids)
        if (points.current_a[:, at] > usable[at]).any()
    )
    low, high = grid.min_pu + margins.voltage_pu, grid.max_pu - margins.voltage_pu
    # Of the phases of a bus the one that is furthest outside its band counts.
    by_phase = points.voltage_pu.reshape(period.count, grid.buses, grid.phases)
    beyond = np.maximum(low[:, None] - by_phase, by_phase - high[:, None])
    worst = np.take_along_axis(by_phase, beyond.argmax(axis=2)[..., None], axis=2)[..., 0]
    outside = beyond.max(axis=2) > 0
    violations = tuple(
        VoltageViolation(
            bus=name,
            min_pu=float(low[at]),
            max_pu=float(high[at]),
            voltage_pu=tuple(worst[:, at].tolist()),
            affected=tuple((beyond[:, at].max(axis=1) > 0).tolist()),
        )
        for at, name in enumerate(grid.bus_ids)
        if at != grid.source and outside[:, at].any()
    )
    return Congestion(period, overloads, violations)


def likely_congestion(day: LikelyDay, *, risk: Risk, derated: Mapping[str, float] = NOTHING_DERATED) -> Congestion:
    """Every element and bus that leaves its limits with more than the accepted probability, and what may be planned.

    derated : share of the rating that an element has lost, such as a cable under repair. Margins of any other kind
    have no place here: the distance to the limit is what the scenarios say (dso_agents.risk).
    """
    return Congestion(day.period, tuple(_likely_overloads(day, risk, derated)), tuple(_likely_violations(day, risk)))


def highest_probability(day: LikelyDay, *, derated: Mapping[str, float] = NOTHING_DERATED) -> float:
    """Of any element or bus being outside its limits in any one period, however little that is."""
    grid = day.grid
    rating_a = grid.rating_a * (1 - np.array([derated.get(each, 0.0) for each in grid.branch_ids]))
    overloaded = (day.scenarios.current_a > rating_a).mean(axis=0)
    outside = (day.scenarios.lowest_pu < grid.min_pu) | (day.scenarios.highest_pu > grid.max_pu)
    elsewhere = np.delete(outside.mean(axis=0), grid.source, axis=1)
    return float(max(overloaded.max(initial=0.0), elsewhere.max(initial=0.0)))


def _likely_overloads(day: LikelyDay, risk: Risk, derated: Mapping[str, float]) -> Iterator[Overload]:
    minutes = day.period.hours * 60
    for at, name in enumerate(day.grid.branch_ids):
        rating_a = float(day.grid.rating_a[at]) * (1 - derated.get(name, 0.0))
        sample, expected = day.scenarios.current_a[:, :, at], day.expected.current_a[0, :, at]
        if not (sample > rating_a).any():
            continue
        planned = tightened(sample, expected, rating_a, risk=risk, period_minutes=minutes)
        if any(planned.affected):
            yield Overload(
                element=name,
                rating_a=rating_a,
                limit_a=tuple(np.maximum(planned.limit, 0.0).tolist()),
                current_a=tuple(expected.tolist()),
                chance=_chance(planned),
            )


def _likely_violations(day: LikelyDay, risk: Risk) -> Iterator[VoltageViolation]:
    """Of the two ends of a band the one that is more likely left; the other keeps its place."""
    grid, minutes = day.grid, day.period.hours * 60
    for at, name in enumerate(grid.bus_ids):
        if at == grid.source:
            continue
        least, most = day.expected.lowest_pu[0, :, at], day.expected.highest_pu[0, :, at]
        below, above = -day.scenarios.lowest_pu[:, :, at], day.scenarios.highest_pu[:, :, at]
        if (below <= -grid.min_pu[at]).all() and (above <= grid.max_pu[at]).all():
            continue
        low = tightened(below, -least, -float(grid.min_pu[at]), risk=risk, period_minutes=minutes)
        high = tightened(above, most, float(grid.max_pu[at]), risk=risk, period_minutes=minutes)
        planned = low if low.probability.max() >= high.probability.max() else high
        if not any(planned.affected):
            continue
        # The middle of the band is the most that can be asked for: beyond it the other end would be as near.
        middle = float(grid.min_pu[at] + grid.max_pu[at]) / 2
        nearest = float(planned.limit[list(planned.affected)].min())
        yield VoltageViolation(
            bus=name,
            min_pu=min(_rounded(-nearest), middle) if planned is low else float(grid.min_pu[at]),
            max_pu=max(-_rounded(-nearest), middle) if planned is high else float(grid.max_pu[at]),
            voltage_pu=tuple((least if planned is low else most).tolist()),
            affected=planned.affected,
            chance=_chance(planned),
            band_pu=(float(grid.min_pu[at]), float(grid.max_pu[at])),
        )


def _rounded(voltage_pu: float) -> float:
    """Up to a thousandth: buses of about the same limit share a request."""
    return ceil(voltage_pu * 1000 - 1e-6) / 1000


def _chance(planned: Tightened) -> Chance:
    return Chance(tuple(planned.probability.tolist()), planned.accepted)
