"""Reliability: what of the ordered energy a place can be expected to deliver, from its last deliveries."""

from collections.abc import Sequence
from typing import Final

from market.ledger.quality import Energies

LAST: Final = 20
"""Deliveries that count."""
FORGET: Final = 0.9
"""Each delivery counts this much of the next one: the tenth before the last counts 35 %."""
PRIOR: Final = 2.0
"""The good faith that a place begins with, in deliveries of its own mean size that delivered all."""


def reliability(deliveries: Sequence[Energies]) -> float:
    """Score in [0, 1] of a place, from its deliveries, newest first; 1 without any.

        score = (P + sum_k g^k d_k) / (P + sum_k g^k e_k),   P = p sum_k g^k e_k / sum_k g^k

    e_k, d_k : ordered and delivered energy of the k-th last delivery [Wh], k < 20; g = 0.9; p = 2 deliveries of mean
    size. One delivery that fails altogether leaves 2/3; it takes many to bring the score near 0 or back to 1.
    """
    counted = [each for each in deliveries[:LAST] if each.ordered_wh]
    weights = [FORGET**k for k in range(len(counted))]
    ordered = sum(weight * each.ordered_wh for weight, each in zip(weights, counted, strict=True))
    delivered = sum(weight * each.delivered_wh for weight, each in zip(weights, counted, strict=True))
    if not counted:
        return 1.0
    prior = PRIOR * ordered / sum(weights)
    return (prior + delivered) / (prior + ordered)
