"""The DSO's agent with meters, against the real market: it learns, asks for its risk, and reserves where that pays."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from api_spec.client import MarketClient
from api_spec.grid_metering import GridReading
from api_spec.metering import BaselineNomination, BusPower
from api_spec.organisation import OrganisationTerms
from api_spec.period import MarketPeriod
from dso_agents.agent import DsoAgent
from dso_agents.cli import app
from dso_agents.forecast import KnownLoad
from tests.running_market import RunningMarket, running_market
from tests.unit.dso_agents.street import VOLT_AMPS_PER_AMP, amps, street

NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)  # a Sunday
GATE = NOON + timedelta(hours=8)
HOUR = timedelta(hours=1)
NIGHT = MarketPeriod(start=NOON + 17 * HOUR, resolution=HOUR, count=4)
WEEKS = 4
SWINGS = (-20, -12, -5, 4, 13, 20)  # amperes around 60, day by day; the weekly mean stays about the same
PRODUCT = {"name": "day", "price_cap_eur_per_mwh": 900, "penalty_eur_per_mwh": 100}


def hours(start: datetime, *current_a: float) -> GridReading:
    """What the meter at the far end says."""
    values = tuple(each * VOLT_AMPS_PER_AMP for each in current_a)
    return GridReading(meter="m", bus="far", quantity="p_w", start=start, resolution=HOUR, values=values)


def metered(*, chargers_a: float = 0.0) -> GridReading:
    """Four weeks: 60 A, up or down on every day as a whole, and chargers on top."""
    days = [60 + SWINGS[number % len(SWINGS)] + chargers_a for number in range(7 * WEEKS)]
    return hours(datetime(2026, 1, 11, tzinfo=UTC) - timedelta(weeks=WEEKS), *(day for day in days for _ in range(24)))


def config(folder: Path, **changes: Any) -> dict[str, Any]:
    file = folder / "known.json"
    known = MarketPeriod(start=NIGHT.start - 72 * HOUR, resolution=HOUR, count=144)
    file.write_text(KnownLoad(network=street(), period=known, load=amps(*(50,) * 144)).model_dump_json())
    return {
        "known_load": str(file),
        "decides_before_gate": "PT1H",
        "asking": {"shoulder": 0},
        "risk": {"probability": 0.1},
        "learning": {"level_share": 0.0},
        "opens": {
            "product": PRODUCT,
            "delivery": {"start": NIGHT.start, "resolution": "PT1H", "count": 4},
            "gate_closure": GATE,
        },
        **changes,
    }


@pytest.fixture
def market(tmp_path: Path) -> Iterator[RunningMarket]:
    with running_market(tmp_path, now=NOON) as running:
        yield running


@pytest_asyncio.fixture
async def sides(market: RunningMarket) -> AsyncIterator[tuple[MarketClient, MarketClient, MarketClient]]:
    """Operator, DSO, aggregator."""
    async with MarketClient(market.url, market.operator) as operator:
        grid = await operator.register_organisation(OrganisationTerms(name="Grid", role="dso"))
        homes = await operator.register_organisation(OrganisationTerms(name="Homes", role="aggregator"))
        async with MarketClient(market.url, grid) as dso, MarketClient(market.url, homes) as aggregator:
            yield operator, dso, aggregator


async def test_it_asks_for_a_margin_that_its_meters_taught_it_and_leaves_chargers_to_who_nominates_them(
    market: RunningMarket, sides: tuple[MarketClient, MarketClient, MarketClient], tmp_path: Path
) -> None:
    """60 A expected and 30 A nominated in the third hour: within 100 A, but not on a day that draws 20 A more.

    Days stray by at most 20 A, stretched by Student's t to some more; without meters nothing would be asked.
    """
    operator, dso, aggregator = sides
    agent = DsoAgent.build(dso, config(tmp_path))
    agent.meters([metered()])
    await agent.cycle(NOON)
    (auction,) = await aggregator.auctions(state="open")
    nominated = (BusPower(bus="far", power_w=(0, 0, round(30 * VOLT_AMPS_PER_AMP), 0)),)
    await aggregator.nominate_baseline(auction.id, BaselineNomination(buses=nominated))

    market.clock.advance_to(GATE - HOUR / 2)
    await agent.cycle(market.clock.now())
    await agent.cycle(market.clock.now())

    (receipt,) = await dso.requests(auction.id)
    assert receipt.request.kind == "congestion"
    assert receipt.request.active == (False, False, True, False)
    assert isinstance(receipt.request.limit_a, tuple)
    assert all(70 < limit_a < 88 for limit_a in receipt.request.limit_a)
    (asked,) = agent.request_log()
    assert (asked.auction, asked.kind, asked.about) == (auction.id, "congestion", "cable")
    assert "above its rating with" in asked.because
    decision = agent.decisions[auction.id]
    (told,) = decision.forecast
    assert told.p_w == pytest.approx([60 * VOLT_AMPS_PER_AMP] * 4, rel=0.06)
    assert 0.1 < decision.need < 0.5

    # Two nights with those chargers nominated and 60 A beside them metered: only the 60 A are forecast for the third.
    for number in (1, 2):
        market.clock.advance_to(auction.gate_closure)
        await operator.clear(auction.id)
        delivery = MarketPeriod(start=NIGHT.start + number * 24 * HOUR, resolution=HOUR, count=4)
        opens = {"product": PRODUCT, "delivery": delivery.model_dump(), "gate_closure": GATE + number * 24 * HOUR}
        agent = DsoAgent.build(dso, config(tmp_path, opens=opens, learning={"prior_days": 0, "level_share": 0}))
        agent.meters([metered(), *(hours(NIGHT.start + night * 24 * HOUR, 60, 60, 90, 60) for night in range(number))])
        await agent.cycle(market.clock.now())
        (auction,) = await aggregator.auctions(state="open")
        await aggregator.nominate_baseline(auction.id, BaselineNomination(buses=nominated))
    market.clock.advance_to(auction.gate_closure - HOUR / 2)
    await agent.cycle(market.clock.now())

    (told,) = agent.decisions[auction.id].forecast
    assert told.p_w == pytest.approx([60 * VOLT_AMPS_PER_AMP] * 4, rel=1e-3)


RESERVES = {
    "product": {
        "name": "evening reserve",
        "stage": "reservation",
        "direction": "reduction",
        "price_cap_eur_per_mwh": 500,
        "penalty_eur_per_mwh": 0,
        "activation_cap_eur_per_mwh": 150,
    },
    "delivery": {"start": NIGHT.start, "resolution": "PT1H", "count": 4},
    "gate_closure": NOON + 4 * HOUR,
    "availability_eur_per_mwh": 20,
    "on_the_day_eur_per_mwh": 200,
    "undelivered_eur_per_mwh": 2000,
}


async def test_it_reserves_where_standing_ready_costs_less_than_scarcity(
    market: RunningMarket,
    sides: tuple[MarketClient, MarketClient, MarketClient],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Metered with chargers, 95 A and up to 20 A more: a need in half of all nights, and nothing is known of offers.

    On the day an MWh costs 0.5 x 200 + 0.5 x 2000 = 1100 EUR, reserved 0.95 x 150 + 0.05 x 2000 = 242.5 EUR. Standing
    ready is worth 20 EUR where the need is above 20 / 857.5 = 2.3 %. A risk of 40 % is accepted, so that cost decides.
    """
    _, dso, aggregator = sides
    table = config(tmp_path, risk={"probability": 0.4}, reserves=RESERVES)
    del table["opens"]
    agent = DsoAgent.build(dso, table)
    agent.meters([metered(chargers_a=35)])

    with caplog.at_level(logging.INFO, logger="dso_agents"):
        await agent.cycle(NOON)
        await agent.cycle(NOON)

    (auction,) = await aggregator.auctions(state="open")
    said = [each.getMessage() for each in caplog.records if "reservation from" in each.getMessage()]
    assert auction.product.stage == "reservation"
    assert len(said) == 1
    assert "by cost, reserve needs that occur with more than 2.3%" in said[0]

    nominated = BusPower(bus="far", power_w=(round(35 * VOLT_AMPS_PER_AMP),) * 4)
    await aggregator.nominate_baseline(auction.id, BaselineNomination(buses=(nominated,)))
    market.clock.advance_to(auction.gate_closure - HOUR / 2)
    await agent.cycle(market.clock.now())
    await agent.cycle(market.clock.now())
    asked = [each.request for each in await dso.requests(auction.id)]
    assert [(each.kind, getattr(each, "max_price_eur_per_mwh", None)) for each in asked] == [
        ("congestion", Decimal(1000)),
        ("congestion", Decimal(250)),
    ], "the rating, and below it what is kept free for risk; each of them once"


