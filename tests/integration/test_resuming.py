"""Runs of several days: killed at any time and resumed, they are the run that never stopped, byte for byte."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from aggregator_agents.agent import EvAggregator
from market.cli import app
from market.simulation.archive import SCENARIO
from market.simulation.billing import part_eur
from market.simulation.rerun import differences
from market.simulation.run import DayFailed, simulate
from market.simulation.scenario import BadScenario, Scenario
from market.store import UnitOfWork, open_engine
from tests.integration.test_simulation import EVENING, scenario

DAYS = 2
EVENINGS = (
    EVENING.replace("seed = 3", f"seed = 3\ndays = {DAYS}")
    .replace("count = 12", "count = 3")
    .replace("begins = 2026-01-15T12:00", "begins = 2026-01-15T13:15")
    .replace('"oest-07", "oest-08", "oest-10", "oest-11", "oest-13", "oest-14"', '"oest-11", "oest-14"')
    .replace("departs_h = 23", "departs_h = 7")
    + """
[agents.homes.config.faults]
lines = { per_day = 24, minutes = 5 }
ignoring = { per_day = 8, minutes = 5 }

[surroundings]
load = { std = 0.5 }
heat_pumps = [{ share = 0.3 }]

[metering.smart]
share = 0.1
missing = 0.1

[tariffs.network]
components = [
    { name = "energy", kind = "energy", price_eur_per_mwh = 60 },
    { name = "peak", kind = "capacity", price_eur_per_kw_month = 3, interval = "PT15M" },
]

[contracts.room.terms]
kind = "interruptible_connection"
firm_w = 9000
non_firm_w = 3000
max_hours_per_year = 500
rebate_eur_per_kw_year = 50
"""
)
"""Three quarter-hours on two evenings, two homes whose vehicles stay over night; load strays, chargers fail, and meters
report the next morning. Peaks are billed by the month, and contracts pay for standing ready."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("whole"), EVENINGS)


def run(folder: Path, text: str) -> Path:
    asyncio.run(simulate(scenario(folder, text), folder=folder))
    return folder


def test_every_delivery_is_settled_and_written_down(whole: Path) -> None:
    measures = pq.read_table(whole / "results" / "measures.parquet")
    assert [each.isoformat() for each in measures["delivery"].to_pylist()] == ["2026-01-15", "2026-01-16"]
    plugs = pq.read_table(whole / "results" / "plugs.parquet").to_pandas()
    assert plugs.groupby(["delivery", "plug"]).size().eq(3 * 15).all(), "every plug has a set-point in every minute"
    assert {each.stem for each in (whole / "inputs" / "cases").iterdir()} == {"2026-01-15", "2026-01-16"}
    assert not (whole / "checkpoint").exists(), "nothing is left to be resumed"


def test_a_session_that_lasts_over_night_is_told_once(whole: Path) -> None:
    drivers = pq.read_table(whole / "results" / "drivers.parquet").to_pandas()
    assert drivers["session"].is_unique
    assert (drivers["delivery"].astype(str) == "2026-01-16").sum() >= 2, "those who are still there, in the last"


def test_what_deliveries_are_charged_adds_up_to_the_last_bills_and_to_the_contracts_ledgers(whole: Path) -> None:
    measures = pq.read_table(whole / "results" / "measures.parquet").to_pandas()
    engine = open_engine(f"sqlite:///{whole / 'market.db'}")
    with UnitOfWork(engine, reading=True) as work:
        (tariff,) = work.tariffs.of_network("risoe")
        last = {each.bus: each for each in work.bills.newest(tariff.id)}
        paid = sum(each.amount_eur for each in work.contracts.transfers())
    engine.dispose()

    assert (measures["tariff_income_eur"] > 0).all()
    assert len(last) == DAYS
    assert measures["tariff_income_eur"].sum() == pytest.approx(
        float(sum(part_eur(each, tariff) for each in last.values()))
    )
    assert measures["dso_contracts_eur"].sum() == pytest.approx(float(paid))
    assert paid > 0


