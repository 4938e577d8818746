"""A run's folder keeps the files of its network, and needs no others."""

import shutil
from pathlib import Path

from market.network.feeders import feeder
from market.simulation.archive import INPUTS, Archive
from market.simulation.inputs import kept
from market.simulation.rerun import scenario_in
from market.simulation.scenario import read_scenario
from tests.small_sweep import SCENARIO


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
