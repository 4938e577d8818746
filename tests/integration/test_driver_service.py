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
from aggregator_agents.drivers.codes import Codes, make_key
from aggregator_agents.drivers.page import create_driver_app
from aggregator_agents.drivers.serving import served
from tests.unit.aggregator_agents.parking import parking

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
    async with asyncio.timeout(40):
        while not condition():
            await asyncio.sleep(0.05)


def code(folder: Path, plug: str) -> str:
    return Codes.read(folder / "drivers.key").code(plug)


def drawn_a(service: Service) -> list[float]:
    return [each.measured_a for each in service.stations["lot-1"].observations()]


async def test_a_wish_reaches_the_plan_within_a_cycle_and_the_vehicle_soon_after(tmp_path: Path) -> None:
    """16 A for two. Who has less of it and needs 5.3 kWh in half an hour needs 15 A; the other, just begun, keeps 6."""
    async with serving(tmp_path) as (service, url), two_vehicles(url), phone(service) as browser:
        await until(lambda: sum(drawn_a(service)) > 15)
        less = int(np.argmin(drawn_a(service)))
        assert drawn_a(service)[less] < 9
        plug = f"/v1/plugs/{code(tmp_path, f'lot-1-{less + 1}')}"
        secret = (await browser.post(f"{plug}/seat")).json()["secret"]
        seat = {"Authorization": f"Bearer {secret}"}

        async def stay() -> dict[str, Any]:
            answer: dict[str, Any] = (await browser.get(plug, headers=seat)).json()["stay"]
            return answer

        assert (await stay())["plan"] is not None, "without a wish the plan is made as usual"
        assert service.planner is not None
        view, card = service.planner.look(f"lot-1-{less + 1}"), service.stations["lot-1"].token(f"lot-1-{less + 1}")
        assert view is not None and view.stay is not None and card is not None
        assert view.stay.driver == Codes.read(tmp_path / "drivers.key").pseudonym(card)
        wish = {
            "departs": (datetime.now(UTC) + timedelta(minutes=30)).isoformat(),
            "energy_wh": 5_300,
            "priority": True,
        }
        assert (await browser.put(f"{plug}/wish", json=wish, headers=seat)).status_code == 200
        async with asyncio.timeout(5):
            while not (await stay())["in_plan"]:
                await asyncio.sleep(0.05)

        assert (await stay())["by_departure_wh"] == pytest.approx(5_300, rel=0.1)
        await until(lambda: drawn_a(service)[less] > 9.5)
        page = await browser.get(f"/p/{code(tmp_path, 'lot-1-1')}", headers={"Accept": "text/html"})
        assert "By the door" in page.text


async def test_behind_a_proxy_that_cuts_a_path_off_the_page_finds_its_own_parts(tmp_path: Path) -> None:
    with parking(tmp_path) as lot:
        place = f"/p/{lot.codes.code('lot-1-1')}"
        async with (
            served(create_driver_app(lot.reception()), host="127.0.0.1", port=0, path="/ev") as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"Accept": "text/html"}) as proxy,
        ):
            page = await proxy.get(place)
            linked = re.findall(r'(?:href|src|action|data-page)="(/[^"]*)"', page.text)
            assert len(linked) == 4
            assert all(each.startswith("/ev/") for each in linked)
            assert (await proxy.get("/assets/driver.css")).status_code == 200
            (proof,) = re.findall(r'name="proof" value="([^"]+)"', page.text)
            taken = await proxy.post(f"{place}/seat", data={"proof": proof})
            assert taken.headers["location"] == f"/ev{place}"
            assert f"Path=/ev{place};" in taken.headers["set-cookie"]
            assert (await proxy.get("/v1/plugs/x")).headers["content-type"] == "application/problem+json"


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
