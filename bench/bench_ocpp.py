"""A sweep: every plug is told another limit by a charging profile of its own, and every station has answered.

Stations of two plugs each are connected over loopback from a process of their own, and accept at once. connect : from
the first handshake until all stations are prepared (passwords checked, settings and fallback loaded). sweep : one
SetChargingProfile to each plug, all answers validated by the schemas of OCPP; best and worst of several. One
station handles one call at a time, as OCPP has it. package : the best sweep of the same stations by a central system
made of the PyPI package `ocpp` alone.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from math import inf
from typing import Final

from aggregator_agents.charging.ocpp.central import CentralSystem, Listening
from aggregator_agents.charging.ocpp.credentials import Doorkeeper, hashed
from aggregator_agents.charging.ocpp.dialect import Desk
from aggregator_agents.charging.ocpp.station import Station, StationTerms
from aggregator_agents.fleet import Site
from bench.measuring import Options, Row, progress
from bench.ocpp_package import all_begun, listening, sweep_once
from bench.ocpp_stations import PASSWORD

VERSIONS: Final = ("1.6", "2.0.1", "2.1")
SWEEPS: Final = 10


def run(options: Options) -> Iterator[Row]:
    for plugs in (200,) if options.quick else (200, 1000):
        for version in VERSIONS:
            progress(f"ocpp {version}, {plugs} plugs")
            package_s = asyncio.run(by_package(version, plugs // 2))
            yield asyncio.run(measured(version, plugs)) | {"package s": f"{package_s:.3f}"}


async def by_package(version: str, stations: int) -> float:
    async with listening(version) as (port, connected):
        with subprocess.Popen(command(port, version, stations)) as process:
            async with asyncio.timeout(120):
                await all_begun(connected, stations)
                best_s = inf
                for each in range(SWEEPS):
                    started = time.perf_counter()
                    await sweep_once(connected, 6 + each)
                    best_s = min(best_s, time.perf_counter() - started)
            process.terminate()
    return best_s


def command(port: int, version: str, stations: int) -> list[str]:
    return [sys.executable, "-m", "bench.ocpp_stations", str(port), version, str(stations)]


async def measured(version: str, plugs: int) -> Row:
    site = Site.of("lot", chargers=plugs // 2, plugs_per_charger=2, fuse_a=4000, charger_a=32)
    desk = Desk(tokens=lambda _: True)
    stations = {each.id: Station(each, StationTerms(floor_a=7), desk) for each in site.chargers}
    # Every station has a password of its own; here they are equal, and hashed once.
    kept = hashed(PASSWORD)
    system = CentralSystem(stations, Doorkeeper(dict.fromkeys(stations, kept)))
    async with system.listen(Listening(port=0)) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        started = time.perf_counter()
        with subprocess.Popen(command(port, version, len(stations))) as process:
            async with asyncio.timeout(120):
                await asyncio.gather(*(each.ready() for each in stations.values()))
                connect_s = time.perf_counter() - started
                await asyncio.gather(*(hold(each) for each in stations.values()))
                sweeps_s = [await sweep(stations, 6 + each) for each in range(SWEEPS)]
            for station in stations.values():
                assert [each.reply for each in station.observations()] == ["accepted"] * 2
            await asyncio.gather(*(each.close() for each in stations.values()))
            process.wait(30)
    return {
        "OCPP": version,
        "stations": str(len(stations)),
        "plugs": str(plugs),
        "connect s": f"{connect_s:.2f}",
        "sweep s": f"{min(sweeps_s):.3f}",
        "worst s": f"{max(sweeps_s):.3f}",
        "ms a plug": f"{min(sweeps_s) / plugs * 1e3:.2f}",
    }


async def hold(station: Station) -> None:
    await station.hold((32, 32, 32), until_s=time.monotonic() + 3600)


async def sweep(stations: dict[str, Station], limit_a: int) -> float:
    started = time.perf_counter()
    await asyncio.gather(*(signal(each, limit_a) for each in stations.values()))
    return time.perf_counter() - started


async def signal(station: Station, limit_a: int) -> None:
    for plug in station.charger.plugs:
        await station.signal(plug.id, limit_a, holds_s=inf)
