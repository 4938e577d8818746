"""AC power flows of a delivery in the market's periods: as nominated, as cleared, and as really drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from api_spec.grid import Phase
from market.network import Grid, OperatingPoints, operating_points
from market.network.model import FloatArray
from market.simulation.outcome import Outcome
from market.simulation.physics import Truth


@dataclass(frozen=True)
class Flows:
    """before : forecast and nominated baselines. after : with the accepted offers. actual : means of the truth."""

    before: OperatingPoints
    after: OperatingPoints
    actual: OperatingPoints

    @classmethod
    def of(cls, outcome: Outcome, truth: Truth) -> Self:
        """Power flows of a finished run."""
        grid, delivery = Grid.of(outcome.case.network), outcome.case.market_period
        p_w, q_var = grid.consumption(outcome.case.baseline, delivery.count)
        awarded = np.zeros_like(p_w)

        def add(bus: str, phase: Phase | None, power_w: Sequence[float] | FloatArray) -> None:
            at = grid.connected(bus, phase)
            awarded[:, at] += np.asarray(power_w, dtype=np.float64)[:, None] / len(at)

        for fleet in outcome.fleets.values():
            for award in fleet.awards:
                add(award.bus, award.phase, award.power_w)
        before, after = (operating_points(grid, each, q_var) for each in (p_w, p_w + awarded))
        return cls(before, after, truth.mean_points(delivery))

    @property
    def grid(self) -> Grid:
        """The network."""
        return self.before.grid
