"""What a run depends on beside its scenario: files it names and code of one's own agents. Another one, another key."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from market.network.feeders import feeder
from market.simulation.inputs import kept
from market.simulation.own_code import WithCode, look_beside, look_first, own_code
from market.simulation.participant import participant_class
from market.simulation.rerun import scenario_in
from market.simulation.scenario import BadScenario, Scenario, read_scenario
from market.simulation.studies.pieces import key_of
from market.simulation.sweep.plan import plan_of
from tests.small_sweep import ENERGY, HEAD, SCENARIO

OWN_AGENT: Final = """
from pathlib import Path
import lab_prices
from aggregator_agents.agent import EvAggregator
from api_spec.units import Message

class Table(Message):
    network: str
    prices: Path
    tried: tuple[Path, ...] = ()

class Own:
    config: Table

    def __init__(self, config):
        self.config = config

    @classmethod
    def build(cls, client, config):
        made = cls(Table.model_validate(config))
        made.ask = float(made.config.prices.read_text()) * lab_prices.FACTOR
        return made

    async def cycle(self, now): ...
    async def control(self, now): ...
    def drawn_w(self, period):
        return {}
"""
YARD: Final = 'bus = "oest-07"\nfuse_a = 25\nchargers = [{ id = "c", plugs = [{ id = "p" }] }]\n'
ON_FILES: Final = (
    SCENARIO.replace('feeder = "risoe"', 'grid = { file = "nets/street.json", load = "day.json" }')
    .replace('agent = "dso_agents.agent:DsoAgent"', 'agent = "dso_agents.agent:DsoAgent"\nconfig = { meters = "read" }')
    .replace('buses = ["oest-07", "oest-08"]\nfuse_a = 25\n', 'file = "yard.toml"\n')
    + '\n[agents.own]\nrole = "aggregator"\nagent = "lab_own:Own"\nconfig = { prices = "ahead.csv" }\n'
)


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test adds to where Python looks is gone after it."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A researcher's folder: everything that can be a file is one."""
    folder = tmp_path / "lab"
    for each in ("nets", "read"):
        (folder / each).mkdir(parents=True)
    shipped = feeder("risoe")
    (folder / "nets" / "street.json").write_text(shipped.network.model_dump_json(exclude_none=True, by_alias=True))
    (folder / "day.json").write_text(shipped.load.model_dump_json())
    (folder / "read" / "monday.csv").write_text("bus,start,p_w\noest-07,2026-01-14T12:00:00Z,500\n")
    (folder / "yard.toml").write_text(YARD)
    (folder / "ahead.csv").write_text("30")
    (folder / "lab_own.py").write_text(OWN_AGENT)
    (folder / "lab_prices.py").write_text("FACTOR = 2.0\n")
    (folder / "evening.toml").write_text(ON_FILES)
    (folder / "sweep.toml").write_text(HEAD + ENERGY.replace('energy_kwh"', 'energy_kwh"') + "values = [5]\n")
    return folder


def sweep_key(lab: Path) -> str:
    return plan_of(lab / "sweep.toml").runs[0].id


def study_key(lab: Path) -> str:
    return key_of(read_scenario(lab / "evening.toml"))


CHANGES: Final = {
    "nets/street.json": ('"risoe"', '"risoe2"'),
    "day.json": ("Copenhagen", "Berlin"),
    "read/monday.csv": ("500", "600"),
    "yard.toml": ("25", "32"),
    "ahead.csv": ("30", "31"),
    "lab_own.py": ("return {}", "return dict()"),
    "lab_prices.py": ("2.0", "3.0"),
}
"""In every file that the scenario and its agents depend on, something that becomes something else."""


@pytest.mark.parametrize("key", [sweep_key, study_key])
def test_a_changed_file_gives_another_key_and_its_return_the_old_one(lab: Path, key: Callable[[Path], str]) -> None:
    keys = [key(lab)]
    for file, (before, after) in CHANGES.items():
        text = (lab / file).read_text()
        (lab / file).write_text(text.replace(before, after))
        keys.append(key(lab))
        (lab / file).write_text(text)
    assert len(set(keys)) == 1 + len(CHANGES), "each of them is a key of its own"
    assert key(lab) == keys[0]


