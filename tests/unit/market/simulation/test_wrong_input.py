"""What a researcher does wrong is said with its place and its reason, and nothing is lost of what was done."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from market.cli import app
from market.simulation import command
from market.simulation.occupied import FolderInUse, occupied
from market.simulation.scenario import BadScenario, read_scenario
from tests.small_sweep import SCENARIO


def said(folder: Path, text: str) -> list[str]:
    """What `flexmarket simulate` says of a scenario that it refuses; of each line, the file stands before."""
    file = folder / "evening.toml"
    file.write_text(text)
    answer = CliRunner().invoke(app, ["simulate", str(file), "--out", str(folder / "run")])
    assert answer.exit_code == 2, answer.output
    assert not (folder / "run").exists(), "nothing has happened"
    lines = answer.output.splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines)
    return [line.removeprefix(f"{file}: ") for line in lines]


@pytest.mark.parametrize(
    ("right", "wrong", "reasons"),
    [
        ("seed = 3", "sead = 3", ['sead: Extra inputs are not permitted (did you mean "seed"?)']),
        (
            "fuse_a = 25",
            "fuse_a = 4",
            ["agents.homes.config.sites.0.fuse_a: Input should be greater than or equal to 6"],
        ),
        (
            "arrives_h = 17.0",
            "arives_h = 17.0",
            [
                "agents.homes.config.sites.0.sessions.arrives_h: Field required",
                "agents.homes.config.sites.0.sessions.arives_h: Extra inputs are not permitted "
                '(did you mean "arrives_h"?)',
            ],
        ),
        ('"oest-07", ', '"oest-7", ', ['agents.homes: no bus "oest-7" on network "risoe" (did you mean "oest-07"?)']),
        ('feeder = "risoe"', 'grid = { file = "none.json" }', ["grid: FOLDER/none.json: there is no such file"]),
    ],
)
def test_what_is_wrong_is_said_once_with_file_and_key(
    tmp_path: Path, right: str, wrong: str, reasons: list[str]
) -> None:
    assert right in SCENARIO
    expected = [each.replace("FOLDER", str(tmp_path)) for each in reasons]
    assert said(tmp_path, SCENARIO.replace(right, wrong)) == expected


def test_a_network_that_does_not_ship_is_said_at_its_key(tmp_path: Path) -> None:
    (line,) = said(tmp_path, SCENARIO.replace('"risoe"', '"riso"'))
    assert line.startswith('feeder: no feeder "riso"; shipped are ')


def test_every_defect_of_a_network_s_file_is_a_line_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "evening.toml").write_text(SCENARIO.replace('feeder = "risoe"', 'grid = { file = "junk.json" }'))
    (tmp_path / "junk.json").write_text('{"name": "x"}')
    with pytest.raises(BadScenario) as refusal:
        read_scenario(tmp_path / "evening.toml").around()
    lines = str(refusal.value).splitlines()
    assert len(lines) > 1
    assert all(line.startswith(f"grid: {tmp_path / 'junk.json'}: /") for line in lines)


@pytest.mark.parametrize(
    ("failure", "reason", "status"),
    [
        (KeyboardInterrupt(), "stopped", 130),
        (OSError(28, "No space left on device", "run/results/x.parquet"), "run/results/x.parquet: No space left", 1),
    ],
)
def test_a_run_that_is_stopped_says_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, reason: str, status: int
) -> None:
    """By Ctrl-C, or because nothing can be written any more."""

    async def fails(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(command, "run_scenario", fails)
    (tmp_path / "evening.toml").write_text(SCENARIO)
    folder = tmp_path / "run"
    answer = CliRunner().invoke(app, ["simulate", str(tmp_path / "evening.toml"), "--out", str(folder)])
    assert (answer.exit_code, answer.output.startswith(reason)) == (status, True)
    assert f"flexmarket simulate --resume {folder} goes on after the last delivery that is settled" in answer.output


def test_a_folder_is_written_by_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        occupied(tmp_path / "run"),
        pytest.raises(FolderInUse, match="run is in use: another process writes there"),
        occupied(tmp_path / "run"),
    ):
        pass
    with occupied(tmp_path / "run"):
        pass
    assert not list((tmp_path / "run").iterdir()), "nothing of it is left"


def test_who_was_killed_occupies_nothing_any_more(tmp_path: Path) -> None:
    script = "import sys, time; from market.simulation.occupied import occupied\nfrom pathlib import Path\n"
    script += "with occupied(Path(sys.argv[1])): print('there', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "there\n"
        with pytest.raises(FolderInUse), occupied(tmp_path):
            pass
        other.send_signal(signal.SIGKILL)
    with occupied(tmp_path):
        pass


def simulated(folder: Path) -> list[str]:
    (folder / "run" / "inputs").mkdir(parents=True)
    (folder / "run" / "inputs" / "scenario.json").write_text(read_scenario(folder / "evening.toml").model_dump_json())
    return ["simulate", "--resume", str(folder / "run")]


def swept(folder: Path) -> list[str]:
    (folder / "sweep.toml").write_text('name = "run"\nscenario = "evening.toml"\nseeds = [1]\n')
    return ["sweep", str(folder / "sweep.toml"), "--out", str(folder / "run")]


def studied(folder: Path) -> list[str]:
    return ["study", "instruments", str(folder / "evening.toml"), "--quick", "--out", str(folder / "run")]


@pytest.mark.parametrize("command", [simulated, swept, studied])
def test_every_command_refuses_a_folder_that_another_one_writes_into(
    tmp_path: Path, command: Callable[[Path], list[str]]
) -> None:
    (tmp_path / "evening.toml").write_text(SCENARIO)
    arguments = command(tmp_path)
    with occupied(tmp_path / "run"):
        answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code in {1, 2}
    assert "run is in use" in answer.output
