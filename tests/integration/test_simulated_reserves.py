"""What a simulated DSO reserves in advance is among what it pays."""

import asyncio
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from api_spec.reservation import AvailabilityLine
from market.figures.run_folder import RunFolder
from market.simulation.run import simulate
from market.simulation.scenario import Scenario
from market.simulation.world import DATABASE
from market.store import UnitOfWork, open_engine
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
HOMES = """
[agents.homes.config]
value = { waiting_eur_per_mwh_hour = 500 }
[agents.homes.config.asking]
standing_ready = { called = 0.0, floor_eur_per_mwh = 7 }
"""
PERIOD = Scenario.model_validate(tomllib.loads(SCENARIO)).delivery


def test_what_is_reserved_counts_with_the_delivery_that_it_is_settled_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DSO that keeps nine tenths of every rating free reserves a boiler, and calls it: it pays in two auctions."""
    monkeypatch.syspath_prepend(EXAMPLES)
    text = SCENARIO[: SCENARIO.index("[agents.homes]")] + AGENTS

    finished = asyncio.run(simulate(Scenario.model_validate(tomllib.loads(text)), folder=tmp_path))

    posted = paid(tmp_path)
    assert posted.keys() == {"settlement", "availability"}
    assert min(posted.values()) > 0
    assert finished.measures.dso_flexibility_eur == pytest.approx(sum(posted.values()))


def paid(folder: Path) -> dict[str, float]:
    """What the DSO paid in the two auctions, by what for [EUR]."""
    rows = pq.read_table(folder / "results" / "transfers.parquet").to_pylist()
    assert len({row["auction"] for row in rows}) == 2
    posted = dict[str, float]()
    for row in (each for each in rows if each["stage"] == "posted"):
        sign = 1 if row["debit"].startswith("dso:") else -1
        posted[row["memo"]] = posted.get(row["memo"], 0.0) + sign * float(row["amount_eur"])
    return posted


def reserved(folder: Path) -> list[AvailabilityLine]:
    """The settled lines of the reservation."""
    engine = open_engine(f"sqlite:///{folder / DATABASE}")
    with UnitOfWork(engine) as work:
        (auction,) = {each.auction for each in work.reservations.during("risoe", PERIOD)}
        lines = [line for each in work.reservations.statements(auction) for line in each.lines]
    engine.dispose()
    return lines


def test_the_shipped_aggregator_sells_that_it_stands_ready_and_offers_it_on_the_day(tmp_path: Path) -> None:
    """It asks 7 EUR/MW/h, is paid as bid, and offers all of it when it is called for.

    An hour of waiting costs 500 EUR/MWh, more than the 20 that it may ask for what is reserved, which is published
    after it sent its offers for the day.
    """
    evening = SCENARIO.replace("count = 2", "count = 12").replace("arrives_h = 17.0", "arrives_h = 18.0")
    dso, homes = evening[: evening.index("[agents.homes]")], evening[evening.index("[agents.homes]") :]
    reserves = AGENTS[: AGENTS.index("[agents.pool]")].replace("count = 2", "count = 12")
    reserves = reserves.replace(
        "activation_cap_eur_per_mwh = 900", 'activation_cap_eur_per_mwh = 20\npricing = "pay_as_bid"'
    )

    asyncio.run(simulate(Scenario.model_validate(tomllib.loads(dso + reserves + homes + HOMES)), folder=tmp_path))

    lines = reserved(tmp_path)
    ready_mwh = sum(each.reserved_w for each in lines) * PERIOD.hours * 1e-6
    assert ready_mwh > 0.01
    assert [float(each.price_eur_per_mwh) for each in lines] == pytest.approx([7] * len(lines), abs=0.01), "whole watts"
    assert all(each.offered_w == each.requested_w == each.reserved_w for each in lines)
    assert any(each.ordered_w for each in lines)
    assert paid(tmp_path)["availability"] == pytest.approx(7 * ready_mwh, rel=5e-3)


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
