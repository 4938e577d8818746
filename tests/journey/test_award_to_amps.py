"""From a DSO's request to amps over OCPP and back to money: a running site of chargers trades on a running market.

The market's time is moved by the test; chargers, leases and vehicles live in real time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from aggregator_agents.charging.chargepoint.running import ChargePoint
from aggregator_agents.charging.chargepoint.settings import ChargePointsFile
from aggregator_agents.charging.ocpp.credentials import hashed
from aggregator_agents.charging.serving.service import Service, port_of
from aggregator_agents.charging.serving.settings import ServiceFile
from api_spec.auction import AuctionTerms
from api_spec.client import MarketClient
from api_spec.flexibility import AnyRequestTerms
from api_spec.organisation import Credentials, OrganisationTerms
from api_spec.period import MarketPeriod
from api_spec.product import Product
from market.settings import Settings
from tests.running_market import RunningMarket, running_market
from tests.unit.dso_agents.street import street

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
GATE = NOON + timedelta(hours=2)
DELIVERY = MarketPeriod(start=datetime(2026, 1, 14, 16, tzinfo=UTC), resolution=timedelta(minutes=15), count=16)
LIMIT: TypeAdapter[AnyRequestTerms] = TypeAdapter(AnyRequestTerms)
PASSWORD = "of-every-station-of-this-test"
CHARGERS = ("far-1", "far-2", "far-3")


def service_file(market: RunningMarket, account: Credentials, folder: Path) -> ServiceFile:
    """Three chargers of 16 A behind 48 A; three vehicles are expected at 16 o'clock, for 8 kWh each."""
    (folder / "fleet.json").write_text(account.model_dump_json())
    chargers = [{"id": id, "plugs": [{"id": f"{id}-1"}], "max_a": 16} for id in CHARGERS]
    sessions = {"arrives_h": 16, "departs_h": 22, "arrives_std_h": 0, "energy_kwh": 8, "timezone": "UTC"}
    return ServiceFile.model_validate(
        {
            "site": {"bus": "far", "fuse_a": 48, "chargers": chargers},
            "listen": {"port": 0, "profile": 1},
            "stations": {id: {"password_hash": hashed(PASSWORD)} for id in CHARGERS},
            "timing": {"sample_s": 1, "act_every_s": 0.2, "ask_every_s": 0.4},
            "planning": {"usual": {"energy_kwh": 8}},
            "market": {
                "url": market.url,
                "credentials": str(folder / "fleet.json"),
                "network": "street",
                "meters": str(folder / "meters.db"),
                "sessions": sessions,
                "every_s": 0.2,
            },
        }
    )


@asynccontextmanager
async def vehicles_at(url: str) -> AsyncIterator[None]:
    """One at every charger, on three phases; one version of OCPP each."""
    arrival: dict[str, Any] = {"plug": 1, "wants_wh": 8_000.0, "behaviour": {"lag_s": 0.2, "charging_bias_w": 0.0}}
    points = [
        {"id": id, "version": version, "security": {"password": PASSWORD}, "arrivals": [arrival]}
        for id, version in zip(CHARGERS, ("1.6", "2.0.1", "2.1"), strict=True)
    ]
    file = ChargePointsFile.model_validate({"url": url, "charge_points": points, "acts_every_s": 0.2})
    tasks = [asyncio.create_task(ChargePoint(each, file).run()) for each in file.charge_points]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool], said: str) -> None:
    try:
        async with asyncio.timeout(40):
            while not condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(said)


async def test_an_award_becomes_amps_over_ocpp_and_readings_become_money(tmp_path: Path) -> None:
    settings = Settings(token_ttl=timedelta(days=2))
    with running_market(tmp_path, now=NOON, settings=settings) as market:
        async with MarketClient(market.url, market.operator) as operator:
            grid = await operator.register_organisation(OrganisationTerms(name="Grid", role="dso"))
            fleet = await operator.register_organisation(OrganisationTerms(name="Fleet", role="aggregator"))
            async with MarketClient(market.url, grid) as dso, MarketClient(market.url, fleet) as own:
                await _trade(market, operator, dso, own, service_file(market, fleet, tmp_path))


async def _trade(
    market: RunningMarket, operator: MarketClient, dso: MarketClient, own: MarketClient, file: ServiceFile
) -> None:
    await dso.register_network(street())
    product = Product(name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100))
    terms = AuctionTerms(network="street", product=product, delivery=DELIVERY, gate_closure=GATE)
    auction = (await dso.open_auction(terms)).id
    active = [at < 4 for at in range(DELIVERY.count)]
    limit = {"kind": "capacity", "element": "cable", "import_limit_w": 20_000, "active": active}
    await dso.submit_request(auction, LIMIT.validate_python({**limit, "max_price_eur_per_mwh": 500}))
    ahead = [0.0]
    service = Service(file, seconds=lambda: time.monotonic() + ahead[0], clock=market.clock.now)
    # As if it had been running for longer than anything that an earlier life may have granted.
    ahead[0] = 60.0
    async with service.running() as server:

        def drawn_a() -> float:
            return sum(each.measured_a for station in service.stations.values() for each in station.observations())

        market.clock.advance_to(GATE - timedelta(minutes=10))
        offered = await _soon(lambda: own.offers(auction), "it offers before the gate closes")
        assert len(offered) == 1
        market.clock.advance_to(GATE)
        assert (await operator.clear(auction)).state == "published"
        (award,) = await own.awards(auction)
        assert award.power_w[0] == -13_120, "of 33.12 kW that were nominated 20 kW are left"

        market.clock.advance_to(DELIVERY.start)
        async with vehicles_at(f"ws://localhost:{port_of(server)}/ocpp"):
            # 20 kW are 28.98 A: 28 whole amps, on three vehicles that could take 48.
            await until(lambda: 27 <= drawn_a() <= 28.5, "the award is followed")
            market.clock.advance_to(DELIVERY.start + timedelta(hours=1))
            await until(lambda: drawn_a() > 40, "what was moved is charged when it may be")
            market.clock.advance_to(DELIVERY.end)
            await _soon(lambda: all_read(own, auction), "every period is read")
    await operator.settle(auction)
    assert (await own.statement(auction)).payment_eur > 0


async def all_read(own: MarketClient, auction: str) -> bool:
    return sum(len(each.buses[0].power_w) for each in await own.readings(auction)) == DELIVERY.count


async def _soon(ask: Callable[[], Any], said: str) -> Any:
    """What the market holds once there is something."""
    for _ in range(400):
        found = await ask()
        if found:
            return found
        await asyncio.sleep(0.05)
    return pytest.fail(said)
