"""A run's folder keeps the files of its network, and needs no others."""

import shutil
from pathlib import Path
from typing import Final

import pytest

from market.network.feeders import feeder
from market.simulation import SCENARIOS
from market.simulation.archive import INPUTS, Archive
from market.simulation.inputs import kept
from market.simulation.rerun import scenario_in
from market.simulation.scenario import read_scenario
from tests.small_sweep import SCENARIO

LAB: Final = Path(__file__).parents[4] / "examples" / "lab"
SHIPPED: Final = (*sorted(SCENARIOS.glob("*.toml")), *sorted(LAB.glob("*.toml")))


def test_a_run_on_a_network_from_files_is_read_again_without_them(tmp_path: Path) -> None:
    """Neither the files nor the folder need be where they were."""
    own, folder, moved = tmp_path / "own", tmp_path / "run", tmp_path / "moved"
    own.mkdir()
    shipped = feeder("risoe")
    (own / "street.json").write_text(shipped.network.model_dump_json(exclude_none=True, by_alias=True))
    (own / "day.json").write_text(shipped.load.model_dump_json())
    on_files = SCENARIO.replace('feeder = "risoe"', 'grid = { file = "street.json", load = "day.json" }')
    (own / "evening.toml").write_text(on_files)

    scenario, sources = kept(read_scenario(own / "evening.toml"), folder / INPUTS)
    sources.keep(folder / INPUTS)
    Archive(folder, scenario).begin()
    shutil.rmtree(own)
    folder.rename(moved)

    assert str(tmp_path) not in (moved / "inputs" / "scenario.json").read_text()
    again = scenario_in(moved)
    delivery = again.delivery
    assert again.around().network == shipped.network
    assert again.around().expected(delivery) == shipped.injections(delivery)


def test_of_a_shipped_network_nothing_needs_to_be_kept(tmp_path: Path) -> None:
    (tmp_path / "evening.toml").write_text(SCENARIO)
    scenario = read_scenario(tmp_path / "evening.toml")
    same, sources = kept(scenario, tmp_path / "run")
    assert same == scenario
    assert sources.told() == {"files": {}, "code": {}, "packages": {}}


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_scenario_that_ships_is_read_again_from_the_folder_of_its_run(file: Path, tmp_path: Path) -> None:
    """Whatever it leaves out is left out again, and nothing in the folder says where this machine keeps anything."""
    scenario, sources = kept(read_scenario(file), tmp_path / "run" / INPUTS)
    sources.keep(tmp_path / "run" / INPUTS)
    Archive(tmp_path / "run", scenario).begin()
    moved = (tmp_path / "run").rename(tmp_path / "moved")

    again = scenario_in(moved)

    assert again.model_dump_json() == scenario.seen_from(moved / INPUTS).model_dump_json()
    told, before = ([set(each.table_of(name)) for name in each.agents] for each in (again, scenario))
    assert told == before
    assert str(file.parent) not in (moved / "inputs" / "scenario.json").read_text()
