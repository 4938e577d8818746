"""A sweep of two runs, one of which fails: the same files whoever runs it."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pytest
from typer.testing import CliRunner

from dso_agents.agent import DsoAgent
from market.cli import app
from market.simulation.sweep.executors import Executor, InProcess
from market.simulation.sweep.folder import SweepFolder
from market.simulation.sweep.on_dask import on_dask
from market.simulation.sweep.plan import plan_of
from market.simulation.sweep.processes import Processes
from market.simulation.sweep.sweeping import sweep, to_do
from tests.integration.test_executors import cluster
from tests.small_sweep import HEAD, SCENARIO

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
    """Everything that a sweep writes but for the time it took."""
    inside = (each for each in folder.rglob("*") if each.is_file() and each.name != "seconds.json")
    return {str(each.relative_to(folder)): each.read_bytes() for each in inside}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    """The sweep, run in this process."""
    folder = opened(tmp_path_factory.mktemp("sweep"), "alone")
    sweep(folder, to_do(folder, retry=False), executor=InProcess())
    return folder


def test_a_run_that_works_is_measured_and_one_that_does_not_is_told(alone: SweepFolder) -> None:
    table = pd.read_parquet(alone.path / "results.parquet")
    assert table.dso.tolist() == ["works"]
    assert table.asked_kwh[0] == pytest.approx(28), "two vehicles of 14 kWh"
    (why,) = alone.failures().values()
    assert "nothing to do with me at 11:00" in why


@pytest.mark.parametrize("elsewhere", [other_process, dask])
def test_files_are_the_same_whoever_runs_it_and_in_whatever_order(
    alone: SweepFolder, tmp_path: Path, elsewhere: Any
) -> None:
    folder = opened(tmp_path, "elsewhere")
    with elsewhere() as executor:
        sweep(folder, to_do(folder, retry=False)[::-1], executor=executor)

    assert files(folder.path) == files(alone.path)


def test_the_command_goes_on_with_what_is_there(alone: SweepFolder) -> None:
    """Nothing is left to be run; that one has failed is said, and is the exit status."""
    file = alone.path.parent / "sweep.toml"
    answer = CliRunner().invoke(app, ["sweep", str(file), "--out", str(alone.path)])

    assert answer.exit_code == 1
    assert "1 of 2 runs are done, 1 of them were before" in answer.output
    assert "nothing to do with me at 11:00" in answer.output


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
