"""A run is repeated, and gone on with, from its folder alone: whatever it was made of is gone, and the folder moved."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from market.cli import app
from market.network.feeders import feeder
from market.simulation.archive import INPUTS, Archive
from market.simulation.inputs import kept
from market.simulation.rerun import changed_since, scenario_in
from market.simulation.scenario import read_scenario
from tests.small_sweep import SCENARIO

LAB: Final = Path(__file__).parents[2] / "examples" / "lab"
NIGHT: Final = SCENARIO.replace('feeder = "risoe"\n', "")
"""Half an hour, without its network."""
READINGS: Final = "bus,start,p_w\nlv,2026-01-14T12:00:00Z,500\nlv,2026-01-14T12:15:00Z,600\n"
BREAKS: Final = """
from aggregator_agents.agent import EvAggregator

class Own(EvAggregator):
    async def control(self, now):
        assert now.day == 15, "out of order"
        await super().control(now)
"""
YARD: Final = 'bus = "BUS"\nfuse_a = 25\nchargers = [{ id = "c", plugs = [{ id = "p" }] }]\n'


def profiles(bus: str) -> pa.Table:
    """A day of load at one bus, in half hours."""
    start = datetime(2026, 1, 15, tzinfo=UTC)
    times = [start + k * timedelta(minutes=30) for k in range(48)]
    columns = {"time": pa.array(times, pa.timestamp("ms", tz="UTC")), "bus": [bus] * 48}
    return pa.table({**columns, "p_w": [1000.0 + 10 * k for k in range(48)], "q_var": [100.0] * 48})


def on_pandapower(folder: Path) -> str:
    """With profiles as CSV, an agent of one's own with a module beside it, and readings of the DSO's meters."""
    pandapower = pytest.importorskip("pandapower")
    net = pandapower.create_empty_network()
    high, low = (pandapower.create_bus(net, kv, name=name) for kv, name in ((10, "mv"), (0.4, "lv")))
    pandapower.create_ext_grid(net, high)
    pandapower.create_transformer(net, high, low, "0.25 MVA 10/0.4 kV", name="trafo")
    pandapower.to_json(net, folder / "street.json")
    pa.csv.write_csv(profiles("lv"), folder / "load.csv")
    shutil.copyfile(LAB / "own_agent.py", folder / "own_agent.py")
    (folder / "lab_ours.py").write_text("from own_agent import Boiler\n\nclass Ours(Boiler): ...\n")
    (folder / "read").mkdir()
    (folder / "read" / "monday.csv").write_text(
        "bus,start,p_w\nlv,2026-01-14T12:00:00Z,500\nlv,2026-01-14T12:15:00Z,600\n"
    )
    own = '[agents.own]\nrole = "aggregator"\nagent = "lab_ours:Ours"\nconfig = { bus = "lv", power_w = 3000 }\n'
    text = NIGHT.replace('DsoAgent"\n', 'DsoAgent"\nconfig = { meters = "read" }\n').replace(
        '"oest-07", "oest-08"', '"lv"'
    )
    return f'{text}\n{own}\n[grid]\nfile = "street.json"\nload = "load.csv"\n'


def on_matpower(folder: Path) -> str:
    """With profiles as Parquet, and a site from a file."""
    pytest.importorskip("matpowercaseframes")
    (folder / "case2.m").write_text(
        "function mpc = case2\nmpc.version = '2';\nmpc.baseMVA = 1;\n"
        "mpc.bus = [\n1 3 0 0 0 0 1 1 0 0.4 1 1.1 0.9;\n2 1 0.02 0.005 0 0 1 1 0 0.4 1 1.1 0.9;\n];\n"
        "mpc.gen = [\n1 0 0 1 -1 1 1 1 1 0;\n];\nmpc.branch = [\n1 2 0.1 0.1 0 0.1 0 0 0 0 1 -360 360;\n];\n"
    )
    pa.parquet.write_table(profiles("bus-2"), folder / "load.parquet")
    (folder / "yard.toml").write_text(YARD.replace("BUS", "bus-2"))
    text = NIGHT.replace('buses = ["oest-07", "oest-08"]\nfuse_a = 25\n', 'file = "yard.toml"\n')
    return f'{text}\n[grid]\nfile = "case2.m"\nload = "load.parquet"\n'


def on_own_json(folder: Path) -> str:
    """With a day of load, on two days, on the second of which the agent breaks down."""
    shipped = feeder("risoe")
    (folder / "street.json").write_text(shipped.network.model_dump_json(exclude_none=True, by_alias=True))
    (folder / "day.json").write_text(shipped.load.model_dump_json())
    (folder / "read").mkdir()
    (folder / "read" / "monday.csv").write_text(READINGS.replace("lv", "oest-07"))
    (folder / "lab_breaks.py").write_text(BREAKS)
    text = NIGHT.replace("seed = 3", "seed = 3\ndays = 2").replace(
        "aggregator_agents.agent:EvAggregator", "lab_breaks:Own"
    )
    text = text.replace('DsoAgent"\n', 'DsoAgent"\nconfig = { meters = "read" }\n')
    return f'{text}\n[grid]\nfile = "street.json"\nload = "day.json"\n'


@pytest.mark.parametrize("made", [on_pandapower, on_matpower])
def test_every_kind_of_source_is_repeated_to_the_same_bytes(tmp_path: Path, made: Callable[[Path], str]) -> None:
    """Every file that the scenario names is removed before, and the module of its agent with it."""
    lab, folder = tmp_path / "lab", tmp_path / "run"
    lab.mkdir()
    (lab / "evening.toml").write_text(made(lab))
    ran = CliRunner().invoke(app, ["simulate", str(lab / "evening.toml"), "--out", str(folder)])
    assert ran.exit_code == 0, ran.output
    shutil.rmtree(lab)
    moved = folder.rename(tmp_path / "moved")
    assert not [each for each in moved.rglob("*.json") if str(lab) in each.read_text()]

    again = CliRunner().invoke(app, ["rerun", str(moved), "--out", str(tmp_path / "again")])

    assert (again.exit_code, "The same bytes" in again.output) == (0, True), again.output


def test_what_has_changed_in_the_folder_since_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (tmp_path / "evening.toml").write_text(on_matpower(tmp_path))
    scenario, sources = kept(read_scenario(tmp_path / "evening.toml"), folder / INPUTS)
    sources.keep(folder / INPUTS)
    Archive(folder, scenario).begin()
    assert changed_since(folder, scenario_in(folder)) == ()
    (yard,) = (folder / "inputs" / "files").glob("*/yard.toml")
    yard.write_text(yard.read_text().replace("25", "10"))

    said = changed_since(folder, scenario_in(folder))

    assert said == ("files agents.homes.config.sites.0.file has changed since it was run",)
    assert json.loads((folder / "inputs" / "sources.json").read_text())["packages"].keys() == {"matpowercaseframes"}


def test_a_run_that_broke_off_goes_on_elsewhere_with_the_agent_mended(tmp_path: Path) -> None:
    """Whoever mends the code in the folder has to say that this is meant; that it was done stays written down."""
    lab, folder = tmp_path / "lab", tmp_path / "run"
    lab.mkdir()
    (lab / "evening.toml").write_text(on_own_json(lab))
    broke = CliRunner().invoke(app, ["simulate", str(lab / "evening.toml"), "--out", str(folder)])
    assert broke.exit_code == 1
    assert "2026-01-16, delivery 2 of 2, failed at" in broke.output
    assert "in the control of agents.homes: AssertionError: out of order (lab_breaks.py, line 6)" in broke.output
    shutil.rmtree(lab)
    moved = folder.rename(tmp_path / "moved")
    code = moved / "inputs" / "code" / "lab_breaks.py"
    code.write_text(code.read_text().replace("assert now.day == 15", "assert now"))

    refused = CliRunner().invoke(app, ["simulate", "--resume", str(moved)])
    assert refused.exit_code == 1
    assert "was begun with other code lab_breaks.py; --changed goes on all the same" in refused.output
    went_on = CliRunner().invoke(app, ["simulate", "--resume", str(moved), "--changed"])

    assert went_on.exit_code == 0, went_on.output
    assert (moved / "changed.txt").read_text() == "from 2026-01-15T17:30:00+00:00 on with other code lab_breaks.py\n"
    assert not [
        each for each in moved.rglob("*.json") if str(lab) in each.read_text() or str(folder) in each.read_text()
    ]
