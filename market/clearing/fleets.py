"""Envelope offers read as tables: what a fleet can do in every period, and which of its running energies say so."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from api_spec.flexibility import EnvelopeOffer
from api_spec.period import MarketPeriod
from market.clearing.tables import whole_table
from market.network.model import BoolArray, FloatArray, IntArray

_AT_ONCE: Final = 2_000  # envelopes, of which large tables are made
_USABLE_W: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Fleets:
    """Envelope offers and their positions. All tables are (envelope, period).

    low, high : change of power that can be used [W]. least, most : running energy [W times periods]. kept : where a
    bound of running energy is not implied by the others and by those of power.
    """

    offers: list[tuple[int, EnvelopeOffer]]
    low: IntArray
    high: IntArray
    least: FloatArray
    most: FloatArray
    kept: BoolArray

    @classmethod
    def of(cls, offers: list[tuple[int, EnvelopeOffer]], market_period: MarketPeriod) -> "Fleets":
        """Read from offers; what their energies rule out is narrowed down."""
        low, high, least, most = (
            whole_table([getattr(each, name) for _, each in offers], market_period.count)
            for name in ("power_w_min", "power_w_max", "energy_wh_min", "energy_wh_max")
        )
        fleets = cls(
            offers, low, high, least / market_period.hours, most / market_period.hours, np.zeros(low.shape, np.bool_)
        )
        for start in range(0, len(offers), _AT_ONCE):
            fleets._narrow(slice(start, start + _AT_ONCE))
        return fleets

    def _narrow(self, some: slice) -> None:
        """Leave of the power of some envelopes what can be used, and find the energies that count."""
        tables = (self.low, self.high, self.least, self.most)
        low, high, least, most = (np.ascontiguousarray(each[some].T, dtype=np.float64) for each in tables)
        down, up = _usable(low, high, least, most)
        low *= down
        high *= up
        self.low[some] *= down.T
        self.high[some] *= up.T
        self.kept[some] = (_not_implied(least, low, high) | _not_implied(-most, -high, -low)).T

    @property
    def entries(self) -> tuple[IntArray, IntArray, IntArray]:
        """(n,) envelope, period and direction, -1 or 1, of all that can be used, in that order."""
        entries = [np.nonzero(self.low), np.nonzero(self.high)]
        row, period = (np.concatenate(each) for each in zip(*entries, strict=True))
        way = np.repeat([-1, 1], [len(each[0]) for each in entries])
        order = np.lexsort((way, row))  # periods stand in order already
        return row[order], period[order], way[order]


def _usable(low: FloatArray, high: FloatArray, least: FloatArray, most: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Where a fleet can consume less, and more, without its running energy leaving its bounds.

    low, high : of its change [W]. least, most : of its running energy [W times periods]; all (period, envelope). What
    can be reached from the periods before and what can be brought back in those to come are narrowed down in turn.
    """
    nothing = np.zeros((1, low.shape[1]))
    least, most = np.concatenate([nothing, least]), np.concatenate([nothing, most])
    steps = range(len(low))
    for t in steps:
        least[t + 1] = np.maximum(least[t + 1], least[t] + low[t])
        most[t + 1] = np.minimum(most[t + 1], most[t] + high[t])
    for t in reversed(steps):
        least[t] = np.maximum(least[t], least[t + 1] - high[t])
        most[t] = np.minimum(most[t], most[t + 1] - low[t])
    return most[:-1] - least[1:] > _USABLE_W, most[1:] - least[:-1] > _USABLE_W


def _not_implied(low: FloatArray, least: FloatArray, most: FloatArray) -> BoolArray:
    """(period, envelope) where running >= low says more than the bounds before and after it, and those of each change.

    least, most : (period, envelope) bounds of the change in each period.
    """
    kept = np.ones(low.shape, dtype=np.bool_)
    implied = np.zeros(low.shape[1])  # what holds at the end of the period before, whatever is accepted
    for t in range(len(low)):
        implied = implied + least[t]
        kept[t] = low[t] > implied
        implied = np.maximum(implied, low[t])
    implied = np.full(low.shape[1], -np.inf)
    for t in reversed(range(len(low))):
        kept[t] &= low[t] > implied
        implied = np.where(kept[t], np.maximum(implied, low[t]), implied) - most[t]
    return kept
