"""Why a margin for risk has a price of its own, cleared by hand: a cable, two hours, a fleet that moves a third.

The cable carries 100 A; 1 A is an ampere of the far end at nominal voltage. Expected are 130 A, then 85 A, give or take
20 A: 80 A may be planned. The fleet can move 10 A from the first hour to the second, and asks 5 EUR/MWh of change. Both
hours are above 80 A whatever it does.
"""

from decimal import Decimal

import pytest

from api_spec.case import Case
from api_spec.result import Result
from dso_agents.congestion import Chance, Congestion, Overload
from dso_agents.requests import Asking, requests
from market.clearing import clear
from tests.small_cases import document, envelope, load
from tests.unit.dso_agents.days_on_a_street import EVENING
from tests.unit.dso_agents.street import VOLT_AMPS_PER_AMP, street

MOVED_W = round(10 * VOLT_AMPS_PER_AMP)


def cleared(asking: Asking, *, expected_a: tuple[float, float] = (130.0, 85.0), ask: float = 5.0) -> Result:
    chance = Chance(probability=(1.0, 0.4), accepted=0.05)
    found = Congestion(EVENING, (Overload("cable", 100.0, (80.0, 80.0), expected_a, chance),), ())
    network = street().model_dump(mode="json", by_alias=True, exclude_none=True)
    asked = [
        {"id": f"r{at}", "dso": "dso", **terms.model_dump(mode="json", exclude_none=True)}
        for at, terms in enumerate(requests(found, asking))
    ]
    fleet = envelope("fleet", "far", ([-MOVED_W, 0], [0, MOVED_W]), ([-MOVED_W, 0], [0, 0]), ask)
    case = document(
        lines=network["lines"],
        baseline=[load("far", *(each * VOLT_AMPS_PER_AMP for each in expected_a))],
        requests=asked,
        offers=[fleet],
    )
    return clear(Case.model_validate({**case, "network": network}))


def test_at_one_price_an_ampere_within_the_margin_is_worth_as_much_as_one_above_the_rating() -> None:
    """50 A and 5 A are missing; moved, 40 A and 15 A: as much, and moving costs 2 x 5 EUR/MWh. Nothing moves."""
    result = cleared(Asking(risk_price_eur_per_mwh=Decimal(1000), shoulder=0))

    assert result.offers[0].power_w == (0, 0)
    assert [round(limit.after) for limit in result.limits if limit.request] == [130, 85]


def test_with_a_price_of_its_own_for_the_margin_the_overload_is_relieved_first() -> None:
    """Of 30 A above the rating 20 are left, which saves 1000 EUR/MWh; the margin costs 250 in either hour."""
    result = cleared(Asking(shoulder=0))

    assert result.offers[0].power_w == pytest.approx((-MOVED_W, MOVED_W), abs=2)
    left = {(limit.request, limit.period): limit.unmet for limit in result.limits if limit.request}
    assert left == pytest.approx({("r0", 0): 20, ("r1", 0): 40, ("r1", 1): 15}, abs=0.01)


@pytest.mark.parametrize(("expected_a", "moved_w"), [((130.0, 85.0), MOVED_W), ((95.0, 60.0), 0)])
def test_dear_flexibility_is_bought_for_the_rating_and_not_for_the_margin(
    expected_a: tuple[float, float], moved_w: int
) -> None:
    """Two changes of an MWh at 200 EUR each: between the 250 EUR of the margin and the 1000 EUR of the rating."""
    result = cleared(Asking(shoulder=0), expected_a=expected_a, ask=200.0)

    assert result.offers[0].power_w == pytest.approx((-moved_w, moved_w), abs=2)