def test_check_shows_the_band_and_how_likely_congestion_is(tmp_path: Path) -> None:
    meters, file = tmp_path / "meters.csv", tmp_path / "dso.toml"
    reading = metered(chargers_a=30)
    rows = [f"far,{(reading.start + at * HOUR).isoformat()},{value}" for at, value in enumerate(reading.values)]
    meters.write_text("\n".join(["bus,start,p_w", *rows]) + "\n")
    known = config(tmp_path)["known_load"]
    file.write_text(
        f'[agent]\nknown_load = "{known}"\nmeters = "{meters}"\n[agent.opens]\ngate_closure = {GATE.isoformat()}\n'
        'product = { name = "day", price_cap_eur_per_mwh = 900, penalty_eur_per_mwh = 100 }\n'
        f'delivery = {{ start = {NIGHT.start.isoformat()}, resolution = "PT1H", count = 4 }}\n'
    )

    answer = tmp_path / "check.json"
    said = CliRunner().invoke(app, ["check", "--config", str(file), "--json", str(answer)])
    tested = CliRunner().invoke(app, ["backtest", "--config", str(file), "--days", "3"])

    assert said.exit_code == 0, said.output
    assert all(word in said.stdout for word in ("like days known", "cable", "congestion", "likely"))
    (overload,) = json.loads(answer.read_text())["overloads"]
    assert overload["chance"]["probability"] == pytest.approx([json.loads(answer.read_text())["need"]] * 4, abs=0.2)
    assert tested.exit_code == 0, tested.output
    assert all(word in tested.stdout for word in ("2 days after the fact", "90 %", "of the profile"))
