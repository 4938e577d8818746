"""Which degrees of observability a study runs, and what it says of a case."""

from pathlib import Path

import pytest

from api_spec.case import Case
from market.figures.observability import observability_page
from market.figures.study_page import write_study_report
from market.simulation import SCENARIOS
from market.simulation.scenario import BadScenario, Scenario, read_scenario
from market.simulation.studies.observability import (
    Seen,
    Task,
    observability_table,
    read_degrees,
    requested_kwh,
    tasks_of,
    write_tables,
)
from market.simulation.studies.pieces import run_pieces
from market.simulation.sweep.executors import Failure, InProcess
from tests.small_cases import bus, line, load


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return read_scenario(SCENARIOS / "risoe-observed.toml")


def task(scenario: Scenario, name: str) -> Task:
    (found,) = tasks_of(scenario, read_degrees(), (name,), history_days=7)
    return found


def test_without_meters_there_are_none_and_nothing_is_estimated(scenario: Scenario) -> None:
    seen = task(scenario, "profiles").scenario

    assert seen.metering is None
    assert "estimating" not in seen.agents["grid"].config


def test_degrees_differ_in_meters_alone(scenario: Scenario) -> None:
    half, all_of_them = (task(scenario, name).scenario for name in ("meters-50", "meters-100"))

    assert half.metering is not None
    assert half.metering.smart is not None
    assert (half.metering.smart.share, half.metering.history_days) == (0.5, 7)
    assert half.model_copy(update={"metering": all_of_them.metering}) == all_of_them


def test_a_degree_keeps_what_the_scenario_says_of_its_instruments(scenario: Scenario) -> None:
    assert scenario.metering is not None
    slow = scenario.metering.model_validate({"smart": {"resolution": "PT1H"}, "substations": {}})

    metering = task(scenario.model_copy(update={"metering": slow}), "meters-25").scenario.metering

    assert metering is not None
    assert metering.smart is not None
    assert (metering.smart.share, metering.smart.resolution.total_seconds()) == (0.25, 3600)


def test_a_load_that_never_strays_leaves_nothing_to_observe() -> None:
    with pytest.raises(BadScenario, match="nothing to observe"):
        tasks_of(read_scenario(SCENARIOS / "risoe-day.toml"), read_degrees(), ("profiles",), history_days=7)


def test_a_wrong_key_of_a_catalogue_is_named(tmp_path: Path, scenario: Scenario) -> None:
    file = tmp_path / "degrees.toml"
    file.write_text('[degrees.own]\ntitle = "Own"\nmetering = { smart = { shore = 0.5 } }\n')

    with pytest.raises(BadScenario, match=r"Own: metering\.smart\.shore"):
        tasks_of(scenario, read_degrees(file), ("own",), history_days=7)


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
    names = {"key": of.key, "degree": of.name, "title": of.title}
    return Seen.model_validate({**figures, **names, "estimate_error_w": None})


def test_what_is_done_is_not_done_again_and_becomes_a_table_and_a_report(tmp_path: Path, scenario: Scenario) -> None:
    ran: list[str] = []

    def run(task: Task) -> Seen:
        ran.append(task.name)
        return seen(task)

    def told(_: Task, came: Seen | Failure) -> None:
        assert isinstance(came, Seen), came

    degrees = read_degrees()
    for names in (("profiles",), ("profiles", "substation")):
        tasks = tasks_of(scenario, degrees, names, history_days=7)
        rows = run_pieces(tasks, run, Seen, folder=tmp_path, executor=InProcess(), told=told)

    assert ran == ["profiles", "substation"]
    table = observability_table(rows)
    assert table.column("degree").to_pylist() == ["profiles", "substation"]
    assert table.column("estimate_error_w").null_count == 2
    write_tables(rows, degrees, scenario, tmp_path)
    page = observability_page(tmp_path)
    assert [line[0] for line in page.tables[0].lines] == [each.title for each in rows]
    assert f">{rows[1].title}</th>" in write_study_report(tmp_path, page).read_text(encoding="utf-8")
