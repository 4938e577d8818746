"""The examples run as they stand, and say what is true."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_constraint_of_ones_own_costs_something(capsys: pytest.CaptureFixture[str]) -> None:
    """Alone the cheaper agent would win all; with half for the other, at 90 instead of 50 EUR/MWh, it costs more."""
    runpy.run_path(str(EXAMPLES / "own_constraint.py"), run_name="__main__")

    free, fair = capsys.readouterr().out.splitlines()
    assert free.startswith("least cost")
    assert fair.startswith("no share above 50%")
    assert float(fair.split()[-1]) > 1.0


def test_the_constraint_of_ones_own_holds_half_and_half() -> None:
    """What is needed, 0.42 MW bought half at 40 and half at 90 EUR/MWh, costs 65 EUR/MWh for all of it."""
    example = runpy.run_path(str(EXAMPLES / "own_constraint.py"))

    case = example["street"]()
    cost = example["least_cost_with_fair_shares"](case)

    assert cost == pytest.approx(65 * 0.42, rel=0.02)
