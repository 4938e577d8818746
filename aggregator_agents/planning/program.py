"""A mixed-integer linear programme as arrays, family by family."""

from typing import TypeAlias
from zlib import crc32

import highspy
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from aggregator_agents.fleet import FloatArray

IntArray = npt.NDArray[np.int64]
Bound: TypeAlias = float | FloatArray
Term: TypeAlias = tuple[IntArray, IntArray, Bound]
"""Entries of a family of rows: (row within the family, column, weight), one array each."""


class Program:
    """minimise cost x subject to low <= A x <= high and bounds on x, some of them whole numbers.

    Every variable and constraint has a key, under which the next programme of the same kind knows it again.
    """

    def __init__(self) -> None:
        """Without columns and rows."""
        self._columns = list[tuple[FloatArray, FloatArray, FloatArray]]()
        self._rows = list[tuple[FloatArray, FloatArray]]()
        self._entries = list[tuple[IntArray, IntArray, FloatArray]]()
        self._whole = list[IntArray]()
        self.column_keys, self.row_keys = list[IntArray](), list[IntArray]()
        self.column_count = self.row_count = 0

    def columns(
        self, family: str, key: IntArray, *, cost: Bound = 0.0, low: Bound = 0.0, high: Bound = np.inf
    ) -> IntArray:
        """A family of variables; returns their positions."""
        count = len(key)
        self._columns.append((_each(cost, count), _each(low, count), _each(high, count)))
        self.column_keys.append(_key(family, key))
        first, self.column_count = self.column_count, self.column_count + count
        return np.arange(first, self.column_count)

    def whole(self, columns: IntArray) -> None:
        """Only whole numbers will do for these variables."""
        self._whole.append(columns)

    def rows(self, family: str, key: IntArray, *terms: Term, low: Bound = -np.inf, high: Bound = np.inf) -> None:
        """A family of constraints low <= weighted sum of columns <= high."""
        count = len(key)
        self._rows.append((_each(low, count), _each(high, count)))
        self.row_keys.append(_key(family, key))
        for row, column, weight in terms:
            self._entries.append((row + self.row_count, column, _each(weight, len(column))))
        self.row_count += count

    def to_highs(self, *, whole: bool) -> highspy.HighsLp:
        """The same in HiGHS's form; whole : whether whole numbers are asked for."""
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.column_count, self.row_count
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = (np.concatenate(each) for each in zip(*self._columns, strict=True))
        lp.row_lower_, lp.row_upper_ = (np.concatenate(each) for each in zip(*self._rows, strict=True))
        row, column, weight = (np.concatenate(each) for each in zip(*self._entries, strict=True))
        shape = (self.row_count, self.column_count)
        matrix = coo_array((weight, (row.astype(np.int32), column.astype(np.int32))), shape=shape).tocsc()
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
        if whole and self._whole:
            kinds = np.full(self.column_count, highspy.HighsVarType.kContinuous)
            kinds[np.concatenate(self._whole)] = highspy.HighsVarType.kInteger
            lp.integrality_ = kinds.tolist()
        return lp


def _each(value: Bound, count: int) -> FloatArray:
    return value if isinstance(value, np.ndarray) else np.full(count, value, dtype=np.float64)


def _key(family: str, key: IntArray) -> IntArray:
    """Far from those of every other family."""
    return np.int64(crc32(family.encode()) % 1000 << 53) + key
