"""How running energies tie columns: which columns they count, and which fleets are worked on together."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy import sparse

from market.network.model import BoolArray, FloatArray, IntArray

_AT_ONCE: Final = 32_768  # numbers of a product of several places: those of more do not stay near the processor


@dataclass(frozen=True, eq=False)
class Tie:
    """Fleets (m,) of as many running energies each, in the order of their places (m,), with those energies (m, n).

    times : (m, w) at which columns of each stand, filled up with others; all of them where `whole`. segment : (m, w)
    the first of the fleet's energies that a time counts for, n where there is none.
    """

    fleets: IntArray
    place: IntArray
    energies: IntArray
    times: IntArray
    segment: IntArray
    whole: bool

    @classmethod
    def of(cls, fleets: IntArray, place: IntArray, energies: IntArray, taken: BoolArray, last: IntArray) -> "Tie":
        """Of fleets at places : (m,), with columns where `taken` : (m, time) and energies up to `last` : (m, n)."""
        widest = int(taken.sum(axis=1).max())
        whole = cls.as_whole(widest, taken.shape[1], energies.shape[1])
        times = np.argsort(~taken, axis=1, kind="stable")[:, :widest]
        if whole:
            times = np.broadcast_to(np.arange(taken.shape[1]), taken.shape)
        segment = np.zeros(times.shape, dtype=np.intp)
        for each in last.T:
            segment += times > each[:, None]
        return cls(fleets, place, energies, times, segment, whole)

    @cached_property
    def slot(self) -> IntArray:
        """(m, w) where the segment of each time stands in a table (m, n + 1) of segments."""
        many, width = self.energies.shape
        slot: IntArray = np.arange(many)[:, None] * (width + 1) + self.segment
        return slot

    @cached_property
    def beside(self) -> list[tuple[IntArray, IntArray]]:
        """Places (p,) with about as many fleets, and numbers of those (p, c), filled up with m; few enough at once."""
        places, first, count = np.unique(self.place, return_index=True, return_counts=True)
        groups, alike = [], np.ceil(np.log2(count))
        at_once = max(1, _AT_ONCE // self.times.shape[1] ** 2)
        for each in np.unique(alike).tolist():
            every = np.flatnonzero(alike == each)
            for own in np.split(every, range(at_once, len(every), at_once)):
                rank = np.arange(count[own].max())
                fleets = np.where(rank < count[own, None], first[own, None] + rank, len(self.place))
                groups.append((places[own], fleets))
        return groups

    @staticmethod
    def as_whole(widest: int, times: int, energies: int) -> bool:
        """Whether fleets over all times, one product of matrices for a place, are less work than each over its own."""
        return widest**2 > times * energies


@dataclass(frozen=True, eq=False)
class Counted:
    """Columns : (n,) that running energies count, in the order of the first energy that does, and where they stand.

    begins : (e + 1,) where those of each energy begin. by_cell : (n,) their order by cells, cell_begins : (cells + 1,).
    """

    columns: IntArray
    cell: IntArray
    begins: IntArray
    by_cell: IntArray
    cell_begins: IntArray

    @classmethod
    def of(cls, segment: IntArray, energies: int, cell_of: IntArray, cells: int) -> "Counted":
        """Of columns with the energies that are the first to count them : (k,), and the cells where these stand."""
        columns = np.argsort(segment, kind="stable")
        columns = columns[: np.searchsorted(segment[columns], energies)]
        cell = cell_of[columns]
        by_cell = np.argsort(cell, kind="stable")
        return cls(
            columns=columns.astype(np.int32),
            cell=cell.astype(np.int32),
            begins=_begins(segment[columns], energies),
            by_cell=by_cell,
            cell_begins=_begins(cell[by_cell], cells),
        )

    def in_columns(self, amount: FloatArray) -> sparse.csr_array:
        """(e, k) amounts : (k,) of columns, each at the first energy that counts it."""
        return sparse.csr_array(
            (amount[self.columns], self.columns, self.begins), shape=(len(self.begins) - 1, len(amount))
        )

    def in_cells(self, amount: FloatArray) -> tuple[sparse.csr_array, sparse.csr_array]:
        """(e, cell) amounts : (k,) of columns by those energies and the cells where they stand, and its transpose."""
        energies, cells = len(self.begins) - 1, len(self.cell_begins) - 1
        counted = amount[self.columns]
        across = sparse.csr_array((counted, self.cell, self.begins), shape=(energies, cells))
        down = sparse.csr_array((counted[self.by_cell], self._energy, self.cell_begins), shape=(cells, energies))
        return across, down

    @cached_property
    def _energy(self) -> IntArray:
        """(n,) the energies, in the order of cells."""
        energy = np.repeat(np.arange(len(self.begins) - 1), np.diff(self.begins))
        ordered: IntArray = energy[self.by_cell].astype(np.int32)
        return ordered


def _begins(ordered: IntArray, count: int) -> IntArray:
    """(count + 1,) where the entries of each number begin, and where the last end."""
    begins: IntArray = np.searchsorted(ordered, np.arange(count + 1)).astype(np.int32)
    return begins
