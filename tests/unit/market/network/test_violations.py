"""Violations counted by hand."""

import numpy as np

from market.network.violations import Violations


def test_two_runs_of_one_line_and_one_of_another_are_three_episodes() -> None:
    """Line 1 is over in steps 0, 1 and 3, line 2 in step 1: four steps of 5 min, the worst 0.3."""
    excess = np.array([[0.1, -0.2], [0.2, 0.3], [-0.1, -0.1], [0.05, -0.1]])
    assert Violations.of(excess, step_minutes=5) == Violations(count=3, minutes=20.0, depth=0.3)


def test_a_limit_that_just_holds_and_one_that_is_not_known_are_no_violations() -> None:
    assert Violations.of(np.array([[0.0, np.nan], [1e-12, np.nan]]), step_minutes=15) == Violations(0, 0.0, 0.0)
