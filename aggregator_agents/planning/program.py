"""A mixed-integer linear programme as arrays, family by family, and its solution by HiGHS."""

from dataclasses import dataclass
from typing import Final, TypeAlias

import highspy
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from aggregator_agents.fleet import FloatArray

IntArray = npt.NDArray[np.int64]
Bound: TypeAlias = float | FloatArray
Term: TypeAlias = tuple[IntArray, IntArray, Bound]
"""Entries of a family of rows: (row within the family, column, weight), one array each."""

_OPTIONS: Final[dict[str, str | int | float | bool]] = {
    "output_flag": False,
    "threads": 1,
    "parallel": "off",
    "random_seed": 0,
}

_FEASIBLE: Final = int(highspy.SolutionStatus.kSolutionStatusFeasible)


class NoPlan(Exception):
    """The solver ended without a solution."""


@dataclass(frozen=True)
class Solution:
    """values : (column,). objective : of them. complete : whether nothing better exists, within the gap asked for."""

    values: FloatArray
    objective: float
    complete: bool


class Program:
    """minimise cost x subject to low <= A x <= high and bounds on x, some of them whole numbers."""

    def __init__(self) -> None:
        """Without columns and rows."""
        self._columns = list[tuple[FloatArray, FloatArray, FloatArray]]()
        self._rows = list[tuple[FloatArray, FloatArray]]()
        self._entries = list[tuple[IntArray, IntArray, FloatArray]]()
        self._whole = list[IntArray]()
        self.column_count = self.row_count = 0

    def columns(self, count: int, *, cost: Bound = 0.0, low: Bound = 0.0, high: Bound = np.inf) -> IntArray:
        """A family of variables; returns their positions."""
        cost, low, high = (np.broadcast_to(np.asarray(each, dtype=np.float64), count) for each in (cost, low, high))
        self._columns.append((cost, low, high))
        first, self.column_count = self.column_count, self.column_count + count
        return np.arange(first, self.column_count)

    def whole(self, columns: IntArray) -> None:
        """Only whole numbers will do for these variables."""
        self._whole.append(columns)

    def rows(self, count: int, *terms: Term, low: Bound = -np.inf, high: Bound = np.inf) -> IntArray:
        """A family of constraints low <= weighted sum of columns <= high; returns their positions."""
        low, high = (np.broadcast_to(np.asarray(each, dtype=np.float64), count) for each in (low, high))
        self._rows.append((low, high))
        for row, column, weight in terms:
            self._entries.append((row + self.row_count, column, np.broadcast_to(weight, len(column))))
        first, self.row_count = self.row_count, self.row_count + count
        return np.arange(first, self.row_count)

    def to_highs(self, *, relaxed: bool = False) -> highspy.HighsLp:
        """The same in HiGHS's form; relaxed : whole numbers are not asked for."""
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.column_count, self.row_count
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = (np.concatenate(each) for each in zip(*self._columns, strict=True))
        lp.row_lower_, lp.row_upper_ = (np.concatenate(each) for each in zip(*self._rows, strict=True))
        row, column, weight = (np.concatenate(each) for each in zip(*self._entries, strict=True))
        shape = (self.row_count, self.column_count)
        matrix = coo_array((weight, (row.astype(np.int32), column.astype(np.int32))), shape=shape).tocsc()
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
        if self._whole and not relaxed:
            kinds = np.full(self.column_count, highspy.HighsVarType.kContinuous)
            kinds[np.concatenate(self._whole)] = highspy.HighsVarType.kInteger
            lp.integrality_ = kinds.tolist()
        return lp


class Solver:
    """One HiGHS, kept from one programme to the next."""

    def __init__(self) -> None:
        """With one thread and a fixed seed: the same programme has the same answer."""
        self._highs = highspy.Highs()
        for name, option in _OPTIONS.items():
            self._highs.setOptionValue(name, option)

    def solve(self, program: Program, *, relaxed: bool, within_s: float, gap: float) -> Solution:
        """The optimum, or the best that was found in time. Raises NoPlan where nothing was found.

        relaxed : without whole numbers. gap : between what is found and what may be possible, relative.
        """
        highs = self._highs
        # HiGHS counts run time over the life of the instance.
        highs.setOptionValue("time_limit", highs.getRunTime() + within_s)
        highs.setOptionValue("mip_rel_gap", gap)
        if highs.passModel(program.to_highs(relaxed=relaxed)) == highspy.HighsStatus.kError:
            raise NoPlan("the model was refused")
        highs.run()
        status = highs.getModelStatus()
        found = highs.getInfo().primal_solution_status == _FEASIBLE
        if not found:
            raise NoPlan(highs.modelStatusToString(status))
        values = np.array(highs.getSolution().col_value, dtype=np.float64)
        return Solution(values, highs.getInfo().objective_function_value, status == highspy.HighsModelStatus.kOptimal)
