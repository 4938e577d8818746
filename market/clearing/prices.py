"""Duals to nodal prices: what one more MWh costs at every bus, and why.

    DLMP_it = lambda_t                                              energy
            + (lambda_t + losses_price_t) dLosses_t/dp_it           losses
            + sum over limits k of mu_kt dg_kt/dp_it                congestion (currents, powers) or voltage

with mu >= 0 what relaxing limit k saves. Consumption is positive: a limit that more consumption strains adds a positive
part. (clearing.md, "Price at terminal i, period t".)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from api_spec.result import PriceParts
from api_spec.units import PRICE_PLACES
from market.clearing.loop import Optimum
from market.clearing.problem import ClearingProblem
from market.network.model import FloatArray

PARTS: Final = ("energy", "losses", "congestion", "voltage", "unbalance")
_QUANTUM: Final = Decimal(1).scaleb(-PRICE_PLACES)


@dataclass(frozen=True, eq=False)
class NodalPrices:
    """Parts of the nodal price, each (period, bus) [EUR/MWh]."""

    parts: Mapping[str, FloatArray]

    @property
    def total(self) -> FloatArray:
        """(period, bus) the nodal price itself."""
        return np.sum([self.parts[part] for part in PARTS], axis=0)  # type: ignore[no-any-return]


def nodal_prices(problem: ClearingProblem, optimum: Optimum) -> NodalPrices:
    """Prices at the optimum: marginal losses there, and the shadow prices of the limits that bind."""
    energy = np.repeat(problem.energy_price[:, None], problem.grid.buses, axis=1)
    weight = (problem.energy_price + problem.losses_price)[:, None]
    congestion, voltage = np.zeros_like(energy), np.zeros_like(energy)
    rows = optimum.linearisation.rows(optimum.shadow > 0)
    for row, (period, limit) in enumerate(zip(rows.period, rows.limit, strict=True)):
        part = voltage if problem.limits.kind[limit] == "voltage" else congestion
        part[period] += optimum.shadow[period, limit] * rows.by_p[row]
    losses = weight * optimum.linearisation.losses_by_p
    parts = {"energy": energy, "losses": losses, "congestion": congestion, "voltage": voltage}
    return NodalPrices({**parts, "unbalance": np.zeros_like(energy)})


def published(problem: ClearingProblem, prices: NodalPrices) -> dict[str, PriceParts]:
    """Prices of every bus as they are published: parts rounded to 1e-6 EUR/MWh, the total their exact sum."""
    answer = {}
    for at, bus in enumerate(problem.grid.bus_ids):
        parts = {part: tuple(rounded(value) for value in prices.parts[part][:, at]) for part in PARTS}
        total = tuple(sum(each, Decimal(0)) for each in zip(*parts.values(), strict=True))
        answer[bus] = PriceParts(total=total, **parts)
    return answer


def rounded(price: float) -> Decimal:
    """A price as a decimal with six places; never minus zero."""
    return Decimal(repr(float(price))).quantize(_QUANTUM) + 0