@pytest.mark.parametrize("key", [sweep_key, study_key])
def test_where_everything_lies_is_no_part_of_the_key(lab: Path, key: Callable[[Path], str]) -> None:
    first = key(lab)
    (lab / "notes.py").write_text("# what no agent imports is none of its business")
    assert key(lab.rename(lab.with_name("moved"))) == first


def test_a_file_that_an_axis_names_is_seen_from_the_sweep_and_is_its_content(lab: Path, tmp_path: Path) -> None:
    """Two prices in the sweep's folder, one of which is what the scenario's file says."""
    (tmp_path / "sweeps").mkdir()
    for name, price in (("low.csv", "30"), ("high.csv", "300")):
        (tmp_path / "sweeps" / name).write_text(price)
    axis = '[axes.prices]\npath = "agents.own.config.prices"\nvalues = ["low.csv", "high.csv"]\n'
    sweep = tmp_path / "sweeps" / "sweep.toml"
    sweep.write_text(f'name = "s"\nscenario = "../lab/evening.toml"\n{axis}')

    plan = plan_of(sweep)

    low, high = plan.runs
    assert low.id != high.id
    prices = {path for name, path in plan.sources.files.items() if name.endswith(".csv")}
    assert prices == {tmp_path / "sweeps" / "low.csv", tmp_path / "sweeps" / "high.csv"}
    (tmp_path / "sweeps" / "high.csv").write_text("400")
    assert [run.id == before.id for run, before in zip(plan_of(sweep).runs, plan.runs, strict=True)] == [True, False]


def test_everything_that_is_named_is_kept_and_read_from_there(lab: Path, tmp_path: Path) -> None:
    """The researcher's folder is gone and the run's folder has moved: the agent is built of its copies alone."""
    scenario, sources = kept(read_scenario(lab / "evening.toml"), tmp_path / "run" / "inputs")
    sources.keep(tmp_path / "run" / "inputs")
    text = scenario.seen_from(tmp_path / "run" / "inputs").model_dump_json()
    (tmp_path / "run" / "inputs" / "scenario.json").write_text(text)
    assert str(tmp_path) not in text
    assert sorted(sources.told()["code"]) == ["lab_own.py", "lab_prices.py"]
    assert set(sources.told()["files"]) == {
        "grid.file",
        "grid.load",
        "agents.grid.config.meters",
        "agents.homes.config.sites.0.file",
        "agents.own.config.prices",
    }
    shutil.rmtree(lab)
    moved = (tmp_path / "run").rename(tmp_path / "elsewhere")

    again = scenario_in(moved)

    assert all(moved in path.parents and path.exists() for path in again.files.values())
    own = participant_class("lab_own:Own").build(None, again.table_of("own"))  # type: ignore[arg-type]
    assert own.ask == 60.0  # type: ignore[attr-defined]
    assert {path.parent for path in own_code(["lab_own:Own"]).files.values()} == {moved / "inputs" / "code"}


def test_a_module_that_was_changed_is_imported_anew(lab: Path) -> None:
    """As in a notebook: read, run, change a line, read again."""
    read_scenario(lab / "evening.toml")
    first = participant_class("lab_own:Own")
    (lab / "lab_own.py").write_text(OWN_AGENT.replace("return {}", "return {'changed': 1}"))
    read_scenario(lab / "evening.toml")
    assert participant_class("lab_own:Own").drawn_w(None, None) == {"changed": 1}  # type: ignore[arg-type]
    assert first is not participant_class("lab_own:Own")


def test_who_imported_a_module_that_was_changed_is_imported_anew_as_well(lab: Path) -> None:
    """The agent's own file is as it was, but asks twice as much as before, and then three times."""

    def ask() -> float:
        scenario = read_scenario(lab / "evening.toml")
        own = participant_class("lab_own:Own").build(None, scenario.table_of("own"))  # type: ignore[arg-type]
        return float(own.ask)  # type: ignore[attr-defined]

    assert ask() == 60.0
    (lab / "lab_prices.py").write_text("FACTOR = 3.0\n")
    assert ask() == 90.0


