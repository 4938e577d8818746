"""Which degrees of observability a study runs, and what it says of a case."""

from pathlib import Path

import pytest

from api_spec.case import Case
from market.figures.observability import by_degree, compared, observability_page
from market.figures.study_page import write_study_report
from market.simulation import SCENARIOS
from market.simulation.scenario import BadScenario, Scenario, read_scenario
from market.simulation.studies.observability import Degrees, Task, read_degrees, tasks_of
from market.simulation.studies.pieces import run_pieces
from market.simulation.studies.seeing import Seen, observability_table, requested_kwh, write_tables
from market.simulation.sweep.executors import Failure, InProcess
from tests.small_cases import bus, line, load


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return read_scenario(SCENARIOS / "risoe-observed.toml")


def task(scenario: Scenario, name: str) -> Task:
    (found,) = tasks_of(scenario, read_degrees(), (name,), history_days=7)
    return found


def test_without_meters_there_are_none_and_nothing_is_estimated(scenario: Scenario) -> None:
    seen = task(scenario, "risk-none").scenario

    assert seen.metering is None
    assert "estimating" not in seen.agents["grid"].config


def test_degrees_differ_in_meters_alone(scenario: Scenario) -> None:
    half, all_of_them = (task(scenario, name).scenario for name in ("risk-50", "risk-100"))

    assert half.metering is not None
    assert half.metering.smart is not None
    assert (half.metering.smart.share, half.metering.history_days) == (0.5, 7)
    assert half.model_copy(update={"metering": all_of_them.metering}) == all_of_them


def test_within_a_group_a_dso_plans_in_the_same_way_whatever_it_sees(scenario: Scenario) -> None:
    degrees = read_degrees()
    ways = {name: each.dso["plans_by"] for name, each in degrees.degrees.items()}

    for name, each in degrees.degrees.items():
        assert task(scenario, name).scenario.agents["grid"].config["plans_by"] == ways[name]
        if each.against is not None and name != "risk-none":
            assert ways[name] == ways[each.against]
    assert (ways["risk-none"], degrees.degrees["risk-none"].against) == ("risk", "margins-none"), "the ways themselves"
    assert degrees.degrees["risk-none"].metering is degrees.degrees["margins-none"].metering is None


def test_every_degree_is_run_under_every_seed(scenario: Scenario) -> None:
    tasks = tasks_of(scenario, read_degrees(), ("risk-none", "risk-100"), history_days=7, seeds=(7, 11))

    assert [each.place for each in tasks] == [("risk-none", 7), ("risk-100", 7), ("risk-none", 11), ("risk-100", 11)]
    assert len({each.key for each in tasks}) == len({each.file(Path("out")) for each in tasks}) == 4
    assert [each.scenario.seed for each in tasks] == [7, 7, 11, 11]
    assert tasks[0].scenario.agents["parking-lot"] == tasks[1].scenario.agents["parking-lot"], "the same drivers"
    assert tasks[0].scenario.agents["parking-lot"].config["seed"] == 7


def test_a_degree_keeps_what_the_scenario_says_of_its_instruments(scenario: Scenario) -> None:
    assert scenario.metering is not None
    slow = scenario.metering.model_validate({"smart": {"resolution": "PT1H"}, "substations": {}})

    metering = task(scenario.model_copy(update={"metering": slow}), "risk-25").scenario.metering

    assert metering is not None
    assert metering.smart is not None
    assert (metering.smart.share, metering.smart.resolution.total_seconds()) == (0.25, 3600)


def test_a_load_that_never_strays_leaves_nothing_to_observe() -> None:
    with pytest.raises(BadScenario, match="nothing to observe"):
        tasks_of(read_scenario(SCENARIOS / "risoe-day.toml"), read_degrees(), ("risk-none",), history_days=7)


@pytest.mark.parametrize(
    ("degree", "where"),
    [
        ("metering = { smart = { shore = 0.5 } }", "degrees.own.metering.smart.shore: "),
        ('dso = { plans_by = "guesses" }', "degrees.own.dso.plans_by: "),
        ("dso = { margin = {} }", "degrees.own.dso.margin: "),
    ],
)
def test_a_wrong_key_of_a_catalogue_is_named(tmp_path: Path, scenario: Scenario, degree: str, where: str) -> None:
    file = tmp_path / "degrees.toml"
    file.write_text(f'[degrees.own]\ntitle = "Own"\n{degree}\n')

    with pytest.raises(BadScenario) as failure:
        tasks_of(scenario, read_degrees(file), ("own",), history_days=7)

    assert str(failure.value).startswith(where)


