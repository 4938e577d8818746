"""What a supplier's asks and offers look like where it is pivotal and where not, and how alike two of them ask."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.ledger.surveillance import Supplied, similarity_finding, supplier_finding


def supplied(ask: float, *, pivotal: int = 0, offered: float | None = 0.8) -> Supplied:
    return Supplied(
        ask_eur_per_mwh=ask,
        offered=offered,
        needed_periods=4,
        pivotal_periods=pivotal,
        contribution_eur=Decimal("0.5"),
        promised_eur=Decimal(2),
    )


def test_who_asks_more_where_it_is_pivotal_is_conspicuous() -> None:
    """Eight auctions around 40 EUR/MWh in which it is not needed, eight around 90 in half of whose periods it is.

    All 64 pairs stand the same way round: z = (100 - 68) / sqrt(8 x 8 x 17 / 12 less ties) > 3.
    """
    cheap, dear = ([supplied(ask + at % 2, pivotal=way) for at in range(8)] for ask, way in ((40, 0), (90, 2)))
    found = supplier_finding("street", "a", cheap + dear)

    assert found.verdict == "conspicuous"
    assert found.ask_score > 3 > found.offer_score
    assert (found.pivotal_periods, found.needed_periods, found.pivotal_index) == (16, 64, 0.25)
    assert found.asked_pivotal_eur_per_mwh == Decimal("90.5")
    assert found.asked_otherwise_eur_per_mwh == Decimal("40.5")
    assert (found.contribution_eur, found.promised_eur) == (Decimal(8), Decimal(32))


def test_who_offers_less_where_it_is_pivotal_is_conspicuous() -> None:
    auctions = [supplied(40, offered=0.8 + at / 100) for at in range(8)]
    auctions += [supplied(40, pivotal=1, offered=0.3 + at / 100) for at in range(8)]
    found = supplier_finding("street", "a", auctions)

    assert found.verdict == "conspicuous"
    assert found.offer_score > 3
    assert found.ask_score == 0, "asks are all the same"


def test_six_auctions_of_each_say_nothing_yet() -> None:
    found = supplier_finding(
        "street", "a", [supplied(40 + at) for at in range(6)] + [supplied(90 + at, pivotal=4) for at in range(6)]
    )

    assert (found.ask_score, found.verdict) == (0, "pivotal")


@given(st.lists(st.floats(10, 900), min_size=7, max_size=7, unique=True))
def test_who_asks_alike_everywhere_is_never_conspicuous(asks: list[float]) -> None:
    auctions = [supplied(each, pivotal=at) for each in asks for at in (0, 4)]

    assert supplier_finding("street", "a", auctions).verdict == "pivotal"


def test_two_that_move_together_near_each_other_are_conspicuous_and_two_that_stand_still_are_not() -> None:
    """Asks 1 % apart that go up and down on the same days; asks that never change say nothing of each other."""
    days = [40.0, 55.0, 48.0, 70.0, 52.0, 61.0, 45.0, 66.0]
    together = similarity_finding("street", "a", "b", [(ask, 1.01 * ask) for ask in days])
    still = similarity_finding("street", "a", "b", [(40.0, 40.0)] * 8)
    apart = similarity_finding("street", "a", "b", [(ask, 1.5 * ask) for ask in days])

    assert (together.verdict, together.correlation) == ("conspicuous", 1.0)
    assert together.distance == pytest.approx(0.01 / 1.01, abs=1e-6)
    assert (still.verdict, still.correlation, still.distance) == ("inconspicuous", None, 0)
    assert apart.verdict == "inconspicuous"
    assert similarity_finding("street", "a", "b", [(ask, ask) for ask in days[:6]]).verdict == "too_few_auctions"


def test_two_with_costs_of_their_own_are_not_conspicuous() -> None:
    random = np.random.default_rng(1)
    pairs = [(float(a), float(b)) for a, b in random.uniform(30, 60, (200, 2))]

    assert similarity_finding("street", "a", "b", pairs).verdict == "inconspicuous"
