"""The shipped hard day, two hours of its morning: what is shaken holds."""

import asyncio
from datetime import datetime, timedelta

import pytest

from market.ledger.transfers import balances
from market.simulation import SCENARIOS
from market.simulation.measures import measures_of
from market.simulation.outcome import Outcome
from market.simulation.results import Results
from market.simulation.run import simulate
from market.simulation.scenario import Scenario, read_scenario

SEVEN = datetime.fromisoformat("2026-01-15T07:00:00+01:00")


def morning() -> Scenario:
    whole = read_scenario(SCENARIOS / "risoe-hard-day.toml")
    hours = timedelta(hours=1)
    delivery = whole.delivery.model_copy(update={"start": SEVEN, "count": 8})
    return whole.model_copy(update={"begins": SEVEN - 2 * hours, "gate_closure": SEVEN - hours, "delivery": delivery})


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return asyncio.run(simulate(morning(), folder=tmp_path_factory.mktemp("hard"))).last


@pytest.fixture(scope="module")
def results(outcome: Outcome) -> Results:
    return Results(outcome)


def test_whatever_fails_the_ledger_sums_to_zero_and_fuses_hold(outcome: Outcome) -> None:
    assert sum(balances(outcome.transfers).values()) == 0
    plants = [own.plant for each in outcome.fleets.values() for own in each.agent.emulated.values()]  # type: ignore[attr-defined]
    assert len(plants) == 39
    assert all(each.fuse.above_as == 0 for each in plants)
    assert any(each.fuse.peak_a > 10 for each in plants)


def test_what_failed_is_told(results: Results) -> None:
    faults = results.tables["faults"]
    assert {"lines", "cloud"} <= set(faults["kind"].to_pylist())
    assert all(each < other for each, other in zip(faults["start"].to_pylist(), faults["end"].to_pylist(), strict=True))


def test_what_flowed_is_not_what_anybody_expected(results: Results) -> None:
    """The truth of the network's own load strays, and its tables and measures are of it."""
    measures, tables = measures_of(results.outcome, results), results.tables
    assert measures.peak_loading == max(tables["physical_elements"]["loading"].to_pylist())
    assert measures.overload_count + measures.voltage_violation_count == len(tables["violations"])
    assert measures.transformer_ageing_h > 0
    planned = results.flows.after.source_w
    assert abs(planned - results.flows.actual.source_w).max() > 5000


def test_drivers_who_leave_early_lack_energy_and_it_is_said(results: Results) -> None:
    measures = measures_of(results.outcome, results)
    drivers = results.tables["drivers"].to_pylist()
    left = [each for each in drivers if each["departs"] <= results.outcome.auction.delivery.end]
    assert measures.unmet_kwh == pytest.approx(
        sum(max(0.0, each["asked_wh"] - each["delivered_wh"]) for each in left) / 1e3
    )
    assert measures.unmet_kwh > 0