def test_a_degree_is_compared_with_one_above_it(tmp_path: Path) -> None:
    file = tmp_path / "degrees.toml"
    file.write_text('[degrees.one]\ntitle = "One"\nagainst = "two"\n[degrees.two]\ntitle = "Two"\n')

    with pytest.raises(BadScenario, match=r'degrees\.one\.against: no degree "two" above it'):
        read_degrees(file)


def test_what_is_compared_is_compared_under_the_same_seed() -> None:
    """Costs 2 and 6 EUR without meters, 3 and 9 with them: 1 and 3 EUR more, 2 +- sqrt(2) on average."""
    told = {
        "none": {"title": "none", "note": "", "against": None},
        "all": {"title": "all", "note": "", "against": "none"},
    }
    costs = {("none", 1): 2.0, ("all", 1): 3.0, ("none", 2): 6.0, ("all", 2): 9.0, ("all", 3): 100.0}
    runs = [
        {"degree": degree, "seed": seed, "cost_eur": cost, "estimate_error_w": None if degree == "none" else 5.0}
        for (degree, seed), cost in costs.items()
    ]

    (row,) = compared(runs, told)

    assert row.title == "all, less none"
    assert row.figures["cost_eur"].values == (1, 3), "the third seed has nothing to be compared with"
    assert row.figures["cost_eur"].text(".2f") == "2.00 ± 1.41"
    assert row.figures["estimate_error_w"].text(".2f") == ""
    none, everything = by_degree(runs, told)
    assert (none.figures["cost_eur"].mean, everything.figures["cost_eur"].values) == (4, (3, 9, 100))


def test_what_is_requested_is_what_the_baseline_has_above_the_limits() -> None:
    """10 kV, 1.2 MW through a line of no resistance that may carry 0.6 MW in the first of two hours: 0.6 MWh.

    Where a margin of 0.1 MW is asked for besides, it is 0.7 MWh, not 1.3.
    """
    limit_a = 600e3 / (3**0.5 * 10e3)
    request = {"id": "r", "kind": "congestion", "element": "l", "limit_a": limit_a, "active": [True, False]}
    case = Case.model_validate(
        {
            "name": "two hours",
            "market_period": {"start": "2026-01-15T12:00Z", "resolution": "PT1H", "count": 2},
            "network": {
                "name": "pair",
                "phases": 1,
                "source": {"bus": "s"},
                "buses": [bus("s"), bus("far")],
                "lines": [line("l", "s", "far", r_ohm=1e-6, x_ohm=0.0)],
            },
            "energy_price_eur_per_mwh": [50, 50],
            "baseline": [load("far", 1.2e6, 1.2e6)],
            "requests": [request],
            "offers": [],
        }
    )

    margin = case.requests[0].model_copy(update={"id": "m", "limit_a": limit_a * 5 / 6})

    assert requested_kwh(case) == pytest.approx(600, rel=1e-3)
    assert requested_kwh(case.model_copy(update={"requests": (*case.requests, margin)})) == pytest.approx(700, rel=1e-3)


def seen(of: Task) -> Seen:
    figures = dict.fromkeys(Seen.model_fields, 1.0)
    names = {"key": of.key, "degree": of.name, "seed": of.seed}
    return Seen.model_validate({**figures, **names, "estimate_error_w": None})


def test_what_is_done_is_not_done_again_and_becomes_a_table_and_a_report(tmp_path: Path, scenario: Scenario) -> None:
    ran: list[tuple[str, int | None]] = []

    def run(task: Task) -> Seen:
        ran.append(task.place)
        return seen(task)

    def told(_: Task, came: Seen | Failure) -> None:
        assert isinstance(came, Seen), came

    degrees: Degrees = read_degrees()
    for names in (("margins-none",), ("margins-none", "risk-none")):
        tasks = tasks_of(scenario, degrees, names, history_days=7, seeds=(1, 2))
        rows = run_pieces(tasks, run, Seen, folder=tmp_path, executor=InProcess(), told=told)

    assert ran == [("margins-none", 1), ("margins-none", 2), ("risk-none", 1), ("risk-none", 2)]
    table = observability_table(rows)
    assert table.column("degree").to_pylist() == ["margins-none", "risk-none"] * 2
    assert table.column("estimate_error_w").null_count == 4
    write_tables(rows, degrees, scenario, tmp_path)
    page = observability_page(tmp_path)
    titles = [degrees.degrees[name].title for name in ("margins-none", "risk-none")]
    assert [line[0] for line in page.tables[0].lines] == titles
    assert [line[0] for line in page.tables[1].lines] == [f"{titles[1]}, less {titles[0]}"]
    assert f">{titles[1]}</th>" in write_study_report(tmp_path, page).read_text(encoding="utf-8")
