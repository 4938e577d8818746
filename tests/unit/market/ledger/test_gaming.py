"""The gaming report: who overstates is named, who moves with awards and draws it is not."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest

from api_spec.baselines import GamingFinding
from market.ledger.gaming import LEAST, THRESHOLD, Nominated, findings, rank_sum

EVENING = (17 * 60, 18 * 60)


def delivery(
    nominated: float,
    *,
    usual: float | None = 10_000,
    drawn: float | None = None,
    ordered: float = 0,
    clock: tuple[int, int] = EVENING,
    price: float = 100,
) -> Nominated:
    """Two hours; the order is delivered, as it was measured against the nomination. drawn : else what is usual."""
    both = np.ones(2)
    return Nominated(
        clock_min=clock,
        nominated_w=nominated * both,
        usual_w=None if usual is None else usual * both,
        ordered_w=ordered * both,
        delivered_w=ordered * both,
        metered_w=None if ordered else (drawn or usual or 0) * both,
        price_eur_per_mwh=price * both if ordered else 0 * both,
        others_w={"mid_8_of_10": ((usual or 0) - 500) * both} if ordered else {},
        hours=1.0,
    )


def finding(deliveries: Sequence[Nominated]) -> GamingFinding:
    """Of the only place there is."""
    (found,) = findings("street", [{("a", "lot"): each} for each in deliveries])
    return found


def test_rank_sum_by_hand() -> None:
    """4, 5, 6 above 1, 2, 3: R = 15, mean 10.5, variance 9/12 x 7 = 5.25: z = 4.5 / sqrt(5.25) = 1.964."""
    assert rank_sum([4, 5, 6], [1, 2, 3]) == pytest.approx(1.9640, abs=1e-4)
    assert rank_sum([1, 2, 3], [4, 5, 6]) == pytest.approx(-1.9640, abs=1e-4)
    assert rank_sum([7, 7], [7, 7, 7]) == 0


def test_ties_count_at_their_mean_rank() -> None:
    """1, 2 | 2, 3 have ranks 1, 2.5 | 2.5, 4: R = 3.5, mean 5, variance 4/12 x (5 - 6/12) = 1.5."""
    assert rank_sum([1, 2], [2, 3]) == pytest.approx(-1.5 / np.sqrt(1.5))


def test_what_moves_with_awards_is_told_with_what_it_earned_and_named_by_nothing() -> None:
    """2 kW more than usual whenever 5 kW are ordered: of 100 kWh in ten orders 40 kWh are inflation, 4 EUR at 100."""
    orders = [delivery(12_000 + k, ordered=-5_000) for k in range(10)]
    quiet = [delivery(10_000 + k) for k in range(20)]

    found = finding([*orders, *quiet])

    assert found.score > THRESHOLD
    assert found.inflation_w == 1995, "medians: 2004.5 with an award and 9.5 without"
    assert found.inflation_wh_per_mwh == pytest.approx(399_000, abs=1)
    assert found.earned_eur == Decimal("3.9900")
    assert found.methods == {"mid_8_of_10": 2504}
    assert found.other_error_w == 10
    assert (found.verdict, found.compared) == ("inconspicuous", 20), "what it draws on the others is within 1 %"


def test_an_increase_is_inflated_downwards() -> None:
    orders = [delivery(8_000 - k, ordered=5_000) for k in range(10)]
    quiet = [delivery(10_000 + k) for k in range(20)]

    found = finding([*orders, *quiet])

    assert found.score > THRESHOLD and found.inflation_w > 0
    assert finding([*[delivery(12_000 + k, ordered=5_000) for k in range(10)], *quiet]).score < 0


def test_a_constant_bias_moves_nothing_and_is_an_overstatement() -> None:
    """2 kW of 12 too much always: nothing moves with an award, and on 20 evenings of 20 a sixth is not drawn."""
    orders = [delivery(12_000 + k % 3, ordered=-5_000) for k in range(10)]
    quiet = [delivery(12_000 + k % 3) for k in range(20)]

    found = finding([*orders, *quiet])

    assert found.score < THRESHOLD
    assert found.verdict == "overstated"
    assert found.other_error_w == 2001
    assert found.overstatement == pytest.approx(1 / 6, abs=1e-4)


def test_an_increase_is_overstated_downwards() -> None:
    """It draws 12 kW where it nominates 10, and is paid for drawing more."""
    orders = [delivery(10_000, ordered=2_000)]
    quiet = [delivery(10_000, drawn=12_000)] * 10

    assert finding([*orders, *quiet]).verdict == "overstated"
    assert finding([delivery(10_000, ordered=-2_000), *quiet]).verdict == "inconspicuous"


def test_an_overstatement_needs_no_like_days_and_no_award_of_its_own() -> None:
    """Ten evenings without any history, at hours at which somebody else on the network is ordered to reduce."""
    other = {("b", "home"): delivery(10_000, ordered=-2_000)}

    def verdict(nominated: float, evenings: int, others: dict[tuple[str, str], Nominated] = other) -> str:
        own = {("a", "lot"): delivery(nominated, usual=None, drawn=10_000)}
        found = findings("street", [own | others] * evenings)
        return next(each.verdict for each in found if each.participant == "a")

    assert verdict(15_000, 10) == "overstated"
    assert verdict(15_000, 9) == "too_few_deliveries", "all of nine signs are alike once in 512 times: too often"
    assert verdict(10_400, 20) == "inconspicuous", "4 % are not material"
    assert verdict(15_000, 10, {}) == "too_few_deliveries", "where nothing is ever ordered, nothing is paid for"


def test_an_overstatement_is_judged_for_all_places_of_a_participant_and_said_of_those_that_have_it() -> None:
    """One home of two nominates half as much again; together 25 of 20 kW are nominated, on twenty evenings."""
    evening = {("a", "one"): delivery(15_000, drawn=10_000), ("a", "two"): delivery(10_000, drawn=10_000)}
    ordered = {place: delivery(10_000, ordered=-2_000) for place in evening}
    found = {each.bus: each for each in findings("street", [*[evening] * 20, ordered])}

    assert (found["one"].verdict, found["two"].verdict) == ("overstated", "inconspicuous")
    assert found["one"].overstatement == pytest.approx(1 / 3, abs=1e-6)
    assert found["one"].overstatement_score == found["two"].overstatement_score > THRESHOLD


def test_other_times_of_day_are_not_compared() -> None:
    morning = [delivery(10_000 + k, clock=(480, 540)) for k in range(20)]
    orders = [delivery(12_000 + k, ordered=-5_000) for k in range(10)]

    found = finding([*orders, *morning])

    assert (found.verdict, found.other, found.compared) == ("too_few_deliveries", 0, 0)


def test_nothing_is_said_of_few_deliveries() -> None:
    few = [delivery(90_000, ordered=-5_000)] * (LEAST - 1)

    found = finding([*few, *[delivery(10_000)] * 20])

    assert (found.score, found.earned_eur) == (0.0, Decimal(0))
    assert finding([*few, *[delivery(10_000)] * 9]).verdict == "too_few_deliveries"
    assert finding([*few, *[delivery(10_000)] * 10]).verdict == "inconspicuous"
