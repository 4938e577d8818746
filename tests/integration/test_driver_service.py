"""What a driver says at a plug reaches the amps: the whole service, over HTTP at one end and over OCPP at the other."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from aggregator_agents.charging.chargepoint.running import ChargePoint
from aggregator_agents.charging.chargepoint.settings import ChargePointsFile
from aggregator_agents.charging.ocpp.credentials import hashed
from aggregator_agents.charging.serving.service import Service, port_of
from aggregator_agents.charging.serving.settings import ServiceFile
from aggregator_agents.cli import app
from aggregator_agents.delivery import Order
from aggregator_agents.drivers.codes import Codes, make_key
from api_spec.period import MarketPeriod

PASSWORD = "of-every-station-of-this-test"
HASH = hashed(PASSWORD)
QUICK = {"lag_s": 0.2, "charging_bias_w": 0.0}


def settings(folder: Path) -> ServiceFile:
    """One charger of 16 A with two plugs."""
    if not (folder / "drivers.key").exists():
        make_key(folder / "drivers.key")
    plugs = [{"id": "lot-1-1"}, {"id": "lot-1-2"}]
    drivers = {
        "port": 0,
        "public_url": "http://plugs.test",
        "key": str(folder / "drivers.key"),
        "book": str(folder / "wishes.db"),
        "names": {"lot-1-1": "By the door"},
    }
    return ServiceFile.model_validate(
        {
            "site": {"bus": "lot", "fuse_a": 32, "chargers": [{"id": "lot-1", "plugs": plugs, "max_a": 16}]},
            "listen": {"port": 0, "profile": 1},
            "stations": {"lot-1": {"password_hash": HASH}},
            "timing": {"sample_s": 1, "act_every_s": 0.2, "ask_every_s": 0.4},
            "drivers": drivers,
        }
    )


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Service, str]]:
    ahead = [0.0]
    service = Service(settings(folder), seconds=lambda: time.monotonic() + ahead[0])
    # As if it had been running for longer than anything that an earlier life may have granted.
    ahead[0] = 60.0
    async with service.running() as server:
        yield service, f"ws://localhost:{port_of(server)}/ocpp"


@asynccontextmanager
async def two_vehicles(url: str) -> AsyncIterator[ChargePoint]:
    """At both plugs, for 30 kWh each on three phases."""
    arrivals: list[dict[str, Any]] = [{"plug": plug, "wants_wh": 30_000.0, "behaviour": QUICK} for plug in (1, 2)]
    config = {"id": "lot-1", "version": "1.6", "security": {"password": PASSWORD}, "arrivals": arrivals}
    file = ChargePointsFile.model_validate({"url": url, "charge_points": [config], "acts_every_s": 0.2})
    point = ChargePoint(file.charge_points[0], file)
    task = asyncio.create_task(point.run())
    try:
        yield point
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def phone(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.page_port}") as client:
        yield client


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.05)


def code(folder: Path, plug: str) -> str:
    return Codes.read(folder / "drivers.key").code(plug)


def drawn_a(service: Service) -> list[float]:
    return [each.measured_a for each in service.stations["lot-1"].observations()]


async def test_a_wish_reaches_the_plan_within_a_cycle_and_the_vehicle_soon_after(tmp_path: Path) -> None:
    """16 A for two: 8 A each, or who came first. Who needs 6.9 kWh within the hour needs 10 A, and the other has 6."""
    async with serving(tmp_path) as (service, url), two_vehicles(url), phone(service) as browser:
        await until(lambda: min(drawn_a(service)) > 5)
        plug = f"/v1/plugs/{code(tmp_path, 'lot-1-2')}"
        secret = (await browser.post(f"{plug}/seat")).json()["secret"]
        seat = {"Authorization": f"Bearer {secret}"}
        before = (await browser.get(plug, headers=seat)).json()["stay"]
        other = {"departs": (datetime.now(UTC) + timedelta(hours=6)).isoformat(), "energy_wh": 9_000}
        assert before["in_plan"], "without a wish the plan is made as usual"

        said_s = time.monotonic()
        departs = datetime.now(UTC) + timedelta(hours=1)
        wish = {"departs": departs.isoformat(), "energy_wh": 6_900, "priority": True}
        answer = await browser.put(f"{plug}/wish", json=wish, headers=seat)
        assert answer.status_code == 200, answer.text
        while not (await browser.get(plug, headers=seat)).json()["stay"]["in_plan"]:
            assert time.monotonic() < said_s + 5
            await asyncio.sleep(0.05)
        stay = (await browser.get(plug, headers=seat)).json()["stay"]

        assert stay["by_departure_wh"] == pytest.approx(6_900, rel=0.03)
        await until(lambda: drawn_a(service)[1] > 9.5)
        assert other["energy_wh"] > 0
        page = await browser.get(f"/p/{code(tmp_path, 'lot-1-1')}", headers={"Accept": "text/html"})
        assert "By the door" in page.text


async def test_a_wish_outlives_the_aggregator_and_is_erased_once_its_stay_is_known_to_be_over(tmp_path: Path) -> None:
    async with serving(tmp_path) as (service, url), two_vehicles(url), phone(service) as browser:
        await until(lambda: min(drawn_a(service)) > 5)
        plug = f"/v1/plugs/{code(tmp_path, 'lot-1-1')}"
        secret = (await browser.post(f"{plug}/seat")).json()["secret"]
        wish = {"departs": (datetime.now(UTC) + timedelta(hours=2)).isoformat(), "energy_wh": 5_000}
        seat = {"Authorization": f"Bearer {secret}"}
        assert (await browser.put(f"{plug}/wish", json=wish, headers=seat)).status_code == 200
    assert b"energy_wh" in (tmp_path / "wishes.db").read_bytes()

    # Another transaction is at the plug when the service starts again.
    async with serving(tmp_path) as (service, url), two_vehicles(url):
        await until(lambda: b"energy_wh" not in (tmp_path / "wishes.db").read_bytes())


async def test_while_the_site_delivers_an_award_its_drivers_read_so_and_the_plan_keeps_to_it(tmp_path: Path) -> None:
    """Sold down to 4.2 kW for the hours to come: 6 A for one vehicle, where 11 kW were drawn."""
    async with serving(tmp_path) as (service, url), two_vehicles(url), phone(service) as browser:
        await until(lambda: sum(drawn_a(service)) > 14)
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        delivery = MarketPeriod(start=start, resolution=timedelta(minutes=15), count=16)
        awarded = np.where(np.arange(16) < 12, -6_800.0, 0.0)
        assert service.planner is not None
        service.planner.order = Order(delivery, np.full(16, 4_200.0), awarded, np.full(16, 9_000.0))
        service.planner.ask()

        await until(lambda: sum(drawn_a(service)) < 13)
        page = await browser.get(f"/p/{code(tmp_path, 'lot-1-1')}")
        assert re.search(r"giving room to the grid until \d\d:00", page.text)


def test_the_key_is_made_and_the_addresses_of_the_plugs_are_printed(tmp_path: Path) -> None:
    key, file = tmp_path / "drivers.key", tmp_path / "service.toml"
    made = CliRunner().invoke(app, ["driver-key", str(key)])
    assert made.exit_code == 0, made.output
    assert CliRunner().invoke(app, ["driver-key", str(key)]).exit_code == 2, "a key is never overwritten"
    file.write_text(
        f'site = "risoe"\n[listen]\nport = 0\nprofile = 1\n[stations.lot-1]\npassword_hash = "{HASH}"\n'
        f'[drivers]\npublic_url = "https://plugs.test/ev"\nkey = "{key}"\nbook = "{tmp_path / "wishes.db"}"\n',
        encoding="utf-8",
    )
    printed = CliRunner().invoke(app, ["plug-codes", "--config", str(file)])

    lines = printed.output.splitlines()
    assert len(lines) == 16
    plug, address = lines[0].split("\t")
    assert address == f"https://plugs.test/ev/p/{Codes.read(key).code(plug)}"
