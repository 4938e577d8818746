"""What docs/sweeps.md shows is what there is."""

import contextlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market.simulation import SCENARIOS
from market.simulation.sweep.axes import Axis
from market.simulation.sweep.plan import plan_of
from market.simulation.sweep.sweep_file import Sample

PAGE = (Path(__file__).parents[5] / "docs" / "sweeps.md").read_text(encoding="utf-8")
SHIPPED = SCENARIOS.parent / "sweeps" / "penetration-and-waiting.toml"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_sweep_that_ships_is_the_one_on_the_page_and_can_be_run() -> None:
    """Four shares of homes with a vehicle, three prices: twelve days."""
    shown, shipped = tomllib.loads(blocks("toml")[0]), tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    assert shown == {name: value for name, value in shipped.items() if name != "title"}
    assert len(plan_of(SHIPPED).runs) == 12


def test_the_other_tables_on_the_page_are_read() -> None:
    cases, sample = map(tomllib.loads, blocks("toml")[1:])
    assert len(Axis.model_validate(cases["axes"]["design"]).choices) == 3
    assert Sample.model_validate(sample["sample"]).size == 64


@pytest.mark.parametrize("code", [each for each in blocks("python") if "read_parquet" in each])
def test_results_are_read_in_three_lines(code: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "penetration-and-waiting"
    folder.mkdir(parents=True)
    table = {"penetration": [0.5, 0.5, 1.0, 1.0], "waiting_eur_per_mwh_hour": [4, 12, 4, 12]}
    pq.write_table(pa.table({**table, "dso_flexibility_eur": [1.0, 2.0, 3.0, 4.0]}), folder / "results.parquet")
    *first, last = filter(None, code.splitlines())
    assert len(first) == 2
    with contextlib.chdir(tmp_path):
        known: dict[str, Any] = {}
        exec("\n".join(first), known)
        paid = eval(last, known)
    assert paid.to_numpy()[:, -2:].tolist() == [[1.0, 2.0], [3.0, 4.0]]
