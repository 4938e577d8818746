"""The step's linear programme is said twice: as arrays (program.py) and in Pyomo (model.py). Both say the same."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pyomo.contrib.appsi.solvers import Highs
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from api_spec.case import Case
from market.clearing.dispatch import baseline_dispatch, dispatches
from market.clearing.linearisation import Linearisation, Rows
from market.clearing.model import build_model
from market.clearing.problem import ClearingProblem, problem_of
from market.clearing.program import Bounds, Program, program_of
from market.clearing.solve import BASIC, Solution, Solver
from market.network.model import FloatArray
from tests.random_markets import markets
from tests.small_cases import Document

SOME = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
SMALL = 1e-7


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a random market in both forms: around the baseline, or half the way to where that one leads."""

    rows: Rows
    program: Program
    model: Any

    @classmethod
    def of(cls, document: Document, *, half_way: bool) -> "Step":
        problem = problem_of(Case.model_validate(document))
        bounds = Bounds(np.zeros(len(problem.columns)), problem.columns.upper_mw)
        dispatch = baseline_dispatch(problem)
        if half_way:
            first = Solver().solve(standard_form(problem, Linearisation(problem, dispatch)), time_limit_s=10)
            (dispatch,) = dispatches(problem, [first.accepted_mw / 2], dispatch)
        point = Linearisation(problem, dispatch)
        rows = near(point)
        return cls(rows, standard_form(problem, point), build_model(point, rows, bounds))


def near(point: Linearisation) -> Rows:
    """Limits that are exceeded, or not far from it."""
    return point.rows(point.dispatch.excess > -0.3)


def standard_form(problem: ClearingProblem, point: Linearisation) -> Program:
    """The programme over all columns, without integers."""
    bounds = Bounds(np.zeros(len(problem.columns)), problem.columns.upper_mw)
    return program_of(point, near(point), bounds, np.arange(len(problem.columns)))


@SOME
@given(markets(), st.booleans())
def test_limits_costs_and_bounds_have_the_same_numbers(document: Document, half_way: bool) -> None:
    """The rows of running energy differ: the arrays leave out those that the others imply."""
    step = Step.of(document, half_way=half_way)
    program, model = step.program, step.model

    compiled = LinearStandardFormCompiler().write(model, mixed_form=True)
    of_limits = [at for at, (row, _) in enumerate(compiled.rows) if row.parent_component() is model.limit]
    matrix, place = compiled.A.toarray(), {variable.name: at for at, variable in enumerate(compiled.columns)}
    k, u = len(program.chosen), program.unmet_at
    names = {**{j: f"accepted[{j}]" for j in range(k)}, **{u + j: f"unmet[{j}]" for j in range(len(step.rows.price))}}

    dense = np.zeros((len(program.row_low), len(program.cost)))
    np.add.at(dense, (program.entry_row, program.entry_column), program.entry_value)
    mine = dense[: len(step.rows)]
    for variable, name in names.items():
        theirs = matrix[of_limits, place[name]] if name in place else np.zeros(len(of_limits))
        assert mine[:, variable] == pytest.approx(theirs, rel=1e-12, abs=1e-12), name
        own = model.accepted[variable] if variable < k else model.unmet[variable - u]
        assert (own.lb, own.ub if own.ub is not None else np.inf) == (program.low[variable], program.high[variable])
    assert program.row_high[: len(step.rows)] == pytest.approx(np.array(compiled.rhs)[of_limits], rel=1e-12, abs=1e-12)
    cost = compiled.c.toarray()[0]
    priced = [name for name in names.values() if name in place]
    assert [program.cost[variable] for variable, name in names.items() if name in place] == pytest.approx(
        [cost[place[name]] for name in priced], rel=1e-12, abs=1e-12
    )


@SOME
@given(markets(), st.booleans())
def test_optimum_and_prices_are_the_same(document: Document, half_way: bool) -> None:
    """Equal cost always; equal acceptance and equal shadow prices wherever these are unique."""
    step = Step.of(document, half_way=half_way)
    assume(len(step.rows) > 0)
    program, model, unit = step.program, step.model, step.program.problem.unit_mw

    solution = Solver().solve(program, time_limit_s=10)
    variables = np.concatenate([solution.accepted_mw / unit, solution.energy / unit, solution.unmet])
    found = solved(model)

    scale = max(1.0, float(np.abs(program.cost[: len(program.chosen)]).sum()))
    assert float(program.cost @ variables) == pytest.approx(pyo.value(model.cost), abs=1e-7 * scale)
    if one_acceptance(program, solution):
        accepted = [pyo.value(model.accepted[column]) for column in range(len(program.chosen))]
        assert variables[: len(program.chosen)] == pytest.approx(accepted, abs=SMALL)
    if one_price(program, solution, variables):
        assert solution.shadow / unit == pytest.approx([-found[model.limit[row]] for row in model.limit], abs=1e-5)


def solved(model: Any) -> dict[Any, float]:
    """Solve with Pyomo's HiGHS; returns the dual of every constraint, d(objective)/d(right-hand side)."""
    solver = Highs()
    solver.config.stream_solver = False
    solver.highs_options = {"threads": 1, "primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9}
    result = solver.solve(model)
    duals: dict[Any, float] = result.solution_loader.get_duals()
    return duals


def one_acceptance(program: Program, solution: Solution) -> bool:
    """Whether every variable that stands at a bound would cost something to move: then no other optimum is as good."""
    nonbasic = np.array(solution.column_basis) != BASIC
    shadow, reduced = solution.shadow, np.zeros(len(program.cost))
    price = np.concatenate([-shadow / program.problem.unit_mw, np.zeros(len(program.energies))])
    reduced[: len(program.chosen)] = solution.reduced_cost
    reduced[len(program.chosen) : program.unmet_at] = solution.energy_price
    unmet = program.entry_column >= program.unmet_at
    reduced[program.unmet_at :] = program.cost[program.unmet_at :]
    np.add.at(reduced, program.entry_column[unmet], -(price[program.entry_row] * program.entry_value)[unmet])
    tight = np.array(solution.row_basis)[: len(shadow)] != BASIC
    return bool((np.abs(reduced[nonbasic]) > SMALL).all() and (shadow[tight] > SMALL).all())


def one_price(program: Program, solution: Solution, variables: FloatArray) -> bool:
    """Whether nothing basic stands at a bound: then no other prices support the same acceptance."""
    basic = np.array(solution.column_basis) == BASIC
    loose = np.array(solution.row_basis)[: len(program.rows)] == BASIC
    activity = np.zeros(len(program.row_low))
    np.add.at(activity, program.entry_row, program.entry_value * variables[program.entry_column])
    room = np.minimum(variables - program.low, program.high - variables)[basic]
    left = (program.row_high - activity)[: len(program.rows)][loose]
    return bool((room > SMALL).all() and (left > SMALL).all())
