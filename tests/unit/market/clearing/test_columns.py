"""What can be accepted of an offer becomes a column, and nothing else does."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from api_spec.case import Case
from market.clearing.problem import problem_of
from tests.small_cases import document, envelope, line, load

PERIODS = 4
SMALL = st.integers(0, 2)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(*(st.lists(SMALL, min_size=PERIODS, max_size=PERIODS) for _ in range(4)))
def test_a_fleet_has_a_column_wherever_its_running_energy_leaves_it_room(
    down: list[int], up: list[int], least: list[int], most: list[int]
) -> None:
    """A few kW either way and bounds of a few kWh: room is what a linear programme finds there.

    Without this, columns that can only ever be 0 leave a programme without an inside, and the central path nowhere.
    """
    bounds = ([-1000 * w for w in down], [1000 * w for w in up]), ([-1000 * e for e in least], [1000 * e for e in most])
    case = document(
        lines=[line("l1", "s", "far")],
        baseline=[load("far", *[1e5] * PERIODS)],
        offers=[envelope("fleet", "far", *bounds, 50.0)],
        resolution="PT1H",
    )

    fleets = problem_of(Case.model_validate(case)).envelopes

    running = np.tril(np.ones((PERIODS, PERIODS)))
    limits = {"A_ub": np.vstack([running, -running]), "b_ub": np.concatenate([most, least])}
    for t in range(PERIODS):
        for sign, column in ((1.0, fleets.less[0, t]), (-1.0, fleets.more[0, t])):
            furthest = linprog(
                sign * (np.arange(PERIODS) == t), bounds=list(zip(np.negative(down), up, strict=True)), **limits
            )
            assert (column >= 0) == (furthest.fun < -1e-6), (t, sign)
