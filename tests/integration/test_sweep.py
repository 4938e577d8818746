"""A sweep of two runs, one of which fails: the same files whoever runs it."""

import contextlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from dso_agents.agent import DsoAgent
from market.cli import app
from market.simulation.dictionary import dictionary, in_markdown, studies_in_markdown
from market.simulation.reading import measured_in
from market.simulation.sweep.executors import Executor, InProcess
from market.simulation.sweep.folder import SweepFolder
from market.simulation.sweep.on_dask import on_dask
from market.simulation.sweep.plan import plan_of
from market.simulation.sweep.processes import Processes
from market.simulation.sweep.sweeping import sweep, to_do
from tests.integration.test_executors import cluster
from tests.small_sweep import HEAD, SCENARIO

RESULTS_PAGE = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
AXIS = """
[axes.dso.cases]
works = {}
fails = { "agents.grid.agent" = "tests.integration.test_sweep:Stubborn" }
"""


class Stubborn(DsoAgent):
    """A researcher's agent with a mistake."""

    async def cycle(self, now: datetime) -> None:
        raise RuntimeError(f"nothing to do with me at {now:%H:%M}")


@contextlib.contextmanager
def other_process() -> Iterator[Executor]:
    yield Processes(1)


@contextlib.contextmanager
def dask() -> Iterator[Executor]:
    with cluster() as address, on_dask(address) as executor:
        yield executor


def opened(folder: Path, name: str) -> SweepFolder:
    (folder / "evening.toml").write_text(SCENARIO)
    (folder / "sweep.toml").write_text(HEAD + AXIS)
    return SweepFolder.open(folder / name, plan_of(folder / "sweep.toml"), text=HEAD + AXIS, changed=False)


def files(folder: Path) -> dict[str, bytes]:
    """Everything that a sweep writes but for the time it took, and the folders of runs."""
    inside = (each for each in folder.rglob("*") if each.is_file() and each.name != "seconds.json")
    relative = (each.relative_to(folder) for each in inside)
    return {str(each): (folder / each).read_bytes() for each in relative if each.parts[0] != "runs"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    """The sweep, run in this process, with the folders of its runs."""
    folder = opened(tmp_path_factory.mktemp("sweep"), "alone")
    sweep(folder, to_do(folder, retry=False), executor=InProcess(), keep_runs=True)
    return folder


@pytest.fixture(scope="module")
def run(alone: SweepFolder) -> Path:
    """The folder of the run that works."""
    return alone.kept(alone.plan.runs[0])


def test_a_run_that_works_is_measured_and_one_that_does_not_is_told(alone: SweepFolder) -> None:
    table = pd.read_parquet(alone.path / "results.parquet")
    assert table.dso.tolist() == ["works"]
    assert table.asked_kwh[0] == pytest.approx(28), "two vehicles of 14 kWh"
    (why,) = alone.failures().values()
    assert "nothing to do with me at 15:00" in why


@pytest.mark.parametrize("elsewhere", [other_process, dask])
def test_files_are_the_same_whoever_runs_it_and_in_whatever_order(
    alone: SweepFolder, tmp_path: Path, elsewhere: Any
) -> None:
    folder = opened(tmp_path, "elsewhere")
    with elsewhere() as executor:
        sweep(folder, to_do(folder, retry=False)[::-1], executor=executor)

    assert files(folder.path) == files(alone.path)


def test_every_table_and_column_of_a_run_has_words_and_no_other_has(run: Path) -> None:
    words = dictionary()
    tables = {each.stem: pq.read_schema(each).names for each in (run / "results").glob("*.parquet")}
    assert {name: list(words.table(name).columns) for name in (*words.tables, "measures")} == tables


def test_a_run_says_itself_what_is_in_it(run: Path) -> None:
    told = json.loads((run / "results" / "dictionary.json").read_text())["fleets"]
    assert told["row"] == "a period and an aggregator"
    assert told["columns"][3] == {
        "name": "baseline_w",
        "type": "double",
        "unit": "W",
        "meaning": "nominated baseline at all of its buses, consumption positive; 0 where it nominated none",
    }
    field = pq.read_schema(run / "results" / "fleets.parquet").field("baseline_w")
    assert field.metadata[b"unit"] == b"W"
    assert "## physical_voltages" in (run / "README.md").read_text()


@pytest.mark.parametrize("code", re.findall(r"^```python\n(.*?)^```$", RESULTS_PAGE, flags=re.MULTILINE | re.DOTALL))
def test_results_are_read_in_three_lines(run: Path, code: str) -> None:
    """Nobody lacks anything while both are still there; a bus has its lowest voltage in some step."""
    *first, last = filter(None, code.replace("runs/RUN", str(run)).splitlines())
    known: dict[str, Any] = {}
    exec("\n".join(first), known)
    assert len(first) == 2
    assert len(eval(last, known)) in {1, 5}


def test_the_page_of_results_is_the_dictionary() -> None:
    """`python -m market.simulation.dictionary docs/results.md` writes it again."""
    assert RESULTS_PAGE.endswith(f"{in_markdown()}\n{studies_in_markdown()}")


def test_runs_of_a_sweep_are_compared(alone: SweepFolder, run: Path) -> None:
    """The same run, as part of its sweep and by its folder: nothing differs."""
    of_sweep, of_folder = measured_in(alone.path), measured_in(run)
    assert of_sweep[0].measures == of_folder[0].measures
    assert (of_sweep[0].point, of_folder[0].name) == ({"dso": "works"}, of_sweep[0].name)


def test_the_command_goes_on_with_what_is_there(alone: SweepFolder) -> None:
    """Nothing is left to be run; that one has failed is said, and is the exit status."""
    file = alone.path.parent / "sweep.toml"
    answer = CliRunner().invoke(app, ["sweep", str(file), "--out", str(alone.path)])

    assert answer.exit_code == 1
    assert "1 of 2 runs are done, 1 of them were before" in answer.output
    assert "nothing to do with me at 15:00" in answer.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cluster", "tcp://127.0.0.1:9"], "its scheduler does not answer"),
        (["--out", "sweep.toml/out"], "cannot be made"),
    ],
)
def test_the_command_says_what_is_in_its_way(tmp_path: Path, arguments: list[str], said: str) -> None:
    opened(tmp_path, "out")
    (tmp_path / "sweep.toml").write_text((HEAD + AXIS).replace("evening.toml", str(tmp_path / "evening.toml")))
    with contextlib.chdir(tmp_path):
        answer = CliRunner().invoke(app, ["sweep", "sweep.toml", *arguments])
    assert said in answer.output
    assert answer.exit_code in {1, 2}


def test_a_sweep_that_cannot_be_run_is_refused_before_anything_is(tmp_path: Path) -> None:
    opened(tmp_path, "out")
    bad = tmp_path / "sweep.toml"
    bad.write_text((HEAD + AXIS).replace("agents.grid.agent", "agents.grit.agent"))
    answer = CliRunner().invoke(app, ["sweep", str(bad), "--out", str(tmp_path / "new")])

    assert (answer.exit_code, (tmp_path / "new").exists()) == (2, False)
    assert 'axes.dso: "agents.grit.agent": no "grit" at agents (did you mean "grid"?)' in answer.output
