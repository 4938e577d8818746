"""How the service's practical attributes are measured: when, in which steps, and against what. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

import numpy as np

from aggregator_agents.fleet import FloatArray
from api_spec.period import MAX_PERIODS, MarketPeriod
from api_spec.quality import ServiceAttributes, attributes_of

STEP: Final = timedelta(seconds=1)
"""Vehicles begin to follow within 4 to 7 s and are done in 2 s more: coarser steps would not see it."""


@dataclass(frozen=True)
class Measurement:
    """Of one site in one delivery: from the first ordered period to the one after the last.

    first, end : those periods, as a slice. fold : steps in a period. steps : all of them, as what a meter is asked for.
    """

    first: int
    end: int
    fold: int
    steps: MarketPeriod

    @classmethod
    def of(cls, delivery: MarketPeriod, ordered_w: FloatArray) -> Self | None:
        """In steps of STEP, or as fine as a message can be; None where nothing was ordered. ordered_w : (period,)."""
        ordered = np.flatnonzero(ordered_w)
        if not ordered.size:
            return None
        first, end = int(ordered[0]), min(delivery.count, int(ordered[-1]) + 2)
        fold = max(1, min(delivery.resolution // STEP, MAX_PERIODS // (end - first)))
        start = delivery.start + first * delivery.resolution
        steps = MarketPeriod(start=start, resolution=delivery.resolution / fold, count=(end - first) * fold)
        return cls(first, end, fold, steps)

    def attributes(self, *, ordered_w: FloatArray, baseline_w: FloatArray, drawn_w: FloatArray) -> ServiceAttributes:
        """What a meter at the connection point says. ordered_w, baseline_w : (period,); drawn_w : (step,) [W]."""
        change_w = drawn_w - np.repeat(baseline_w[self.first : self.end], self.fold)
        ordered = np.repeat(ordered_w[self.first : self.end], self.fold)
        return attributes_of(ordered.tolist(), change_w.tolist(), step_s=self.steps.resolution.total_seconds())
