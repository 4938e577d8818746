"""A run on a network from files keeps them, and is repeated from its folder alone."""

import shutil
from pathlib import Path

from typer.testing import CliRunner

from market.cli import app
from market.network.feeders import feeder
from market.simulation.rerun import scenario_in
from tests.small_sweep import SCENARIO


def test_a_run_on_a_network_from_files_is_repeated_without_them(tmp_path: Path) -> None:
    own, folder = tmp_path / "own", tmp_path / "run"
    own.mkdir()
    shipped = feeder("risoe")
    (own / "street.json").write_text(shipped.network.model_dump_json(exclude_none=True, by_alias=True))
    (own / "day.json").write_text(shipped.load.model_dump_json())
    on_files = SCENARIO.replace('feeder = "risoe"', 'grid = { file = "street.json", load = "day.json" }')
    (own / "evening.toml").write_text(on_files)
    first = CliRunner().invoke(app, ["simulate", str(own / "evening.toml"), "--out", str(folder), "--no-serve"])
    assert first.exit_code == 0, first.output

    shutil.rmtree(own)
    moved = tmp_path / "moved"
    folder.rename(moved)
    assert str(tmp_path) not in (moved / "inputs" / "scenario.json").read_text()
    grid = scenario_in(moved).grid
    assert grid is not None
    assert grid.files["file"] == moved.resolve() / "inputs" / "grid" / "file" / "street.json"
    again = CliRunner().invoke(app, ["rerun", str(moved), "--out", str(tmp_path / "again")])
    assert again.exit_code == 0, again.output
    assert "The same bytes" in again.output
