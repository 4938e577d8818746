"""The whole service: emulated charge points with vehicles connect to it and charge within their leases."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aggregator_agents.charging.chargepoint.running import ChargePoint
from aggregator_agents.charging.chargepoint.settings import ChargePointsFile
from aggregator_agents.charging.ocpp.credentials import hashed
from aggregator_agents.charging.serving.service import Service, port_of
from aggregator_agents.charging.serving.settings import ServiceFile

PASSWORD = "of-every-station-of-this-test"
HASH = hashed(PASSWORD)
COMMAND = (
    sys.executable,
    "-c",
    "from aggregator_agents.cli import main; main()",
    "serve",
    "--log-format",
    "json",
    "--config",
)
QUICK = {"lag_s": 0.2, "charging_bias_w": 0.0}


def settings(stations: dict[str, dict[str, Any]], fuse_a: int) -> ServiceFile:
    """Chargers of two plugs."""
    chargers = [{"id": id, "plugs": [{"id": f"{id}-{plug}"} for plug in (1, 2)], "max_a": 16} for id in stations]
    return ServiceFile.model_validate(
        {
            "site": {"bus": "lot", "fuse_a": fuse_a, "chargers": chargers},
            "listen": {"port": 0, "profile": 1},
            "stations": {id: each | {"password_hash": HASH} for id, each in stations.items()},
            "timing": {"sample_s": 1, "act_every_s": 0.2, "ask_every_s": 0.4},
        }
    )


@asynccontextmanager
async def serving(stations: dict[str, dict[str, Any]], *, fuse_a: int) -> AsyncIterator[tuple[Service, str]]:
    ahead = [0.0]
    service = Service(settings(stations, fuse_a), seconds=lambda: time.monotonic() + ahead[0])
    # As if it had been running for longer than anything that an earlier life may have granted.
    ahead[0] = 60.0
    async with service.running() as server:
        yield service, f"ws://localhost:{port_of(server)}/ocpp"


@asynccontextmanager
async def charge_point(url: str, id: str, version: str, **more: Any) -> AsyncIterator[ChargePoint]:
    arrivals = [{"plug": 1, "wants_wh": 20_000.0, "behaviour": QUICK}]
    config = {"id": id, "version": version, "security": {"password": PASSWORD}, "arrivals": arrivals}
    file = ChargePointsFile.model_validate({"url": url, "charge_points": [config], "acts_every_s": 0.2} | more)
    point = ChargePoint(file.charge_points[0], file)
    task = asyncio.create_task(point.run())
    try:
        yield point
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.05)


def drawn_a(point: ChargePoint) -> float:
    return max(point.hardware.current_a)


async def test_chargers_of_every_version_and_with_an_aggregator_of_their_own_share_the_fuse() -> None:
    """62 A for four chargers, 15 A each on their own: four vehicles of 16 A have 61 or 62 A by their leases."""
    leases = {"floor_a": 15, "act_every_s": 0.2, "ask_every_s": 0.4}
    stations = {"lot-1": {}, "lot-2": {}, "lot-3": {}, "lot-4": {"virtual_aggregator": "own"}}
    most_a = 0.0
    async with (
        serving(stations, fuse_a=62) as (service, url),
        charge_point(url, "lot-1", "1.6") as first,
        charge_point(url, "lot-2", "2.0.1") as second,
        charge_point(url, "lot-3", "2.1") as third,
        charge_point(url, "lot-4", "1.6", leases=leases) as own,
    ):

        def all_charge() -> bool:
            nonlocal most_a
            total_a = sum(map(drawn_a, (first, second, third, own)))
            most_a = max(most_a, total_a)
            return total_a > 60.5

        await until(all_charge)
        for _ in range(20):
            all_charge()
            await asyncio.sleep(0.05)
        hosted = [each for each in service.stations.values() if each.terms.hosted]
        seen = [each.observations()[0] for each in hosted]
        assert [(each.reply, each.ignored) for each in seen] == [("accepted", False)] * 3
        assert [each.version for each in hosted] == ["1.6", "2.0.1", "2.1"]
        assert all(each.fallback_loaded for each in hosted)
    assert most_a <= 62.01


def test_the_command_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    file.write_text(
        f'site = "risoe"\n[listen]\nport = 0\nprofile = 1\n[stations.lot-1]\npassword_hash = "{HASH}"\n',
        encoding="utf-8",
    )
    with subprocess.Popen([*COMMAND, str(file)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        assert first["level"] == "info" and "1 stations of lot may connect" in first["event"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert "stopped" in process.stderr.read()
