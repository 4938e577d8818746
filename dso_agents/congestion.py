"""Where and when the network would leave its limits: an AC power flow of what is expected. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from api_spec.case import Injection
from api_spec.ids import Identifier
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from api_spec.units import Message, NonNegative
from market.network import Grid, operating_points


class Margins(Message):
    """What the DSO keeps free for what it does not know.

    current : share of every rating. elements : by id, of those that have another one, such as a cable under repair.
    voltage_pu : distance to both ends of the voltage band.
    """

    current: Annotated[NonNegative, Field(lt=1)] = 0.05
    elements: dict[Identifier, Annotated[NonNegative, Field(lt=1)]] = Field(default_factory=dict)
    voltage_pu: Annotated[NonNegative, Field(lt=0.1)] = 0.005


@dataclass(frozen=True)
class Overload:
    """An element whose current exceeds what may be used of its rating.

    limit_a : rating less margin [A]. current_a : expected in every period [A].
    """

    element: str
    rating_a: float
    limit_a: float
    current_a: tuple[float, ...]

    @property
    def affected(self) -> tuple[bool, ...]:
        """The periods in which it is overloaded."""
        return tuple(current > self.limit_a for current in self.current_a)

    @property
    def worst(self) -> int:
        """The period of the highest current."""
        return int(np.argmax(self.current_a))


@dataclass(frozen=True)
class VoltageViolation:
    """A bus whose voltage leaves the band that may be used.

    min_pu, max_pu : the bus's band less margin. voltage_pu : expected in every period.
    """

    bus: str
    min_pu: float
    max_pu: float
    voltage_pu: tuple[float, ...]

    @property
    def affected(self) -> tuple[bool, ...]:
        """The periods in which it is outside."""
        return tuple(not self.min_pu <= each <= self.max_pu for each in self.voltage_pu)

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
        Overload(name, float(grid.rating_a[at]), float(usable[at]), tuple(points.current_a[:, at].tolist()))
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
        VoltageViolation(name, float(low[at]), float(high[at]), tuple(worst[:, at].tolist()))
        for at, name in enumerate(grid.bus_ids)
        if at != grid.source and outside[:, at].any()
    )
    return Congestion(period, overloads, violations)
