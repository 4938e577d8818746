"""The clearing meets an independent AC optimal power flow on every case that came with its answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from api_spec.case import Case
from api_spec.result import Result
from market.clearing import clear
from market.network.model import FloatArray

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name.removesuffix(".expected.json") for path in CASES.glob("*.expected.json"))


@pytest.mark.parametrize("name", NAMES)
def test_cost_prices_and_limits_are_those_of_the_independent_optimum(name: str) -> None:
    """Cost within 5e-4, every price within 2e-4 (of at least 20 EUR/MWh), limits within 5e-5."""
    expected = json.loads((CASES / f"{name}.expected.json").read_text())

    result = clear(Case.model_validate_json((CASES / f"{name}.json").read_text()))

    assert float(result.cost_eur) == pytest.approx(expected["cost_eur"], rel=5e-4)
    assert result.verification.max_violation_pu <= 5e-5
    published = prices(result)
    assert published.keys() == places(expected["price_eur_per_mwh"]).keys()
    for place, price in places(expected["price_eur_per_mwh"]).items():
        assert np.abs(published[place] - price) == pytest.approx(0, abs=2e-4 * max(20, np.abs(price).max())), place


def test_there_are_three_phase_answers_among_them() -> None:
    """So that the test above compares the prices of phases too."""
    answers = [json.loads((CASES / f"{name}.expected.json").read_text())["price_eur_per_mwh"] for name in NAMES]

    assert sum(isinstance(prices, dict) for answer in answers for prices in [next(iter(answer.values()))]) >= 5


def prices(result: Result) -> dict[str, FloatArray]:
    """(period,) nodal price of every bus, or of every phase of every bus."""
    return {place: np.array(parts.total, dtype=float) for place, parts in result.places()}


def places(expected: dict[str, list[float] | dict[str, list[float]]]) -> dict[str, FloatArray]:
    """The same of an answer."""
    found: dict[str, FloatArray] = {}
    for bus, answer in expected.items():
        if isinstance(answer, dict):
            found |= {f"{bus} phase {phase}": np.array(price) for phase, price in answer.items()}
        else:
            found[bus] = np.array(answer)
    return found
