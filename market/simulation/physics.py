"""What really flowed during a delivery: AC power flow of what everyone really drew, in steps of minutes.

    drawn at a terminal = what surrounds the fleets (market.network.surroundings) + what participants' devices drew

Nothing in it depends on baselines, forecasts or awards.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Final, Protocol, Self, runtime_checkable

import numpy as np
from pydantic import Field

from api_spec.period import Duration, MarketPeriod
from api_spec.units import Message
from market.network import Grid, OperatingPoints, operating_points
from market.network.ageing import ONAN, Ageing, Cooling, ageing
from market.network.model import PHASES, FloatArray
from market.network.surroundings import Surroundings
from market.network.violations import Episode, Violations, episodes

_LONGEST: Final = timedelta(minutes=15)


class PhysicsTable(Message):
    """How finely it is computed what really flows.

    step : whole minutes, up to 15, that divide the delivery's periods; shorter periods are steps themselves. cooling :
    of every transformer.
    """

    step: Annotated[Duration, Field(ge=timedelta(minutes=1), le=_LONGEST)] = timedelta(minutes=5)
    cooling: Cooling = ONAN

    def step_of(self, delivery: MarketPeriod) -> timedelta:
        """The length of a step in a delivery."""
        return min(self.step, delivery.resolution)

    def steps(self, delivery: MarketPeriod) -> MarketPeriod:
        """All steps of a delivery."""
        step = self.step_of(delivery)
        return MarketPeriod(start=delivery.start, resolution=step, count=delivery.count * (delivery.resolution // step))


class Draws(Protocol):
    """Someone whose devices are on the network: a participant."""

    def drawn_w(self, period: MarketPeriod) -> Mapping[str, FloatArray]:
        """(period,) see market.simulation.participant.Participant."""
        ...


@runtime_checkable
class DrawsByPhase(Protocol):
    """Someone who knows in which phases its devices draw, which counts on three-phase networks."""

    def drawn_by_phase_w(self, period: MarketPeriod) -> Mapping[str, FloatArray]:
        """(period, 3) as Draws, in phases a, b, c."""
        ...


@dataclass(frozen=True, eq=False)
class Truth:
    """What really flowed.

    points : the AC operating point of every step. drawn_w : (step,) mean power of participants' devices at each bus
    [W]. ambient_c : (step,) outdoor temperature.
    """

    steps: MarketPeriod
    points: OperatingPoints
    drawn_w: Mapping[str, FloatArray]
    ambient_c: FloatArray
    cooling: Cooling = ONAN

    @classmethod
    def of(
        cls, around: Surroundings, participants: Iterable[Draws], delivery: MarketPeriod, table: PhysicsTable
    ) -> Self:
        """Of a delivery that is over; PowerFlowDiverged where the network could not have carried it at all."""
        steps, grid = table.steps(delivery), Grid.of(around.network)
        p_w, q_var, drawn_w = consumed(grid, around, participants, steps)
        points = operating_points(grid, p_w, q_var)
        return cls(steps, points, drawn_w, around.ambient_c(steps), table.cooling)

    @property
    def grid(self) -> Grid:
        """The network."""
        return self.points.grid

    @property
    def minutes(self) -> float:
        """Length of a step."""
        return self.steps.hours * 60

    def mean_points(self, delivery: MarketPeriod) -> OperatingPoints:
        """Operating points of the mean power in each of a market's periods."""
        power = (each.reshape(delivery.count, -1, self.grid.terminals) for each in (self.points.p_w, self.points.q_var))
        p_w, q_var = (each.mean(axis=1) for each in power)
        return operating_points(self.grid, p_w, q_var)

    @cached_property
    def transformers(self) -> tuple[str, ...]:
        """Their ids, in the order of the columns below."""
        return tuple(id for id, line in zip(self.grid.branch_ids, self.grid.is_line, strict=True) if not line)

    @cached_property
    def transformer_loading(self) -> FloatArray:
        """(step, transformer) current of the worst phase over the rated one, at the from side."""
        loading: FloatArray = self.points.loading[:, ~self.grid.is_line]
        return loading

    @cached_property
    def ageing(self) -> Ageing:
        """Of all transformers."""
        return ageing(self.transformer_loading, self.ambient_c, step_minutes=self.minutes, cooling=self.cooling)

    @cached_property
    def overload(self) -> FloatArray:
        """(step, branch) current above the rating, as a share of it; negative below, nan without a rating."""
        return self.points.loading - 1

    @cached_property
    def outside_pu(self) -> FloatArray:
        """(step, terminal) how far the voltage is outside of its band; negative within."""
        low, high = (np.repeat(each, self.grid.phases) for each in (self.grid.min_pu, self.grid.max_pu))
        voltage = self.points.voltage_pu
        outside: FloatArray = np.maximum(low - voltage, voltage - high)
        return outside

    @property
    def overloads(self) -> Violations:
        """Of all lines and transformers."""
        return Violations.of(self.overload, step_minutes=self.minutes)

    @property
    def voltage_violations(self) -> Violations:
        """Of all terminals; depth in pu."""
        return Violations.of(self.outside_pu, step_minutes=self.minutes)

    def episodes(self) -> Iterator[tuple[str, str, Episode]]:
        """Every violation: "current" or "voltage", where, and when and how far."""
        for kind, names, excess in (
            ("current", self.grid.branch_ids, self.overload),
            ("voltage", self.grid.terminal_names, self.outside_pu),
        ):
            for thing, episode in episodes(excess):
                yield kind, names[thing], episode


def consumed(
    grid: Grid, around: Surroundings, participants: Iterable[Draws], steps: MarketPeriod
) -> tuple[FloatArray, FloatArray, Mapping[str, FloatArray]]:
    """What really happens: (step, terminal) active [W] and reactive power [var], and what participants drew of it.

    The last is (step,) of each bus [W].
    """
    p_w, q_var = grid.consumption(around.actual(steps), steps.count)
    drawn_w: dict[str, FloatArray] = {}
    for participant in participants:
        for bus, power_w in _by_terminal(participant, steps, phases=grid.phases).items():
            p_w[:, grid.connected(bus, None)] += power_w
            drawn_w[bus] = drawn_w.get(bus, np.zeros(steps.count)) + power_w.sum(axis=1)
    return p_w, q_var, drawn_w


def _by_terminal(participant: Draws, steps: MarketPeriod, *, phases: int) -> Mapping[str, FloatArray]:
    """(step, phase) what it drew at each bus [W]; balanced where it does not know better."""
    if phases == len(PHASES) and isinstance(participant, DrawsByPhase):
        return participant.drawn_by_phase_w(steps)
    drawn_w = participant.drawn_w(steps)
    return {bus: np.repeat(power_w[:, None] / phases, phases, axis=1) for bus, power_w in drawn_w.items()}
