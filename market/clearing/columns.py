"""What can be accepted: what it changes where and when, at which price, and the rules of what belongs together."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from market.network.model import BoolArray, FloatArray, IntArray

NONE: Final = -1
NumberArray: TypeAlias = npt.NDArray[np.int32]
"""Numbers of columns in large tables, half as large as positions elsewhere."""


@dataclass(frozen=True, eq=False)
class Columns:
    """What can be accepted: column j is x_j between 0 and upper_mw [MW or Mvar].

    ask : (column,) asked per MWh (Mvarh) of |change| [EUR/MWh]. A column's entries say what it changes: `weight` MW of
    consumption per MW accepted at `place` in `period`; entries stand in the order of columns. Equal asks at one place
    and time are one column: its shares say which offers it stands for, and how much of it each could give [W or var].
    """

    upper_mw: FloatArray
    ask: FloatArray
    column: IntArray
    period: IntArray
    place: IntArray
    weight: FloatArray
    share_column: IntArray
    share_offer: IntArray
    share_w: IntArray

    def __len__(self) -> int:
        """Number of columns."""
        return len(self.upper_mw)

    @cached_property
    def entries_of_shares(self) -> tuple[IntArray, IntArray]:
        """Every share with every entry of its column: (n,) positions of the share, and of the entry."""
        entries = np.bincount(self.column, minlength=len(self))
        count = entries[self.share_column]
        share = np.repeat(np.arange(len(count)), count)
        before = (np.cumsum(entries) - entries)[self.share_column] - (np.cumsum(count) - count)
        return share, np.arange(len(share)) + before[share]

    def total(self, per_entry: FloatArray) -> FloatArray:
        """(column,) sum over each column's entries."""
        total: FloatArray = np.bincount(self.column, per_entry, minlength=len(self)).astype(np.float64)
        return total

    def worth(self, at_places: FloatArray) -> FloatArray:
        """(column,) what one MW of each column changes, valued at_places : (period, 2 places)."""
        return self.total(self.weight * at_places[self.period, self.place])


@dataclass(frozen=True, eq=False)
class Envelopes:
    """Bounds on the running energy of envelope offers, and the columns that make it up.

    offer : (envelope,) position. less, more : (envelope, period) columns, NONE where there is none. low, high :
    (envelope, period) [MW times periods]. kept : (envelope, period) where a bound is not implied by the others and by
    those of power. of_column : (column,) its envelope, or NONE.
    """

    offer: IntArray
    less: NumberArray
    more: NumberArray
    low: FloatArray
    high: FloatArray
    kept: BoolArray
    of_column: IntArray

    def __len__(self) -> int:
        """Number of envelopes."""
        return len(self.offer)

    def running(self, accepted_mw: FloatArray, of: IntArray) -> FloatArray:
        """(k, period) running sum of the change of power of envelopes `of` : (k,) [MW times periods]."""
        padded = np.append(accepted_mw, 0.0)  # NONE is the last
        total: FloatArray = np.cumsum(padded[self.more[of]] - padded[self.less[of]], axis=1)
        return total


@dataclass(frozen=True, eq=False)
class Blocks:
    """Columns that are accepted by one factor for all periods: 0, or from min_activation to 1.

    offer, column : (block,). group : (block,) equal numbers exclude each other, NONE = free. requires : (block,)
    position of the offer without which it is not accepted, or NONE.
    """

    offer: IntArray
    column: IntArray
    min_activation: FloatArray
    group: IntArray
    requires: IntArray

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self.offer)


@dataclass(frozen=True, eq=False)
class Turns:
    """Columns of a fleet of which only one may be used in a period: less or more consumption, not both at once.

    Only where an optimum could use both: the fleet pays for |change|, or a block requires that it changes anything.
    less, more : (turn,). envelope : (turn,) position of their envelope.
    """

    less: IntArray
    more: IntArray
    envelope: IntArray

    def __len__(self) -> int:
        """Number of turns."""
        return len(self.less)