def test_a_run_that_is_killed_goes_on_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    """SIGKILL once the first delivery is kept, so with a market that has moved on since."""
    file = tmp_path / "evenings.toml"
    file.write_text(EVENINGS)
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "market", "simulate", str(file), "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (folder / "checkpoint").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    assert not (folder / "measures.json").exists(), "it was not over yet"

    answer = CliRunner().invoke(app, ["simulate", "--resume", str(folder)])

    assert answer.exit_code == 0, answer.output
    assert differences(whole, folder) == ()


class Fails(EvAggregator):
    """Breaks down on the second day, unless there is a file that says otherwise."""

    async def control(self, now: Any) -> None:
        if now.day == 16 and "MENDED" not in os.environ:
            raise RuntimeError("a charger is on fire")
        await super().control(now)


def test_a_day_that_fails_says_where_and_how_to_go_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = EVENINGS.replace("aggregator_agents.agent:EvAggregator", "tests.integration.test_resuming:Fails")
    with pytest.raises(DayFailed) as failure:
        run(tmp_path, failing)
    said = str(failure.value)
    assert "2026-01-16, delivery 2 of 2, failed at 2026-01-16T17:00:00+00:00, in the control of agents.homes" in said
    assert "RuntimeError: a charger is on fire" in said
    assert f"flexmarket simulate --resume {tmp_path} goes on after 2026-01-15" in said
    assert "on fire" in (tmp_path / "failure.txt").read_text()

    monkeypatch.setenv("MENDED", "1")
    again = Scenario.model_validate_json((tmp_path / SCENARIO).read_text())
    asyncio.run(simulate(again, folder=tmp_path, resume=True))
    assert [str(each.file) for each in differences(whole, tmp_path)] == [SCENARIO], "another class, the same results"


class Holds(EvAggregator):
    """Holds something that cannot be written down."""

    @classmethod
    def build(cls, client: Any, config: Mapping[str, Any]) -> "Holds":
        made = super().build(client, config)
        made.held = lambda: None  # type: ignore[attr-defined]
        return made


def test_an_agent_that_cannot_be_kept_is_no_reason_to_stop_but_said(tmp_path: Path) -> None:
    text = EVENINGS.replace("aggregator_agents.agent:EvAggregator", "tests.integration.test_resuming:Holds")
    finished = asyncio.run(simulate(scenario(tmp_path, text), folder=tmp_path))
    assert finished.note is not None
    assert finished.note.startswith("agents.homes cannot be kept")

    answer = CliRunner().invoke(app, ["simulate", "--resume", str(tmp_path)])
    assert (answer.exit_code, "is finished" in answer.output) == (2, True)
    (tmp_path / "measures.json").unlink()
    answer = CliRunner().invoke(app, ["simulate", "--resume", str(tmp_path)])
    assert (answer.exit_code, "agents.homes cannot be kept" in answer.output) == (1, True)


def test_a_run_is_repeated_and_held_to_its_bytes(whole: Path, tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["rerun", str(whole), "--out", str(tmp_path / "same")])
    assert (answer.exit_code, "The same bytes" in answer.output) == (0, True), answer.output

    file = tmp_path / "same" / "results" / "drivers.parquet"
    table = pq.read_table(file)
    other = [1.0, *table["asked_wh"].to_pylist()[1:]]
    pq.write_table(table.set_column(table.column_names.index("asked_wh"), "asked_wh", [other]), file)
    (tmp_path / "same" / "results" / "transfers.parquet").unlink()
    first, second = differences(whole, tmp_path / "same")
    assert str(first).startswith("results/drivers.parquet: asked_wh differs in 1 row, first in row 1: 1.0 instead of ")
    assert str(second) == "results/transfers.parquet: is only in the first"


def test_a_delivery_longer_than_a_day_is_refused_at_its_key(tmp_path: Path) -> None:
    with pytest.raises(BadScenario, match="days: a delivery that comes again every day must be over after a day"):
        scenario(tmp_path, EVENINGS.replace("count = 3", "count = 97"))
