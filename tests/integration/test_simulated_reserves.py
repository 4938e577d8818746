"""What a simulated DSO reserves in advance is among what it pays."""

import asyncio
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from market.figures.run_folder import RunFolder
from market.simulation.run import simulate
from market.simulation.scenario import Scenario
from tests.small_sweep import SCENARIO

EXAMPLES = Path(__file__).parents[2] / "examples" / "lab"
AGENTS = """
[agents.grid.config]
margins = { current = 0.9 }
[agents.grid.config.reserves]
delivery = { start = 2026-01-15T18:00:00+01:00, resolution = "PT15M", count = 2 }
gate_closure = 2026-01-15T16:45:00+01:00
undelivered_eur_per_mwh = 5000
[agents.grid.config.reserves.product]
name = "ahead"
stage = "reservation"
direction = "reduction"
price_cap_eur_per_mwh = 300
activation_cap_eur_per_mwh = 900
availability_penalty_eur_per_mwh = 60
penalty_eur_per_mwh = 0

[agents.pool]
role = "aggregator"
agent = "own_agent:Boiler"
config = { bus = "oest-07" }
"""


def test_what_is_reserved_counts_with_the_delivery_that_it_is_settled_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DSO that keeps nine tenths of every rating free reserves a boiler, and calls it: it pays in two auctions."""
    monkeypatch.syspath_prepend(EXAMPLES)
    text = SCENARIO[: SCENARIO.index("[agents.homes]")] + AGENTS

    finished = asyncio.run(simulate(Scenario.model_validate(tomllib.loads(text)), folder=tmp_path))

    rows = pq.read_table(tmp_path / "results" / "transfers.parquet").to_pylist()
    posted = dict[str, float]()
    for row in (each for each in rows if each["stage"] == "posted"):
        sign = 1 if row["debit"].startswith("dso:") else -1
        posted[row["memo"]] = posted.get(row["memo"], 0.0) + sign * float(row["amount_eur"])
    assert len({row["auction"] for row in rows}) == 2
    assert posted.keys() == {"settlement", "availability"}
    assert min(posted.values()) > 0
    assert finished.measures.dso_flexibility_eur == pytest.approx(sum(posted.values()))


def test_what_is_not_over_when_the_run_ends_is_said_to_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, reserved for two hours more than the run lasts: nobody is paid for it, and it stands in the tables."""
    monkeypatch.syspath_prepend(EXAMPLES)
    longer = AGENTS.replace('resolution = "PT15M", count = 2 }', 'resolution = "PT15M", count = 10 }')
    text = SCENARIO[: SCENARIO.index("[agents.homes]")] + longer

    finished = asyncio.run(simulate(Scenario.model_validate(tomllib.loads(text)), folder=tmp_path))

    (left_open,) = pq.read_table(tmp_path / "results" / "unsettled.parquet").to_pylist()
    assert (left_open["stage"], left_open["end"].isoformat()) == ("reservation", "2026-01-15T19:30:00+00:00")
    assert left_open["pending_eur"] > 0
    memos = pq.read_table(tmp_path / "results" / "transfers.parquet")["memo"].to_pylist()
    assert "availability" not in memos
    (said,) = [row.after for row in RunFolder.at(tmp_path).rows if row.label == "not settled"]
    assert said == f"1 reservation: not over yet, {left_open['pending_eur']:.4f} EUR pending"
    assert finished.last.unsettled[0].auction.id == left_open["auction"]
