"""The examples run as they stand, and say what is true."""

import re
import runpy
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from market.cli import app

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


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of examples for the lab; what is found there is forgotten again."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    return EXAMPLES / "lab"


def test_an_agent_and_a_way_to_ask_of_ones_own_take_part_from_beside_their_scenario(lab: Path, tmp_path: Path) -> None:
    """A boiler of 30 kW pauses at 30 EUR/MWh; its DSO wants no more than 95 kW in the evening, and pays up to 200."""
    run = tmp_path / "run"
    came = CliRunner().invoke(app, ["simulate", str(lab / "evening.toml"), "--out", str(run)])

    assert came.exit_code == 0, came.output
    settled = pq.read_table(run / "results" / "settlement.parquet").to_pandas()
    boiler = settled[settled.participant == "pool"]
    assert len(boiler) > 0, "it was called"
    assert (boiler.ordered_w < 0).all()
    assert (boiler.delivered_w == boiler.ordered_w).all()
    assert {each.hour for each in boiler.start} <= {16, 17, 18, 19}, "between 17 and 21 o'clock in Copenhagen"


def test_a_tariff_of_ones_own_moves_the_peak(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With cheap nights and dear evening peaks, homes wait: the evening's peak falls."""
    runpy.run_path(str(lab / "own_tariff.py"), run_name="__main__")

    told = re.findall(r"^(\w+) +peak +([\d.]+) kW", capsys.readouterr().out, re.MULTILINE)
    peaks = {name: float(peak) for name, peak in told}
    assert peaks.keys() == {"flat", "own"}
    assert peaks["own"] < peaks["flat"]


@pytest.mark.parametrize("name", ["own_agent", "own_requests", "own_tariff"])
def test_each_is_short(lab: Path, name: str) -> None:
    """Fewer than 40 lines of code, what is imported and said about it aside."""
    code = (lab / f"{name}.py").read_text(encoding="utf-8").split('"""', 2)[2]
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith(("from ", "import "))]
    assert len(lines) < 40
