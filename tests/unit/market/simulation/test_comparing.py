"""Runs side by side: what is shown, and which of them is marked as the best."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from market.cli import app
from market.simulation.comparing import lines_of
from market.simulation.reading import Measured, NothingMeasured, measured_in


def run(name: str, **measures: float) -> Measured:
    return Measured(name, measures, {})


@pytest.mark.parametrize(
    ("measure", "values", "cells", "best"),
    [
        ("peak_w", [136_701.6, 98_000.0], ("136,702", "98,000"), {1}),
        ("lowest_voltage_pu", [0.93, 0.9549], ("0.9300", "0.9549"), {1}),
        ("dso_flexibility_eur", [-0.0, 0.0], ("0.000", "0.000"), set()),
        ("overload_minutes", [0, 15, 0], ("0.00", "15.00", "0.00"), {0, 2}),
        ("asked_kwh", [10, 20], ("10.00", "20.00"), set()),
        ("transformer_ageing_h", [0.00328, 0.0021], ("0.003280", "0.002100"), {1}),
        ("peak_loading", [1.00001, 1.00002], ("1.000", "1.000"), set()),
    ],
)
def test_the_best_is_what_can_be_seen_to_be_better(
    measure: str, values: list[float], cells: tuple[str, ...], best: set[int]
) -> None:
    """Less power is better, more of the lowest voltage; asking for more energy is neither."""
    (line,) = lines_of([run(str(number), **{measure: value}) for number, value in enumerate(values)])
    assert (line.cells, line.best) == (cells, frozenset(best))


def test_a_measure_that_a_run_lacks_is_left_open() -> None:
    lines = lines_of([run("old", peak_w=2000.0), run("new", peak_w=1000.0, unmet_kwh=1.0)])
    assert [(line.name, line.cells, set(line.best)) for line in lines] == [
        ("peak_w", ("2,000", "1,000"), {1}),
        ("unmet_kwh", ("-", "1.000"), {1}),
    ]


def written(folder: Path, **measures: float) -> Path:
    folder.mkdir()
    (folder / "measures.json").write_text(json.dumps(measures))
    return folder


def test_the_command_shows_what_differs_and_names_the_rest(tmp_path: Path) -> None:
    folders = [
        written(tmp_path / "uniform", peak_w=3000.0, unmet_kwh=0.0),
        written(tmp_path / "dlmp", peak_w=2500.0, unmet_kwh=0.0),
    ]
    answer = CliRunner().invoke(app, ["compare", *map(str, folders)])

    assert answer.exit_code == 0
    assert answer.output.split()[:2] == ["uniform", "dlmp"]
    assert "peak_w W 3,000 2,500*" in " ".join(answer.output.split())
    assert "the same in all runs: unmet_kwh" in answer.output
    assert "unmet_kwh kWh 0.000 0.000" in " ".join(
        CliRunner().invoke(app, ["compare", "--all", *map(str, folders)]).output.split()
    )


def test_many_runs_of_a_sweep_are_shown_in_blocks_that_fit(tmp_path: Path) -> None:
    """Twenty runs of ten characters do not stand beside each other on 80; each value of the axis is shown once."""
    table = pa.table(
        {
            "run": [f"id{k}" for k in range(20)],
            "share": [k / 20 for k in range(20)],
            "peak_w": [1e6 + k for k in range(20)],
        }
    )
    pq.write_table(table, tmp_path / "results.parquet")
    answer = CliRunner().invoke(app, ["compare", str(tmp_path)])

    headings = [line.split()[1:] for line in answer.output.splitlines() if line.split()[:1] == ["share"]]
    assert [each for block in headings for each in block] == [f"{k / 20:g}" for k in range(20)]
    assert len(headings) > 1
    assert max(map(len, answer.output.splitlines())) <= 80


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(NothingMeasured, match="no finished run and no sweep"):
        measured_in(tmp_path)
    (tmp_path / "measures.json").write_text("{")
    with pytest.raises(NothingMeasured, match="cannot be read"):
        measured_in(tmp_path)
    assert CliRunner().invoke(app, ["compare", str(tmp_path)]).exit_code == 2
