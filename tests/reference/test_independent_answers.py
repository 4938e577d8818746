"""The clearing meets an independent AC optimal power flow on every case that came with its answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from api_spec.case import Case
from market.clearing import clear

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name.removesuffix(".expected.json") for path in CASES.glob("*.expected.json"))


@pytest.mark.parametrize("name", NAMES)
def test_cost_prices_and_limits_are_those_of_the_independent_optimum(name: str) -> None:
    """Cost within 5e-4, every price within 2e-4 (of at least 20 EUR/MWh), limits within 5e-5."""
    expected = json.loads((CASES / f"{name}.expected.json").read_text())

    result = clear(Case.model_validate_json((CASES / f"{name}.json").read_text()))

    assert float(result.cost_eur) == pytest.approx(expected["cost_eur"], rel=5e-4)
    assert result.verification.max_violation_pu <= 5e-5
    for bus, prices in expected["price_eur_per_mwh"].items():
        price = np.array(result.prices_eur_per_mwh[bus].total, dtype=float)  # type: ignore[union-attr]
        assert np.abs(price - prices) == pytest.approx(0, abs=2e-4 * max(20, np.abs(prices).max())), bus
