"""What is known of a network in every period, each with its standard deviation: metered, or only expected. Pure.

What no instrument tells is expected with a large sigma of its own (a pseudo-measurement); where nothing is connected
nothing is drawn.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from api_spec.case import Injection
from api_spec.units import Message, NonNegative, Positive
from market.network import Grid
from market.network.model import BoolArray, FloatArray, IntArray


class Expectation(Message):
    """How far what is only expected may be from what is drawn, as standard deviations.

    relative, least_w : of a bus's power, whichever is more. within_reading : of a period within a longer reading,
    relative. source_pu : of the source's voltage. power_factor : taken where only amperes are measured, and
    angle_sigma_rad of the angle that it stands for. unbalance : of a phase's share where only the total of three is
    measured, relative.
    """

    relative: NonNegative = 0.5
    least_w: Positive = 300.0
    within_reading: NonNegative = 0.3
    source_pu: Annotated[Positive, Field(le=0.2)] = 0.01
    power_factor: Annotated[Positive, Field(le=1)] = 0.95
    angle_sigma_rad: NonNegative = 0.15
    unbalance: NonNegative = 0.5


@dataclass(frozen=True, eq=False)
class Valued:
    """Values and their standard deviations, arrays of one shape; sigma = inf where there is no value (which is 0)."""

    value: FloatArray
    sigma: FloatArray

    @classmethod
    def none(cls, *shape: int) -> Self:
        """Nothing known."""
        return cls(np.zeros(shape), np.full(shape, np.inf))

    @property
    def known(self) -> BoolArray:
        """Where there is a value."""
        return np.isfinite(self.sigma)

    def periods(self, at: IntArray) -> "Valued":
        """Some periods of it."""
        return Valued(self.value[at], self.sigma[at])

    def at(self, places: IntArray) -> "Valued":
        """Some places of it, of the axis after periods."""
        return Valued(self.value[:, places], self.sigma[:, places])

    def copy(self) -> "Valued":
        """For changes."""
        return Valued(self.value.copy(), self.sigma.copy())

    def put(self, at: tuple[Any, ...], value: FloatArray, sigma: FloatArray) -> None:
        """Take in (period, ...) values where they are not nan, at the same place in every period."""
        here = (slice(None), *at)
        there = ~np.isnan(value)
        self.value[here] = np.where(there, value, self.value[here])
        self.sigma[here] = np.where(there, sigma, self.sigma[here])


@dataclass(frozen=True, eq=False)
class Measured:
    """All that is known in every period. The last axis of powers is [W], [var], consumption positive.

    expected, metered : (period, terminal, 2) what is drawn there; nothing is connected to a terminal where nothing is
    expected. voltage : (period, terminal) magnitude [pu]. flow : (period, end, branch, phase, 2) into each branch at
    its ends. source_pu : sigma of the source's voltage, whose magnitude is that of the network.
    """

    grid: Grid
    expected: Valued
    metered: Valued
    voltage: Valued
    flow: Valued
    source_pu: float

    def periods(self, at: IntArray) -> "Measured":
        """Some periods of it."""
        parts = {name: getattr(self, name).periods(at) for name in ("expected", "metered", "voltage", "flow")}
        return replace(self, **parts)

    @property
    def count(self) -> int:
        """Number of periods."""
        return len(self.voltage.value)


def nothing_measured(grid: Grid, injections: Iterable[Injection], count: int, expectation: Expectation) -> Measured:
    """What is expected alone. injections : of everything that is connected, also of aggregators' resources."""
    injections = tuple(injections)
    power = np.stack(grid.consumption(injections, count), axis=-1)
    expected = Valued.none(count, grid.terminals, 2)
    connected = {int(at) for each in injections for at in grid.connected(each.bus, each.phase)}
    at = np.array(sorted(connected - set(grid.source_terminals.tolist())), dtype=np.intp)
    size = np.hypot(power[:, at, 0], power[:, at, 1])[..., None]
    expected.value[:, at] = power[:, at]
    expected.sigma[:, at] = np.maximum(expectation.relative * size, expectation.least_w / grid.phases)
    return Measured(
        grid=grid,
        expected=expected,
        metered=Valued.none(count, grid.terminals, 2),
        voltage=Valued.none(count, grid.terminals),
        flow=Valued.none(count, 2, grid.branches, grid.phases, 2),
        source_pu=expectation.source_pu,
    )
