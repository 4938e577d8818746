"""A linear program, built column by column and row by row, and solved by the HiGHS in scipy."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

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
        columns = np.array([at for row in self._rows for at in row[0]], dtype=np.int32)
        weights = np.array([weight for row in self._rows for weight in row[1]], dtype=np.float64)
        starts = np.cumsum([0] + [len(row[0]) for row in self._rows])
        matrix = csr_array((weights, columns, starts), shape=(len(self._rows), len(self._costs)))
        low, high = np.array([row[2] for row in self._rows]), np.array([row[3] for row in self._rows])
        found = milp(self._costs, bounds=Bounds(0.0, self._uppers), constraints=LinearConstraint(matrix, low, high))
        if not found.success:
            raise NoPlan(found.message)
        return np.array(found.x, dtype=np.float64)
