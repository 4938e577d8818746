from pathlib import Path

import pytest

from dso_agents.agent import DsoAgent
from market.network.feeders import feeder
from market.simulation import SCENARIOS
from market.simulation.participant import participant_class
from market.simulation.scenario import BadScenario, locate_scenario, read_scenario

DAY = """
name = "winter-day"
feeder = "street"
begins = 2026-01-14T12:00:00+01:00
gate_closure = 2026-01-14T20:00:00+01:00
seed = 7

[delivery]
start = 2026-01-15T06:00:00+01:00
resolution = "PT15M"
count = 96

[product]
name = "day"
price_cap_eur_per_mwh = 900
penalty_eur_per_mwh = 100

[agents.grid]
role = "dso"
agent = "dso_agents.agent:DsoAgent"
config = { decides_before_gate = "PT2H" }
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "day.toml"
    file.write_text(text)
    return file


def test_a_scenario_keeps_the_table_of_each_agent_as_it_stands(tmp_path: Path) -> None:
    scenario = read_scenario(written(tmp_path, DAY))

    assert (scenario.seed, scenario.delivery.count) == (7, 96)
    assert scenario.agents["grid"].config == {"decides_before_gate": "PT2H"}


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("seed = 7", "sede = 7", "sede: Extra inputs are not permitted"),
        ('role = "dso"', 'role = "king"', "agents.grid.role: Input should be 'dso' or 'aggregator'"),
        ('role = "dso"', 'role = "aggregator"', "agents: needs a DSO"),
        ("2026-01-14T20:00:00+01:00", "2026-01-14T20:00:00", "gate_closure: a time needs an offset"),
        ("gate_closure = 2026-01-14", "gate_closure = 2026-01-16", "gate_closure: must not be after the start"),
        ("begins = 2026-01-14T12", "begins = 2026-01-14T21", "begins: must be before gate_closure"),
        ("seed = 7", 'acts_every = "PT90S"', "acts_every: must be whole minutes"),
        ("[delivery]", "[delivery", "Expected"),
    ],
)
def test_what_is_wrong_is_said_at_its_key(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    file = written(tmp_path, DAY.replace(right, wrong, 1))

    with pytest.raises(BadScenario) as refusal:
        read_scenario(file)

    assert str(refusal.value).startswith(str(file))
    assert said in str(refusal.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadScenario, match=r"nowhere\.toml: cannot be read"):
        read_scenario(tmp_path / "nowhere.toml")


def test_a_scenario_that_ships_is_found_by_its_name_and_a_file_of_that_name_goes_first(tmp_path: Path) -> None:
    named = tmp_path / "risoe-year"
    assert locate_scenario(named, beside=tmp_path) == SCENARIOS / "risoe-year.toml"
    assert locate_scenario(Path("risoe-year")) == SCENARIOS / "risoe-year.toml"
    named.write_text(DAY)
    assert locate_scenario(named, beside=tmp_path) == named


@pytest.mark.parametrize("named", ["risoe-yaer", "risoe-year.toml", "scenarios/risoe-year"])
def test_a_name_of_no_scenario_is_answered_with_those_that_ship(tmp_path: Path, named: str) -> None:
    with pytest.raises(BadScenario) as refusal:
        locate_scenario(tmp_path / named, beside=tmp_path)
    said = str(refusal.value)
    assert said.startswith(f"{tmp_path / named}: cannot be read")
    assert all(each.stem in said for each in SCENARIOS.glob("*.toml"))


def test_an_agent_is_found_by_its_name() -> None:
    assert participant_class("dso_agents.agent:DsoAgent") is DsoAgent


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dso_agents.nobody:DsoAgent", "No module named"),
        ("dso_agents.agent:Nobody", "has no Nobody"),
        ("pathlib:Path", "is no participant: it has no build"),
    ],
)
def test_a_name_that_leads_to_no_participant_is_refused(name: str, said: str) -> None:
    with pytest.raises(BadScenario, match=said):
        participant_class(name)


def test_a_network_from_files_is_found_beside_the_scenario(tmp_path: Path) -> None:
    """The DSO gets the files, aggregators the name under which it will register the network."""
    street = feeder("risoe").network.model_copy(update={"name": "street"})
    (tmp_path / "street.json").write_text(street.model_dump_json(exclude_none=True, by_alias=True))
    text = (SCENARIOS / "risoe-day.toml").read_text()
    (tmp_path / "day.toml").write_text(text.replace('feeder = "risoe"', 'grid = { file = "street.json" }'))
    read = read_scenario(tmp_path / "day.toml")
    assert read.table_of("grid")["grid"]["file"] == tmp_path / "street.json"
    assert "feeder" not in read.table_of("grid")
    assert read.table_of("parking-lot")["network"] == "street"
    assert read.around().network == street


def test_a_scenario_has_one_network(tmp_path: Path) -> None:
    text = (SCENARIOS / "risoe-day.toml").read_text()
    for network in ("", 'feeder = "risoe"\ngrid = { simbench = "1-LV-rural1--0-sw" }'):
        (tmp_path / "day.toml").write_text(text.replace('feeder = "risoe"', network))
        with pytest.raises(BadScenario, match="feeder: or grid is needed, and not both"):
            read_scenario(tmp_path / "day.toml")
