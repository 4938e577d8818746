"""Simulated deliveries of two hours: the same run twice gives the same bits, and what is wrong is said."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from market.cli import app
from market.simulation.measures import measures_of
from market.simulation.outcome import Outcome
from market.simulation.results import Results
from market.simulation.run import DayFailed, simulate
from market.simulation.scenario import BadScenario, Scenario, read_scenario

EVENING = """
name = "evening"
title = "Two hours of an evening"
feeder = "risoe"
timezone = "Europe/Copenhagen"
begins = 2026-01-15T12:00:00+01:00
gate_closure = 2026-01-15T14:00:00+01:00
seed = 3

[delivery]
start = 2026-01-15T18:00:00+01:00
resolution = "PT15M"
count = 12

[product]
name = "evening"
price_cap_eur_per_mwh = 900
penalty_eur_per_mwh = 150

[agents.grid]
role = "dso"
agent = "dso_agents.agent:DsoAgent"
config = { decides_before_gate = "PT1H" }

[agents.homes]
role = "aggregator"
agent = "aggregator_agents.agent:EvAggregator"

[[agents.homes.config.sites]]
buses = ["oest-07", "oest-08", "oest-10", "oest-11", "oest-13", "oest-14"]
fuse_a = 25
other_a = 8
sessions = { arrives_h = 17.9, departs_h = 23, energy_kwh = 14, energy_std_kwh = 3 }
"""


def scenario(folder: Path, text: str = EVENING) -> Scenario:
    file = folder / "evening.toml"
    file.write_text(text)
    return read_scenario(file)


def simulated(folder: Path, text: str = EVENING) -> Outcome:
    folder.mkdir(exist_ok=True)
    return asyncio.run(simulate(scenario(folder, text), folder=folder)).last


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return simulated(tmp_path_factory.mktemp("evening"))


def test_what_the_dso_could_not_carry_is_bought_off_and_paid_for(outcome: Outcome) -> None:
    assert outcome.auction.state == "settled"
    assert any(each.shadow_price > 0 for each in outcome.result.limits)
    assert all(each.unmet == 0 for each in outcome.result.limits)
    statement = outcome.fleets["homes"].statement
    assert statement is not None
    assert statement.net_eur > 0


def test_what_is_reported_is_what_the_chargers_drew(outcome: Outcome) -> None:
    table = Results(outcome).tables["fleets"]
    drawn = sum(each.sum() for each in outcome.drawn_w.values())
    assert sum(table["metered_w"].to_pylist()) == pytest.approx(drawn, rel=0.01), "but for what follows a cap late"


def test_measures_are_of_what_was_really_drawn(outcome: Outcome) -> None:
    results = Results(outcome)
    measures = measures_of(outcome, results)
    drivers = results.tables["drivers"]
    drawn_w = np.sum(list(outcome.drawn_w.values()), axis=0)
    assert measures.fleet_peak_w >= drawn_w.max(), "steps of 5 min see more than periods"
    assert measures.synchronisation == pytest.approx(measures.fleet_peak_w / (6 * 3 * 16 * 230))
    assert measures.peak_w == results.truth.points.source_w.max()
    assert measures.delivered_kwh == pytest.approx(sum(drivers["delivered_wh"].to_pylist()) / 1e3)
    assert measures.drawn_kwh == pytest.approx(drawn_w.sum() * outcome.auction.delivery.hours / 1e3)
    assert 0 < measures.award_delivered_kwh <= measures.awarded_kwh
    assert measures.dso_flexibility_eur == pytest.approx(measures.aggregator_margin_eur) != 0


def test_the_same_scenario_gives_the_same_bits(outcome: Outcome, tmp_path: Path) -> None:
    again = simulated(tmp_path)
    assert again.result.input_sha256 == outcome.result.input_sha256
    first, second = Results(outcome).tables, Results(again).tables
    assert all(second[name].equals(table) for name, table in first.items())


@pytest.mark.parametrize("spread_kwh", [4, 5])
def test_other_drivers_are_another_day(outcome: Outcome, tmp_path: Path, spread_kwh: int) -> None:
    """At these two the optimum lies inside several fleets' bounds at once, which once stopped the clearing."""
    other = simulated(tmp_path, EVENING.replace("energy_std_kwh = 3", f"energy_std_kwh = {spread_kwh}"))
    assert other.result.verification.iterations < 20
    assert other.result.input_sha256 != outcome.result.input_sha256


def test_a_day_without_an_auction_is_said(tmp_path: Path) -> None:
    late = EVENING.replace("begins = 2026-01-15T12:00:00+01:00", "begins = 2026-01-15T13:59:00+01:00")
    quiet = late.replace('agent = "dso_agents.agent:DsoAgent"', 'agent = "tests.integration.test_simulation:Absent"')
    with pytest.raises(DayFailed, match='scenario "evening": no DSO opened an auction'):
        simulated(tmp_path, quiet.replace('config = { decides_before_gate = "PT1H" }', ""))


class Absent:
    """A participant that does nothing."""

    config: Any = None

    @classmethod
    def build(cls, client: Any, config: Any) -> "Absent":
        return cls()

    async def cycle(self, now: Any) -> None:
        pass

    async def control(self, now: Any) -> None:
        pass

    def drawn_w(self, period: Any) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("fuse_a = 25", "fuse_a = 2", "agents.homes.config.sites.0.fuse_a: Input should be greater than or equal to 6"),
        ('feeder = "risoe"', 'feeder = "riso"', 'feeder: no feeder "riso"'),
        ("arrives_h = 17.9", "arrives_h = 25", "agents.homes.config.sites.0.sessions.arrives_h"),
    ],
)
def test_what_is_wrong_with_an_agent_is_said_at_its_key(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    with pytest.raises(BadScenario) as refusal:
        simulated(tmp_path, EVENING.replace(right, wrong))
    assert said in str(refusal.value)


def test_the_command_refuses_what_it_cannot_run(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(EVENING.replace("fuse_a = 25", "fuse_a = 2"))
    out = tmp_path / "run"
    answer = CliRunner().invoke(app, ["simulate", str(bad), "--out", str(out)])
    assert (answer.exit_code, "fuse_a" in answer.output, out.exists()) == (2, True, False)

    out.mkdir()
    answer = CliRunner().invoke(app, ["simulate", str(bad), "--out", str(out)])
    assert (answer.exit_code, "cannot be made" in answer.output) == (2, True)
