"""Whether what is nominated is drawn where nothing is ordered, and how often an honest one is named."""

import pytest
from scipy.stats import binom, norm

from market.ledger.gaming import THRESHOLD
from market.ledger.overstating import overstatement


def test_a_score_says_what_the_exact_probability_does() -> None:
    """Ten of ten above: 1 in 1024, 3.10 standard deviations; nine of nine, 1 in 512, are 2.88 and not enough."""
    ten, nine = (overstatement([(15_000, 10_000)] * count) for count in (10, 9))

    assert norm.sf(ten.score) == pytest.approx(2**-10)
    assert norm.sf(nine.score) == pytest.approx(2**-9)
    assert ten.score > THRESHOLD > nine.score
    assert ten.deliveries == 10
    assert ten.share == pytest.approx(1 / 3)


def test_what_is_above_as_often_as_below_says_nothing_and_more_drawn_than_nominated_is_the_other_way_round() -> None:
    balanced = overstatement([(11_000, 10_000), (10_000, 11_000)] * 8)
    above, below = (
        overstatement([(10_000 + way, 10_000)] * 14 + [(10_000 - way, 10_000)] * 2) for way in (2_000, -2_000)
    )

    assert (balanced.score, balanced.share) == (0, 0)
    assert above.score == -below.score == pytest.approx(norm.isf((1 + 16 + 120) / 2**16)), "14 or more of 16"
    assert (above.share > 0, below.share < 0) == (True, True)


def test_nothing_nominated_and_nothing_drawn_has_no_sign() -> None:
    assert overstatement([]).score == 0
    assert overstatement([(0, 0)] * 30).score == 0
    assert overstatement([(1_000.4, 1_000)] * 30).score == 0, "less than a watt-hour is rounding"


@pytest.mark.parametrize("deliveries", [1, 9, 10, 16, 28, 60])
def test_who_is_above_as_often_as_below_is_named_less_than_once_in_740_reports(deliveries: int) -> None:
    """Every outcome of so many fair coins, with its probability."""
    named = 0.0
    for above in range(deliveries + 1):
        pairs = [(11_000.0, 10_000.0)] * above + [(10_000.0, 11_000.0)] * (deliveries - above)
        named += (overstatement(pairs).score >= THRESHOLD) * float(binom.pmf(above, deliveries, 0.5))

    assert named < 1 / 740
    assert (named > 0) == (deliveries >= 10)
