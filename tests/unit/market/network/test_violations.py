"""Violations counted by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from market.network.violations import Violations, episodes


def test_two_runs_of_one_line_and_one_of_another_are_three_episodes() -> None:
    """Line 1 is over in steps 0, 1 and 3, line 2 in step 1: four steps of 5 min, the worst 0.3."""
    excess = np.array([[0.1, -0.2], [0.2, 0.3], [-0.1, -0.1], [0.05, -0.1]])
    assert Violations.of(excess, step_minutes=5) == Violations(count=3, minutes=20.0, depth=0.3)


def test_a_limit_that_just_holds_and_one_that_is_not_known_are_no_violations() -> None:
    assert Violations.of(np.array([[0.0, np.nan], [1e-12, np.nan]]), step_minutes=15) == Violations(0, 0.0, 0.0)


@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.sampled_from([-1.0, 0.2, 0.7])))
def test_episodes_are_what_is_counted(excess: np.ndarray) -> None:
    found = [episode for _, episode in episodes(excess)]
    whole = Violations.of(excess, step_minutes=5)
    assert whole.count == len(found)
    assert whole.minutes == 5 * sum(each.count for each in found)
    assert whole.depth == max((each.depth for each in found), default=0.0)