def test_a_module_that_was_not_is_not(lab: Path, tmp_path: Path) -> None:
    """Its copy is the same: classes stay what they are, for whoever holds one."""
    read_scenario(lab / "evening.toml")
    first = participant_class("lab_own:Own")
    (tmp_path / "code").mkdir()
    shutil.copyfile(lab / "lab_own.py", tmp_path / "code" / "lab_own.py")
    look_first(tmp_path / "code")
    assert participant_class("lab_own:Own") is first


def test_of_two_folders_the_one_read_last_counts(tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lab_same.py").write_text(f"NUMBER = {name}\n")

    def number(_: object) -> int:
        import lab_same  # type: ignore[import-not-found]  # noqa: PLC0415

        return int(lab_same.NUMBER)

    look_beside(tmp_path / "1")
    assert number(None) == 1
    look_beside(tmp_path / "2")
    assert number(None) == 2
    assert WithCode(number, tmp_path / "1")(None) == 1


def test_a_kept_module_that_is_the_same_gives_way_to_the_one_with_its_files_beside_it(tmp_path: Path) -> None:
    """Code that looks for a file beside itself finds it as long as the original is there and has not changed."""
    for name in ("lab", "kept"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lab_reads.py").write_text("WHERE = __file__\n")

    def where(_: object) -> str:
        import lab_reads  # type: ignore[import-not-found]  # noqa: PLC0415

        return Path(lab_reads.WHERE).parent.name

    look_beside(tmp_path / "lab")
    assert WithCode(where, tmp_path / "kept")(None) == "lab"
    (tmp_path / "lab" / "lab_reads.py").write_text("WHERE = '/nowhere/else'\n")
    assert WithCode(where, tmp_path / "kept")(None) == "kept"


def test_packages_count_by_their_versions_and_flexmarket_by_its_own(tmp_path: Path) -> None:
    """Numpy is installed; json belongs to Python; dso_agents is flexmarket's."""
    (tmp_path / "lab_numeric.py").write_text("import json\nimport numpy as np\nfrom dso_agents.agent import DsoAgent\n")
    look_beside(tmp_path)
    found = own_code(["lab_numeric:Anything"])
    assert (list(found.files), list(found.packages)) == (["lab_numeric.py"], ["numpy"])


def test_a_package_counts_with_what_it_imports_from_itself(tmp_path: Path) -> None:
    package = tmp_path / "lab_pack"
    (package / "deep").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "agent.py": "from . import near\nfrom .deep import far as f\nclass Own: ...\n",
        "near.py": "",
        "unused.py": "",
        "deep/__init__.py": "",
        "deep/far.py": "from ..near import x\n",
    }.items():
        (package / name).write_text(text)
    look_beside(tmp_path)
    assert list(own_code(["lab_pack.agent:Own"]).files) == [
        "lab_pack/__init__.py",
        "lab_pack/agent.py",
        "lab_pack/deep/__init__.py",
        "lab_pack/deep/far.py",
        "lab_pack/near.py",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class Own:\n  def x(self)\n", "lab_wrong.py:2: SyntaxError: expected ':'"),
        ("import lab_nothing\n", "No module named 'lab_nothing'"),
        ("LIMIT = 1 / 0\n", "lab_wrong.py:1: ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_imported_says_at_which_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "lab_wrong.py").write_text(text)
    look_beside(tmp_path)
    with pytest.raises(BadScenario, match=said):
        participant_class("lab_wrong:Own")


def test_a_scenario_without_surroundings_is_without_them_when_it_is_read_again(tmp_path: Path) -> None:
    """Absence is written down, and is something else than a table of defaults."""
    (tmp_path / "evening.toml").write_text(SCENARIO)
    without = read_scenario(tmp_path / "evening.toml")
    (tmp_path / "evening.toml").write_text(SCENARIO + "[surroundings]\n")
    for scenario, told in ((without, False), (read_scenario(tmp_path / "evening.toml"), True)):
        again = Scenario.model_validate_json(scenario.model_dump_json())
        assert ("surroundings" in again.table_of("grid")) is told
