"""Whether what is nominated is drawn where nothing is ordered, and how often an honest one is named."""

import numpy as np
import pytest
from scipy.stats import norm

from market.ledger.gaming import THRESHOLD
from market.ledger.overstating import overstatement_score, undrawn_share


def score(*more_wh: float) -> float:
    drawn_wh = np.full(len(more_wh), 10_000.0)
    return overstatement_score(drawn_wh + np.array(more_wh), drawn_wh)


def test_a_score_says_what_the_exact_probability_does() -> None:
    """Ten of ten above: one of 2^10 choices of signs, 3.10 standard deviations; nine of nine are 2.88, not enough."""
    assert norm.sf(score(*range(1_000, 1_010))) == pytest.approx(2**-10)
    assert norm.sf(score(*range(1_000, 1_009))) == pytest.approx(2**-9)
    assert score(*range(1_000, 1_010)) > THRESHOLD > score(*range(1_000, 1_009))


def test_a_small_error_the_other_way_counts_little() -> None:
    """1 below, 2 and 3 above: of eight choices of signs, W = 5 and 6 reach 5, so that P = 2/8."""
    assert norm.sf(score(-1_000, 2_000, 3_000)) == pytest.approx(2 / 8)
    assert score(1_000, -2_000, -3_000) == pytest.approx(-score(-1_000, 2_000, 3_000)), "below, as sure as above"
    assert score(-1_000, 2_000) == pytest.approx(-norm.ppf(2 / 4))


def test_nothing_nominated_and_nothing_drawn_has_no_sign() -> None:
    assert score() == 0
    assert score(*[0.4] * 30) == 0, "less than a watt-hour is rounding"


def test_a_share_is_of_what_was_nominated() -> None:
    """15 and 5 kWh nominated, 10 and 6 drawn: 4 of 20."""
    assert undrawn_share(np.array([15e3, 5e3]), np.array([10e3, 6e3])) == pytest.approx(0.2)
    assert undrawn_share(np.zeros(3), np.ones(3)) == 0


def test_honest_errors_of_any_size_are_named_once_in_740_reports() -> None:
    """1000 honest reports over 28 deliveries, heavy tails: 1.4 are expected to be named, more than 6 once in 1500."""
    reports = 2_000 * np.random.default_rng(28).standard_t(3, size=(1_000, 28))

    assert sum(score(*report) >= THRESHOLD for report in reports) <= 6
