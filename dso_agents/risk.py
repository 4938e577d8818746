"""From a chosen risk to limits: how far below a rating the market has to plan, so that what happens stays within. Pure.

The market clears one forecast exactly; what happens is that plan and an error. With I the current of an element, I(m)
as expected and I_s in scenario s, its rating R is exceeded with probability at most e if and only if

    Q_{1-e}(I_s) <= R       <=>       I(m) <= R - (Q_{1-e}(I_s) - I(m)) = limit.

So asking the market to plan within `limit` is asking for the probability. It stays right after clearing, where I(m)
has been lowered by awards: the distance Q - I(m) is made by errors of the load that nobody traded and of chargers
around their plan. To first order it does not depend on the plan, because a shift of consumption moves all scenarios
alike. This is the uncertainty margin of chance-constrained optimal power flow (Roald and Andersson 2018, IEEE Trans.
Power Systems 33:2906), with empirical quantiles, taken from AC power flows, instead of an assumed distribution.
Voltages alike.
"""

from dataclasses import dataclass
from math import ceil
from typing import Annotated

import numpy as np
from pydantic import Field

from api_spec.units import Message, NonNegative
from market.network.model import FloatArray


class Risk(Message):
    """What a DSO accepts.

    probability : the largest probability, in any period, that an element or bus leaves its limits. minutes : besides,
    the most minutes of that which are expected of each in one delivery.
    """

    probability: Annotated[float, Field(gt=0, lt=1)] = 0.05
    minutes: NonNegative | None = None

    def accepted(self, probability: FloatArray, *, period_minutes: float) -> float:
        """The probability to accept in every period of an element that is at risk with `probability` : (period,).

        Where a period is above it, the market brings it down to it: the expected minutes that remain are
        sum_t min(probability_t, accepted) x period_minutes. The largest that keeps both promises; 0 where none does.
        """
        if self.minutes is None:
            return self.probability
        rising = np.sort(probability)
        below = np.concatenate([[0.0], np.cumsum(rising)])
        # With the k lowest left as they are, the others share what is left of the minutes.
        left = self.minutes / period_minutes - below[:-1]
        shares = left / np.arange(len(rising), 0, -1)
        fits = np.flatnonzero(shares < rising)
        return float(min(self.probability, max(0.0, shares[fits[0]]) if len(fits) else self.probability))


@dataclass(frozen=True, eq=False)
class Tightened:
    """An upper bound as the market is asked for it.

    bound : what must hold. limit : (period,) what the expected value may be. expected : (period,). probability :
    (period,) of leaving the bound without the market. accepted : probability to which that is to be lowered.
    """

    bound: float
    limit: FloatArray
    expected: FloatArray
    probability: FloatArray
    accepted: float

    @property
    def affected(self) -> tuple[bool, ...]:
        """The periods in which the market has something to do."""
        return tuple((self.expected > self.limit).tolist())

    @property
    def worst(self) -> int:
        """The period of the highest probability, of these the farthest above its limit."""
        return int(np.lexsort((self.expected - self.limit, self.probability))[-1])


def tightened(
    sample: FloatArray, expected: FloatArray, bound: float, *, risk: Risk, period_minutes: float
) -> Tightened:
    """What may be planned of an upper bound.

    sample : (scenario, period) of equally likely values that must not exceed `bound`. expected : (period,).
    """
    probability = (sample > bound).mean(axis=0)
    accepted = risk.accepted(probability, period_minutes=period_minutes)
    # How far beyond the bound a load is that no network carries, no power flow says: half as much again.
    reached = rarely_exceeded(np.where(np.isfinite(sample), sample, bound + abs(bound) / 2), accepted)
    return Tightened(bound, bound - np.maximum(reached - expected, 0.0), expected, probability, accepted)


def rarely_exceeded(sample: FloatArray, probability: float) -> FloatArray:
    """(period,) the least of the n values that the next one exceeds with no more than this probability.

    The ceil((1 - probability) (n + 1))-th, without any assumption on how they are distributed, and the largest where
    there is none (Vovk et al. 2005, conformal prediction). sample : (scenario, period), exchangeable with the next.
    """
    count = len(sample)
    rank = min(count, ceil((1 - probability) * (count + 1) - 1e-9))
    value: FloatArray = np.partition(sample, rank - 1, axis=0)[rank - 1]
    return value
