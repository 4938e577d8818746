"""Does what is nominated come true where nothing is ordered? By signed ranks, after the fact. Pure.

Who nominates too much every day never moves its nominations, but draws less than it nominated wherever it has nothing
to deliver. Errors d of honest nominations lie around 0, and which of them are positive is independent of how large they
are:

    W = sum of the ranks of |d| over all d > 0,    P(W >= w | honest) by the 2^n equally likely signs

Source: Wilcoxon, Individual comparisons by ranking methods, Biometrics Bulletin 1 (1945) 80.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.special import ndtri

from market.ledger.baselines.history import FloatArray

_LEAST_WH: Final = 1.0
"""Of a difference: whole watts are nominated, and rounding has no sign."""


def undrawn_share(nominated_wh: FloatArray, drawn_wh: FloatArray) -> float:
    """Of the energy nominated in (delivery,), the share that was not drawn; negative where more was."""
    total_wh = float(np.abs(nominated_wh).sum())
    return float((nominated_wh - drawn_wh).sum()) / total_wh if total_wh else 0.0


def overstatement_score(nominated_wh: FloatArray, drawn_wh: FloatArray) -> float:
    """How sure it is that more is nominated than drawn, of (delivery,) energy where nothing was ordered [Wh].

    Standard normal for errors that are symmetric around 0, and as exact as the probability: above 3 where that is below
    1 in 740, which takes ten deliveries at least.
    """
    more_wh = nominated_wh - drawn_wh
    signed_wh = more_wh[np.abs(more_wh) >= _LEAST_WH].tolist()
    return _score(signed_wh) if signed_wh else 0.0


def _score(more_wh: Sequence[float]) -> float:
    """As a standard normal, from the smaller tail: the other would be rounded to 1."""
    from scipy.stats import wilcoxon  # noqa: PLC0415  (half a second to load, for every market that starts)

    above = float(wilcoxon(more_wh, alternative="greater").pvalue)
    if above <= 0.5:
        return -float(ndtri(above))
    return float(ndtri(wilcoxon(more_wh, alternative="less").pvalue))
