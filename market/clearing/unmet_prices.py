"""What leaving limits unmet costs, found together with what is left unmet.

A request's maximum price caps what its limit may add to the price of any bus, so that one unit left unmet costs

    slack_price_k = max_price / max_i |a_kit|                   (clearing.md)

with the sensitivities a of the AC state that results. Prices are brought to rest by looking again and again.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from market.clearing.linearisation import Linearisation, Rows
from market.clearing.problem import ClearingProblem
from market.clearing.search import unmet_amounts
from market.network.model import FloatArray, IntArray

_UNMET: Final = 1e-4  # excess from which on the price of a limit matters
_FASTEST: Final = 8.0  # times as far as what was seen
_SLOWEST: Final = 0.1


class UnmetPrices:
    """Prices on their way, which is walked in their logarithms.

    Each move goes as far as would bring prices to rest if they answer to it as to the last (Aitken's relaxation: Irons
    and Tuck, Int. J. Numer. Methods Eng. 1 (1969) 275-277).
    """

    def __init__(self, problem: ClearingProblem) -> None:
        """Before any price is known."""
        self._whole = problem.limits.whole
        shape = (problem.periods, int(self._whole.max(initial=-1)) + 1)
        self._last = np.full(shape, np.nan)
        self._wish, self._went = np.zeros(shape), np.zeros(shape)

    def forget_the_way(self) -> None:
        """The next move goes where prices are seen to be, and no further."""
        self._went[:] = 0.0

    def at(self, point: Linearisation, rows: Rows, steady: float) -> tuple[Rows, bool]:
        """Rows at their next prices, which the point keeps to, and whether these are at rest.

        rows : with the prices that are seen from the point; where they differ by less than `steady` [relative] from
        those that led there, prices stay as they are.
        """
        first = np.unique(rows.unmet, return_index=True)[1]
        at = rows.period[first], self._whole[rows.limit[first]]
        seen = np.log(np.maximum(rows.price, np.finfo(np.float64).tiny))
        last = np.where(np.isnan(self._last[at]), seen, self._last[at])
        matters = unmet_amounts(rows, point.dispatch) > _UNMET
        wish = np.where(matters, seen - last, 0.0)
        rests = bool(np.abs(wish).max(initial=0.0) <= steady)
        step = np.zeros_like(wish) if rests else np.where(matters, self._pace(at, wish) * wish, seen - last)
        self._wish[:] = self._went[:] = 0.0
        self._wish[at], self._went[at] = wish, np.where(matters, step, 0.0)
        self._last[at] = last + step
        price = np.where(rows.price > 0, np.exp(last + step), 0.0)
        point.slack_price[at] = price
        return replace(rows, price=price), rests

    def _pace(self, at: tuple[IntArray, IntArray], wish: FloatArray) -> float:
        """How many times as far to go as is wished."""
        went = self._went[at]
        if not went.any():
            return 1.0
        answer = float((self._wish[at] - wish) @ went) / float(went @ went)
        return min(max(1 / answer, _SLOWEST), _FASTEST) if answer > 1 / _FASTEST else _FASTEST
