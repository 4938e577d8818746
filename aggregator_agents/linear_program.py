"""A linear program for HiGHS, built column by column and row by row."""

from collections.abc import Sequence

import highspy
import numpy as np

from aggregator_agents.fleet import FloatArray


class NoPlan(Exception):
    """The solver ended without an optimum."""


class LinearProgram:
    """minimise cost x subject to low <= A x <= high and bounds on x."""

    def __init__(self) -> None:
        """Without columns and rows."""
        self._costs, self._uppers = list[float](), list[float]()
        self._rows = list[tuple[Sequence[int], Sequence[float], float, float]]()

    def column(self, *, cost: float, upper: float = np.inf) -> int:
        """A variable of 0 to `upper`; returns its position."""
        self._costs.append(cost)
        self._uppers.append(upper)
        return len(self._costs) - 1

    def row(self, columns: Sequence[int], weights: Sequence[float], *, low: float = -np.inf, high: float) -> None:
        """Keep the weighted sum of some variables between `low` and `high`."""
        self._rows.append((columns, weights, low, high))

    def solve(self) -> FloatArray:
        """(column,) the optimum; NoPlan without one."""
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self._costs), len(self._rows)
        lp.col_cost_, lp.col_lower_ = np.array(self._costs), np.zeros(len(self._costs))
        lp.col_upper_ = np.array(self._uppers)
        lp.row_lower_ = np.array([row[2] for row in self._rows])
        lp.row_upper_ = np.array([row[3] for row in self._rows])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.cumsum([0] + [len(row[0]) for row in self._rows])
        lp.a_matrix_.index_ = np.array([at for row in self._rows for at in row[0]], dtype=np.int32)
        lp.a_matrix_.value_ = np.array([weight for row in self._rows for weight in row[1]], dtype=np.float64)
        solver = highspy.Highs()  # type: ignore[no-untyped-call]
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("log_to_console", False)
        solver.setOptionValue("threads", 1)
        solver.passModel(lp)
        solver.run()
        status = solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise NoPlan(solver.modelStatusToString(status))
        return np.array(solver.getSolution().col_value, dtype=np.float64)
