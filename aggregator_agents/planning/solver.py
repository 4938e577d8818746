"""Programmes solved by HiGHS, one after another, each from where the last one ended.

What a programme may take is counted in steps of the algorithm, not in seconds: so the same programmes have the same
answers, however busy the machine is. A wall clock ends what takes longer where somebody waits for the answer.
"""

from dataclasses import dataclass
from math import inf
from typing import Final, Self

import highspy
import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.planning.program import IntArray, Program

_OPTIONS: Final[dict[str, str | int | float | bool]] = {
    "output_flag": False,
    "threads": 1,
    "parallel": "off",
    "random_seed": 0,
    # What presolve and scaling save of these programmes is less than what they take: half of the time, measured.
    "presolve": "off",
    "simplex_scale_strategy": 0,
}
_ITERATIONS_EACH: Final = 10
"""Of the simplex method, for each variable and constraint; a third of one is what plans take."""
_NODES: Final = 500
"""Of the search for whole amps; nearly all plans end at the first one."""
_FEASIBLE: Final = int(highspy.SolutionStatus.kSolutionStatusFeasible)
_LOWER, _BASIC = highspy.HighsBasisStatus.kLower, highspy.HighsBasisStatus.kBasic


class NoPlan(Exception):
    """The solver ended without a solution."""


@dataclass(frozen=True, eq=False)
class Solution:
    """values : (column,). objective : of them. optimal : whether nothing is better, within the gap asked for."""

    values: FloatArray
    objective: float
    optimal: bool


class _Statuses:
    """Of variables, or of constraints, in the last optimum, by their keys."""

    def __init__(self, keys: IntArray, statuses: list[highspy.HighsBasisStatus]) -> None:
        order = np.argsort(keys)
        # Item by item: of a whole list numpy asks each whether it is an array itself.
        self._keys, self._statuses = keys[order], np.fromiter(statuses, dtype=object, count=len(statuses))[order]

    def of(self, keys: IntArray, *, unknown: highspy.HighsBasisStatus) -> list[highspy.HighsBasisStatus]:
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found = self._statuses[at]
        found[self._keys[at] != keys] = unknown
        statuses: list[highspy.HighsBasisStatus] = found.tolist()
        return statuses


class _Silent(highspy.Highs):
    """A HiGHS that does not greet: version 1.16 does, while it is made, before options can be set."""

    def enableCallbacks(self) -> None:  # noqa: N802 - highspy calls it so
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()  # type: ignore[no-untyped-call]


class Solver:
    """One HiGHS, and the basis of the last optimum."""

    def __init__(self) -> None:
        """With one thread and a fixed seed: the same programmes have the same answers."""
        self._highs = _Silent()  # type: ignore[no-untyped-call]
        for name, option in _OPTIONS.items():
            self._highs.setOptionValue(name, option)
        self._columns: _Statuses | None = None
        self._rows: _Statuses | None = None

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        """Kept and restored, it starts anew: HiGHS cannot be written down, and a basis only saves time."""
        return type(self), ()

    @property
    def used_s(self) -> float:
        """What it has taken until now, by its own clock."""
        used: float = self._highs.getRunTime()
        return used

    def linear(self, program: Program, *, within_s: float = inf) -> Solution:
        """The optimum of a programme without its whole numbers. Raises NoPlan without one in time."""
        self._pass(program, whole=False)
        columns, rows = np.concatenate(program.column_keys), np.concatenate(program.row_keys)
        if self._columns is not None and self._rows is not None:
            start = highspy.HighsBasis()
            start.col_status = self._columns.of(columns, unknown=_LOWER)
            start.row_status = self._rows.of(rows, unknown=_BASIC)
            # As good as any other start; HiGHS makes a basis of it.
            start.alien = True
            self._highs.setBasis(start)
        found = self._run(within_s)
        if not found.optimal:
            raise NoPlan("out of time, or of steps")
        basis = self._highs.getBasis()
        self._columns = _Statuses(columns, basis.col_status)
        self._rows = _Statuses(rows, basis.row_status)
        return found

    def fixed(self, columns: IntArray, values: FloatArray, *, within_s: float = inf) -> Solution:
        """The optimum of the programme of `linear` once some variables are known. Raises NoPlan without one in time."""
        self._highs.changeColsBounds(len(columns), columns.astype(np.int32), values, values)
        found = self._run(within_s)
        if not found.optimal:
            raise NoPlan("out of time, or of steps")
        return found

    def mixed(self, program: Program, start: FloatArray, *, gap: float, within_s: float = inf) -> Solution:
        """The optimum with whole numbers, or the best that was found in time. Raises NoPlan where nothing was.

        start : (column,) a solution that is known already. gap : what may be missing to the optimum, relative.
        """
        self._pass(program, whole=True)
        self._highs.setOptionValue("mip_rel_gap", gap)
        known = highspy.HighsSolution()
        known.col_value = start.tolist()
        self._highs.setSolution(known)
        return self._run(within_s)

    def _pass(self, program: Program, *, whole: bool) -> None:
        self._highs.clearSolver()
        if self._highs.passModel(program.to_highs(whole=whole)) == highspy.HighsStatus.kError:
            raise NoPlan("the programme was refused")

    def _run(self, within_s: float) -> Solution:
        # HiGHS counts run time over the life of the instance.
        self._highs.setOptionValue("time_limit", self.used_s + max(within_s, 0.0))
        size = self._highs.getNumCol() + self._highs.getNumRow()
        self._highs.setOptionValue("simplex_iteration_limit", _ITERATIONS_EACH * size)
        self._highs.setOptionValue("mip_max_nodes", _NODES)
        self._highs.run()
        status = self._highs.getModelStatus()
        info = self._highs.getInfo()
        if info.primal_solution_status != _FEASIBLE:
            raise NoPlan(self._highs.modelStatusToString(status))
        values = np.array(self._highs.getSolution().col_value, dtype=np.float64)
        return Solution(values, info.objective_function_value, status == highspy.HighsModelStatus.kOptimal)
