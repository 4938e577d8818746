"""The only caller of the solver: HiGHS, one thread, pinned options."""

from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.appsi.base import TerminationCondition
from pyomo.contrib.appsi.solvers import Highs

from market.clearing.problem import ClearingProblem
from market.errors import SolverFailed
from market.network.model import FloatArray

_OPTIONS: Final = {
    "threads": 1,
    "random_seed": 0,
    "solver": "simplex",
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}

_ONE_AT_A_TIME: Final = Lock()
"""Pyomo redirects the output of the whole process while HiGHS runs; two at once would wait for each other forever."""


@dataclass(frozen=True, eq=False)
class Step:
    """Solution of one linear programme.

    accepted_mw : (column,). unmet : (unmet,) relative, see `Rows`. shadow : (row,) what relaxing a limit by one
    relative unit saves [EUR/h], not negative. reduced_cost : (column,) [EUR/MWh]. energy_mwh, energy_price : (envelope,
    period) running energy and the reduced cost of its bound [EUR/MWh].
    """

    accepted_mw: FloatArray
    unmet: FloatArray
    shadow: FloatArray
    reduced_cost: FloatArray
    energy_mwh: FloatArray
    energy_price: FloatArray


def solve(model: pyo.ConcreteModel, problem: ClearingProblem, *, unit_mw: float, time_limit_s: float) -> Step:
    """Solve a model of `build_model`, made with the same unit_mw.

    Raises SolverFailed with the solver's status where it is not optimal; nothing is loaded then.
    """
    m: Any = model
    shape = (len(problem.envelopes), problem.periods)
    if len(m.accepted) + len(m.unmet) == 0:
        return _nothing_to_choose(shape)
    highs = Highs()
    highs.config.load_solution = False
    highs.config.time_limit = time_limit_s
    highs.highs_options = dict(_OPTIONS)
    with _ONE_AT_A_TIME:
        answer = highs.solve(m)
    if answer.termination_condition is not TerminationCondition.optimal:
        raise SolverFailed(answer.termination_condition.name)
    values, reduced = highs.get_primals(), highs.get_reduced_costs()
    duals = highs.get_duals([m.limit[row] for row in m.limit])
    accepted, energy = list(m.accepted.values()), list(m.energy.values())
    return Step(
        accepted_mw=np.array([values[v] for v in accepted]) * unit_mw,
        unmet=np.array([values[m.unmet[k]] for k in m.unmet]),
        shadow=np.array([max(-duals[m.limit[row]], 0.0) for row in m.limit]) * unit_mw,
        reduced_cost=np.array([reduced[v] for v in accepted]),
        energy_mwh=np.array([values[v] for v in energy]).reshape(shape) * unit_mw * problem.hours,
        energy_price=np.array([reduced[v] for v in energy]).reshape(shape),
    )


def _nothing_to_choose(shape: tuple[int, int]) -> Step:
    """The answer to a model without variables, which HiGHS refuses to call optimal."""
    none = np.zeros(0)
    return Step(none, none, none, none, np.zeros(shape), np.zeros(shape))
