"""Prices of what is left unmet come to rest where they are what is seen from where they lead."""

from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from api_spec.case import Case
from market.clearing import clear
from market.clearing.dispatch import baseline_dispatch
from market.clearing.linearisation import Linearisation, Rows
from market.clearing.problem import problem_of
from market.clearing.unmet_prices import UnmetPrices
from tests.small_cases import case, document, limit, line, load, price

STEADY: Final = 1e-6


def overloaded() -> tuple[Linearisation, Rows]:
    """One line above its limit in two periods, as seen from the baseline: both its ends share what is left unmet."""
    asked = document(
        lines=[line("l1", "s", "b1", r_ohm=0.1, x_ohm=0.1)],
        baseline=[load("b1", 2e5, 3e5)],
        offers=[],
        requests=[
            {"id": "c", "kind": "congestion", "element": "l1", "limit_a": 5, "max_price_eur_per_mwh": 1000},
        ],
    )
    problem = problem_of(Case.model_validate(asked))
    dispatch = baseline_dispatch(problem)
    point = Linearisation(problem, dispatch)
    return point, point.rows(dispatch.excess > 0)


def looks_until_rest(*answers: float, most: int = 50) -> tuple[int, float]:
    """How often the market is seen until prices rest, and how far from 1 these then are.

    What is seen are prices of 1 + answer * (last - 1), in logarithms: 1 is where both agree. First they are e.
    answers : of each period, or the same of both.
    """
    point, rows = overloaded()
    prices, last = UnmetPrices(point.problem), None
    for look in range(most):
        seen = np.ones(len(rows.price)) if last is None else np.array(answers) * last
        priced, rests = prices.at(point, replace(rows, price=np.exp(seen)), STEADY)
        if last is not None and rests:
            return look, float(np.abs(np.log(priced.price)).max())
        last = np.log(priced.price)
    raise AssertionError(f"not at rest after {most} looks")


@pytest.mark.parametrize("answer", [0.5, -0.9, -3.0, 0.8])
def test_prices_that_answer_evenly_rest_after_four_looks(answer: float) -> None:
    """The first sees them, the second where they lead, the third goes where they would rest, the fourth finds it so.

    Gone as far as seen each time, they would take 20 looks at 0.5, 130 at -0.9, and go apart at -3.
    """
    looks, apart = looks_until_rest(answer)

    assert looks <= 3
    assert apart < STEADY / (1 - answer)


def test_prices_that_answer_each_in_its_own_way_rest_as_soon_as_their_ways_are_known() -> None:
    """With two answers one look more than with one. A pace for both would be right for neither."""
    looks, apart = looks_until_rest(0.5, -3.0)

    assert looks <= 4
    assert apart < STEADY / (1 - 0.5)


def test_the_point_keeps_to_the_prices_that_rows_have() -> None:
    point, rows = overloaded()
    prices = UnmetPrices(point.problem)

    priced, _ = prices.at(point, rows, STEADY)

    whole = point.problem.limits.whole[rows.limit]
    assert point.slack_price[rows.period, whole] == pytest.approx(priced.price[rows.unmet])


def test_prices_seen_nearly_where_they_are_stay() -> None:
    point, rows = overloaded()
    prices = UnmetPrices(point.problem)
    first, _ = prices.at(point, rows, STEADY)

    again, rests = prices.at(point, replace(rows, price=rows.price * (1 + STEADY / 2)), STEADY)

    assert rests
    assert again.price == pytest.approx(first.price, rel=1e-12)


def test_a_limit_that_stays_unmet_adds_its_maximum_price_and_no_other_end_of_the_line_counts() -> None:
    """100 A or so at either end of a cable, whose charging makes its ends differ, where 50 are asked for.

    What is left unmet is what the worse end exceeds, so the price of the far bus rises by the 300 EUR/MWh of the
    request: one MWh less there would be worth as much.
    """
    asked = {
        "id": "r",
        "dso": "d",
        "kind": "congestion",
        "element": "l1",
        "limit_a": 50.0,
        "max_price_eur_per_mwh": 300,
    }
    cable = line("l1", "s", "far", r_ohm=1.5, x_ohm=0.3, b_s=4e-3)

    result = clear(case(lines=[cable], baseline=[load("far", 1.7e6, q_var=(5e5,))], requests=[asked]))

    assert limit(result, "r").unmet > 40
    assert float(price(result, "far").congestion[0]) == pytest.approx(300, abs=1e-4)
