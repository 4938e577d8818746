"""The demonstration: one winter day, run as a user runs it, and everything that it leaves behind."""

import asyncio
import json
from collections.abc import Iterator

import httpx
import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from playwright.async_api import async_playwright

from api_spec.result import Result
from market.case_file import read_case
from market.clearing import clear
from tests.browsing import ARGUMENTS, CHROMIUM, EMPTY_PLOTS, OVERFLOWING, Watched
from tests.demo_run import DemoRun, demo_run

LOT_FUSE_W = 63 * 690
HOME_FUSE_W = 17 * 690
TABLES = ("drivers", "elements", "fleets", "offers", "plugs", "prices", "settlement", "transfers", "voltages")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoRun]:
    with demo_run(tmp_path_factory.mktemp("runs") / "day") as run:
        yield run


def column(demo: DemoRun, table: str, name: str) -> np.ndarray:
    return np.array(pq.read_table(demo.folder / "results" / f"{table}.parquet")[name].to_pylist())


def test_it_prints_a_short_table(demo: DemoRun) -> None:
    assert "Running HiGHS" not in demo.printed, "solvers are silent"
    labels = ["worst loading", "lowest voltage", "highest DLMP", "the DSO paid", "drivers' energy", "ledger sum"]
    for label in labels:
        assert label in demo.printed
    assert max(len(line) for line in demo.printed.splitlines() if str(demo.folder) not in line) <= 80


def test_what_was_overloaded_is_not_any_more(demo: DemoRun) -> None:
    limit = column(demo, "elements", "limit")
    assert (column(demo, "elements", "before") / limit).max() > 1.2
    assert (column(demo, "elements", "after") / limit).max() <= 0.95 + 1e-4, "the DSO asked for a margin of 5 %"
    assert (column(demo, "elements", "actual") / limit).max() < 1
    assert column(demo, "voltages", "before_pu").min() < 0.94
    assert column(demo, "voltages", "after_pu").min() >= 0.94 - 1e-5


def test_no_fuse_and_no_plug_is_ever_exceeded(demo: DemoRun) -> None:
    plugs = pq.read_table(demo.folder / "results" / "plugs.parquet").to_pandas()
    plugs["site"] = plugs["plug"].str.rsplit("-", n=2).str[0]
    by_site = plugs.groupby(["site", "start"])["metered_w"].sum().groupby("site").max()
    assert by_site["lot"] <= LOT_FUSE_W
    assert by_site.drop("lot").max() <= HOME_FUSE_W
    amps = set(np.round(plugs["setpoint_w"] / 690, 6))
    assert amps <= {0.0, *map(float, range(6, 17))}
    assert plugs.groupby("plug").size().eq(24 * 60).all(), "every plug has a setpoint in every minute"


def test_drivers_get_their_energy(demo: DemoRun) -> None:
    asked, delivered = column(demo, "drivers", "asked_wh"), column(demo, "drivers", "delivered_wh")
    assert len(asked) > 50
    assert delivered.sum() / asked.sum() > 0.995
    assert (delivered <= asked + 1e-6).all()


def test_three_aggregators_offer_and_money_adds_up(demo: DemoRun) -> None:
    offers, settled = set(column(demo, "offers", "participant")), column(demo, "settlement", "net_eur")
    assert offers == {"parking-lot", "homes-north-south", "homes-east-west"}
    transfers = pq.read_table(demo.folder / "results" / "transfers.parquet").to_pandas()
    assert (transfers["amount_eur"] >= 0).all()
    posted = transfers[transfers["stage"] == "posted"]
    received, returned = (posted[posted[side].str.startswith("participant:")] for side in ("credit", "debit"))
    assert received["amount_eur"].sum() - returned["amount_eur"].sum() == settled.sum() > 0
    pending, voided = (transfers[transfers["stage"] == stage]["amount_eur"] for stage in ("pending", "voided"))
    assert pending.sum() == voided.sum() > 0, "reservations are voided"


def test_what_was_sold_is_delivered(demo: DemoRun) -> None:
    ordered, delivered = (np.abs(column(demo, "settlement", name)).sum() for name in ("ordered_w", "delivered_w"))
    assert delivered / ordered > 0.96


def test_the_folder_says_everything_about_the_run(demo: DemoRun) -> None:
    resolved = json.loads((demo.folder / "resolved.json").read_text())
    assert resolved["agents"]["parking-lot"]["config"]["behaviour"]["lag_s"] == 4.0, "defaults are filled in"
    assert {"python", "flexmarket", "highspy", "power-grid-model"} <= json.loads(
        (demo.folder / "versions.json").read_text()
    ).keys()
    assert (demo.folder / "inputs" / "scenario.toml").read_text().startswith("# V1G. One winter day")
    for name in TABLES:
        rows = pq.read_table(demo.folder / "results" / f"{name}.parquet").num_rows
        assert pyarrow.csv.read_csv(demo.folder / "results" / f"{name}.csv").num_rows == rows > 0


def test_the_cleared_case_can_be_cleared_again(demo: DemoRun) -> None:
    again: Result = clear(read_case(demo.folder / "inputs" / "cases" / "2026-01-15.json"))
    published = json.loads((demo.folder / "results" / "clearing" / "2026-01-15.json").read_text())
    assert again.input_sha256 == published["input_sha256"]
    assert json.loads(again.model_dump_json())["offers"] == published["offers"]


def test_its_market_is_open_to_look_at_and_closed_to_strangers(demo: DemoRun) -> None:
    with httpx.Client(base_url=demo.url) as anybody:
        assert "A winter day at Risø" in anybody.get("/runs").text
        assert anybody.get("/v1/auctions").status_code == 401
        missing = anybody.get("/runs/nothing")
        assert (missing.status_code, "Not found" in missing.text) == (404, True)


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")
def test_every_page_is_drawn_in_a_browser_and_asks_nobody_else(demo: DemoRun) -> None:
    asyncio.run(_look_at_every_page(demo))


async def _look_at_every_page(demo: DemoRun) -> None:
    with httpx.Client(base_url=demo.url) as anybody:
        auction = anybody.get("/").text.split('href="/auctions/')[1].split('"')[0]
    pages = {
        "/": 0,
        f"/auctions/{auction}": 5,
        "/runs": 0,
        "/runs/day": 13,
        "/about": 0,
        "/runs/day/files/report.html": 13,
    }
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        watched = Watched(await browser.new_page(viewport={"width": 1280, "height": 900}), demo.url.split("//")[1])
        for path, charts in pages.items():
            await watched.open(demo.url + path)
            assert await watched.page.locator(".chart").count() == charts, path
            assert await watched.page.evaluate(EMPTY_PLOTS) == [], path
            assert await watched.page.evaluate(OVERFLOWING) <= 0, path
        await browser.close()
    assert watched.wrong == []
