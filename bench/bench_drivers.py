"""The page at a plug: what it takes of the loop in which chargers are controlled, and until a wish is on the disk.

A lot of vehicles that all charge by a plan of 96 steps, over ASGI in one process. A wish is answered once it is
durable; the last column is what a sync of the disk alone takes here.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

import httpx

from aggregator_agents.charging.serving.planned import PlanningTable, SitePlanner
from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.dispatch.lease import LeaseRequest, PlugDemand
from aggregator_agents.drivers.book import WishBook
from aggregator_agents.drivers.codes import Codes
from aggregator_agents.drivers.desk import BookDesk
from aggregator_agents.drivers.page import create_driver_app
from aggregator_agents.drivers.reception import Reception
from aggregator_agents.fleet import Site
from bench.intake_market import sync_s
from bench.measuring import Options, Row, progress

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def run(options: Options) -> Iterator[Row]:
    if options.sizes is not None:
        return
    for plugs in (16,) if options.quick else (16, 1000):
        progress(f"drivers: {plugs} plugs")
        with tempfile.TemporaryDirectory(prefix="flexmarket-bench-", dir=Path.cwd()) as folder:
            yield asyncio.run(_row(Path(folder), plugs, repeats=30 if options.quick else 200))


async def _row(folder: Path, plugs: int, *, repeats: int) -> Row:
    site = Site.of("lot", chargers=plugs // 2, plugs_per_charger=2, fuse_a=4 * plugs)
    cloud = CloudAggregator(site, started_s=0.0)
    for charger in site.chargers:
        demands = tuple(PlugDemand(plug=each.id, session="1", wants=True, phases=(0, 1, 2)) for each in charger.plugs)
        cloud.receive(LeaseRequest(charger=charger.id, boot_id="b", nonce=1, plugs=demands), 60.0)
    moment_s = [0.0]

    def later_s() -> float:
        moment_s[0] += 60.0
        return moment_s[0]

    with WishBook.open(folder / "wishes.db") as book:
        planner = SitePlanner(site, cloud, PlanningTable(), clock=lambda: NOW, book=book)
        await planner.decide()
        desk = BookDesk(book, look=planner.look, replan=planner.ask, clock=lambda: NOW)
        codes = Codes(bytes(32))
        zone = ZoneInfo("Europe/Copenhagen")
        reception = Reception(desk, book, codes, zone, secure=False, clock=lambda: NOW, now_s=later_s)
        transport = httpx.ASGITransport(create_driver_app(reception))
        async with httpx.AsyncClient(transport=transport, base_url="http://plugs") as client:
            code = codes.code(site.plugs[0].id)
            secret = (await client.post(f"/v1/plugs/{code}/seat")).json()["secret"]
            seat = {"Authorization": f"Bearer {secret}"}
            wish = {"departs": (NOW + timedelta(hours=4)).isoformat(), "energy_wh": 20_000}
            page_s = await _median_s(lambda: client.get(f"/p/{code}", headers={"Cookie": f"seat={secret}"}), repeats)
            state_s = await _median_s(lambda: client.get(f"/v1/plugs/{code}", headers=seat), repeats)
            wish_s = await _median_s(lambda: client.put(f"/v1/plugs/{code}/wish", json=wish, headers=seat), repeats)
    return {
        "plugs": str(plugs),
        "page ms": f"{1e3 * page_s:.1f}",
        "JSON ms": f"{1e3 * state_s:.1f}",
        "wish, durable ms": f"{1e3 * wish_s:.1f}",
        "one sync ms": f"{1e3 * sync_s(folder):.2f}",
    }


async def _median_s(request: Callable[[], Awaitable[httpx.Response]], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begun_s = time.perf_counter()
        answer = await request()
        times.append(time.perf_counter() - begun_s)
        assert answer.status_code == 200, answer.text
    return median(times)
