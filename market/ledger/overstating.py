"""Does what is nominated come true where nothing is ordered? By signs, whatever the distribution of errors. Pure.

Who nominates too much every day never moves its nominations, but draws less than it nominated wherever it has nothing
to deliver. An honest nomination lies above what is drawn at most as often as below it, so that

    P(k or more of n deliveries lie above) <= sum over j = k..n of C(n, j) / 2^n

Source: the sign test; Conover, Practical Nonparametric Statistics (1999), 3.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import bdtrc, ndtri

_LEAST_WH: Final = 1.0
"""Of a difference: whole watts are nominated, and rounding has no sign."""


@dataclass(frozen=True)
class Overstatement:
    """What was nominated against what was drawn.

    deliveries : with something to compare. share : of the nominated energy that was not drawn; negative = more was.
    score : standard normal where nominations are as often above as below what is drawn; positive = more often above.
    """

    deliveries: int
    share: float
    score: float


def overstatement(nominated_and_drawn_wh: Sequence[tuple[float, float]]) -> Overstatement:
    """Of energy nominated and drawn where nothing was ordered [Wh], a pair for each delivery.

    The score says as much as the exact probability: it is above 3 where that is below 1 in 740, which takes ten
    deliveries at least.
    """
    pairs = np.array(nominated_and_drawn_wh, dtype=np.float64).reshape(-1, 2)
    more_wh = pairs[:, 0] - pairs[:, 1]
    signs = np.sign(more_wh[np.abs(more_wh) >= _LEAST_WH])
    nominated_wh = float(np.abs(pairs[:, 0]).sum())
    return Overstatement(
        deliveries=len(pairs),
        share=float(more_wh.sum()) / nominated_wh if nominated_wh else 0.0,
        score=_score(above=int((signs > 0).sum()), of=len(signs)),
    )


def _score(*, above: int, of: int) -> float:
    """Upper tail for what lies above more often, lower tail for what lies below more often."""
    if above * 2 < of:
        return -_score(above=of - above, of=of)
    return max(0.0, float(-ndtri(bdtrc(above - 1, of, 0.5)))) if of else 0.0
