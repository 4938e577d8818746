"""From risk to limits, by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dso_agents.risk import Risk, tightened

NINETEEN = np.arange(81.0, 100.0)[:, None]  # 81, 82 ... 99 A in one period


def test_the_limit_is_as_far_below_the_rating_as_the_quantile_is_above_the_mean() -> None:
    """Of 81 ... 99 A, the 18th of 19 is exceeded with 10 % at 18 / 20: 98 A, 8 A above the mean of 90 A."""
    found = tightened(NINETEEN, np.array([90.0]), 95.0, risk=Risk(probability=0.1), period_minutes=60)

    assert found.limit == pytest.approx([87.0])
    assert found.probability == pytest.approx([4 / 19])
    assert found.affected == (True,)


def test_what_is_exceeded_rarely_enough_is_left_alone() -> None:
    found = tightened(NINETEEN, np.array([90.0]), 98.5, risk=Risk(probability=0.1), period_minutes=60)

    assert found.limit == pytest.approx([90.5])
    assert found.affected == (False,)


def test_a_forecast_without_any_error_may_use_the_whole_rating() -> None:
    found = tightened(np.full((1, 1), 90.0), np.array([90.0]), 95.0, risk=Risk(), period_minutes=60)

    assert found.limit == pytest.approx([95.0])


def test_what_no_network_can_carry_counts_as_half_as_much_again() -> None:
    """Two of four cannot be carried: 1.5 x 95 A, 50.5 A above the 92 A expected."""
    sample = np.array([[90.0], [94.0], [np.inf], [np.inf]])
    found = tightened(sample, np.array([92.0]), 95.0, risk=Risk(probability=0.3), period_minutes=60)

    assert found.probability == pytest.approx([0.5])
    assert found.limit == pytest.approx([95 - (1.5 * 95 - 92)])


def test_minutes_are_shared_out_over_the_periods_at_risk() -> None:
    """0.05 + 0.2 + 0.6 of an hour at risk, 21 minutes accepted: 0.05 + 2 x 0.15 hours."""
    probability = np.array([0.2, 0.05, 0.0, 0.6])

    accepted = Risk(probability=0.5, minutes=21).accepted(probability, period_minutes=60)

    assert accepted == pytest.approx(0.15)


def test_minutes_that_are_enough_leave_the_probability_as_it_is() -> None:
    assert Risk(probability=0.1, minutes=100).accepted(np.array([0.2, 0.3]), period_minutes=60) == 0.1


@given(
    probability=st.lists(st.floats(0, 1), min_size=1, max_size=20).map(np.array),
    minutes=st.floats(0, 600),
    most=st.floats(0.01, 0.99),
)
def test_no_more_minutes_remain_than_were_accepted(probability: np.ndarray, minutes: float, most: float) -> None:
    accepted = Risk(probability=most, minutes=minutes).accepted(probability, period_minutes=15)

    assert accepted <= most
    assert 15 * np.minimum(probability, accepted).sum() <= minutes + 1e-6


@settings(max_examples=50)
@given(
    sample=arrays(np.float64, st.tuples(st.integers(10, 60), st.just(1)), elements=st.integers(0, 200)),
    bound=st.floats(1, 200),
    accepted=st.floats(0.05, 0.5),
    bought=st.floats(0, 200),
)
def test_a_plan_within_the_limit_keeps_the_risk(
    sample: np.ndarray, bound: float, accepted: float, bought: float
) -> None:
    """Whatever is bought moves all scenarios alike: once the mean is within the limit, few enough exceed the bound."""
    expected = sample.mean(axis=0)
    found = tightened(sample, expected, bound, risk=Risk(probability=accepted), period_minutes=15)
    bought_enough = max(bought, float(expected[0] - found.limit[0]))

    assert (sample - bought_enough > bound + 1e-9).mean() <= accepted
