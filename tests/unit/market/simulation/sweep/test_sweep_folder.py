"""What a sweep keeps and what it does again; runs here measure the energy of their scenario and nothing else."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pyarrow.parquet as pq
import pytest

from market.simulation.measures import Measures
from market.simulation.sweep import sweeping
from market.simulation.sweep.executors import InProcess
from market.simulation.sweep.folder import SweepChanged, SweepFolder
from market.simulation.sweep.one_run import RunTask
from market.simulation.sweep.plan import plan_of
from market.simulation.sweep.sweeping import Swept, sweep, to_do
from tests.small_sweep import ENERGY, HEAD, SCENARIO

ran: list[float] = []
"""The energy of every run that was really made [kWh]."""


def measured(task: RunTask) -> Mapping[str, float]:
    energy = tomllib.loads(task.text)["agents"]["homes"]["config"]["sites"][0]["sessions"]["energy_kwh"]
    ran.append(energy)
    if energy == 13:
        raise RuntimeError("an unlucky number")
    return dict.fromkeys(Measures.model_fields, float(energy))


@pytest.fixture(autouse=True)
def _runs_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "measured", measured)
    ran.clear()


def opened(folder: Path, values: str, *, changed: bool = False, head: str = ENERGY) -> SweepFolder:
    (folder / "evening.toml").write_text(SCENARIO)
    text = f"{HEAD}{head}values = {values}"
    (folder / "sweep.toml").write_text(text)
    return SweepFolder.open(folder / "out", plan_of(folder / "sweep.toml"), text=text, changed=changed)


def swept(folder: SweepFolder, *, retry: bool = False) -> Swept:
    return sweep(folder, to_do(folder, retry=retry), executor=InProcess())


def test_results_have_a_row_for_each_run_with_what_was_varied_and_what_was_measured(tmp_path: Path) -> None:
    swept(opened(tmp_path, "[12, 5, 7.5]"))

    table = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert table[["energy_kwh", "peak_w"]].to_numpy().tolist() == [[12.0, 12.0], [5.0, 5.0], [7.5, 7.5]]
    parts = pd.read_parquet(tmp_path / "out" / "parts")
    assert sorted(parts.run) == sorted(table.run)


def test_columns_say_their_unit_and_what_they_mean(tmp_path: Path) -> None:
    field = swept(opened(tmp_path, "[5]")).results.schema.field("unmet_kwh")
    assert field.metadata == {b"unit": b"kWh", b"meaning": b"what drivers lack who have left"}


@pytest.mark.parametrize(
    ("values", "kind", "shown"),
    [
        ("[5, 7]", "int64", [5, 7]),
        ("[5, 7.5]", "double", [5.0, 7.5]),
        ("[true, false]", "bool", [True, False]),
        ("['a', 7.5]", "string", ["a", "7.5"]),
        ("[[7, 5], {to = 9}]", "string", ["[7, 5]", "{to = 9}"]),
    ],
)
def test_a_column_holds_what_its_axis_has(tmp_path: Path, values: str, kind: str, shown: list[Any]) -> None:
    """The runs are those of 5 and 6 kWh, told apart by other values."""
    folder = opened(tmp_path, "[5, 6]")
    given = tomllib.loads(f"values = {values}")["values"]
    runs = tuple(replace(run, point={"energy_kwh": value}) for run, value in zip(folder.plan.runs, given, strict=True))

    column = swept(replace(folder, plan=replace(folder.plan, runs=runs))).results["energy_kwh"]
    assert (str(column.type), column.to_pylist()) == (kind, shown)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    swept(opened(tmp_path, "[5, 6]"))
    again = swept(opened(tmp_path, "[5, 6]"))

    assert ran == [5, 6]
    assert (again.before, len(again.results), again.seconds > 0, again.busy) == (2, 2, True, 0.0)


def test_a_sweep_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    folder = opened(tmp_path, "[5, 6, 7]")
    with pytest.raises(KeyboardInterrupt):
        sweep(folder, to_do(folder, retry=False), executor=InProcess(), told=stop)
    assert pq.read_table(folder.path / "results.parquet")["energy_kwh"].to_pylist() == [5]

    assert len(swept(opened(tmp_path, "[5, 6, 7]")).results) == 3
    assert ran == [5, 6, 7]


def test_a_run_that_fails_says_why_and_is_tried_again_when_it_is_asked_for(tmp_path: Path) -> None:
    first = swept(opened(tmp_path, "[5, 13, 6]"))
    assert (len(first.results), list(first.failed.values())) == (2, ["RuntimeError: an unlucky number"])
    (file,) = (tmp_path / "out" / "failures").iterdir()
    told = json.loads(file.read_text())
    assert (told["point"], told["where"][-1].endswith("measured")) == ({"energy_kwh": "13"}, True)

    swept(opened(tmp_path, "[5, 13, 6]"))
    assert ran == [5, 13, 6], "a failure is not tried again by itself"
    swept(opened(tmp_path, "[5, 13, 6]"), retry=True)
    assert ran == [5, 13, 6, 13]


def test_a_failure_is_forgotten_once_the_run_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept(opened(tmp_path, "[5, 13]"))
    monkeypatch.setattr(sweeping, "measured", lambda task: dict.fromkeys(Measures.model_fields, 1.0))
    mended = swept(opened(tmp_path, "[5, 13]"), retry=True)

    assert (len(mended.results), mended.failed, list((tmp_path / "out" / "failures").iterdir())) == (2, {}, [])


def test_another_sweep_is_noticed_and_goes_on_only_when_that_is_meant(tmp_path: Path) -> None:
    """Of 5 and 6, 6 is also in the second sweep; 5 is not, and its part goes."""
    swept(opened(tmp_path, "[5, 6]"))
    with pytest.raises(SweepChanged, match=r"1 of the 3 runs are done there, and 1 that are no longer among them"):
        opened(tmp_path, "[6, 7, 8]")

    other = swept(opened(tmp_path, "[6, 7, 8]", changed=True))
    assert (ran, other.before) == ([5, 6, 7, 8], 1)
    assert other.results["energy_kwh"].to_pylist() == [6, 7, 8]
    assert len(list((tmp_path / "out" / "parts").iterdir())) == 3


def test_an_axis_with_another_name_needs_no_run_again(tmp_path: Path) -> None:
    swept(opened(tmp_path, "[5, 6]"))
    renamed = swept(opened(tmp_path, "[5, 6]", changed=True, head=ENERGY.replace("axes.energy_kwh", "axes.asked")))

    assert ran == [5, 6]
    assert renamed.results["asked"].to_pylist() == [5, 6]


def test_other_versions_are_noticed(tmp_path: Path) -> None:
    begun = opened(tmp_path, "[5]").path / "begun.json"
    document = json.loads(begun.read_text())
    document["versions"]["numpy"] = "1.0"
    begun.write_text(json.dumps(document))

    with pytest.raises(SweepChanged, match="was begun with other versions of numpy: 0 of the 1 runs"):
        opened(tmp_path, "[5]")
