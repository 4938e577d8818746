"""Every page in a real browser: plots drawn, no error on the console, no request to another host."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, async_playwright

from market.figures.report import write_report
from market.settings import Settings
from tests import synthetic_day
from tests.browsing import ARGUMENTS, CHROMIUM, DRAWN, EMPTY_PLOTS, OVERFLOWING, Watched
from tests.running_market import RunningMarket, running_market
from tests.street_auction import NOON, open_street

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@dataclass(frozen=True)
class Site:
    """A market after a finished day: where it is, and how many charts each of its pages has."""

    url: str
    charts: dict[str, int]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("market")
    write_report(synthetic_day.write_run(folder / "runs" / "day"))
    with running_market(folder, now=NOON, settings=Settings(runs_dir=folder / "runs")) as market:
        settled = asyncio.run(_settled_auction(market))
        charts = {"/": 0, f"/auctions/{settled}": 5, "/runs": 0, "/runs/day": 7, "/runs/day/files/report.html": 7}
        yield Site(market.url, charts | {"/about": 0})


async def _settled_auction(market: RunningMarket) -> str:
    async with open_street(market) as street:
        await street.ask()
        await street.offer()
        await street.clear(market)
        await street.settle(market)
        return street.auction


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
async def test_every_page_is_drawn_and_asks_nobody_else(
    site: Site, chromium: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = await chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    watched = Watched(page, urlsplit(site.url).netloc)
    for path, charts in site.charts.items():
        await watched.open(site.url + path)
        assert await page.locator(".chart").count() == charts, path
        assert await page.locator(".chart .plot .main-svg").count() >= charts, path
        assert await page.evaluate(EMPTY_PLOTS) == [], path
        assert await page.evaluate(OVERFLOWING) <= 0, f"{path} is wider than the window"
    assert watched.wrong == []


async def test_the_report_needs_no_server(chromium: Browser, tmp_path: Path) -> None:
    report = write_report(synthetic_day.write_run(tmp_path / "day"))
    watched = Watched(await chromium.new_page(), host="")
    await watched.open(report.as_uri())

    assert await watched.page.evaluate(EMPTY_PLOTS) == []
    assert watched.wrong == []


async def test_another_bus_is_one_choice_away(site: Site, chromium: Browser) -> None:
    auction = next(path for path in site.charts if path.startswith("/auctions/"))
    watched = Watched(await chromium.new_page(), urlsplit(site.url).netloc)
    await watched.open(site.url + auction)
    assert "Bus far" in await watched.page.locator("#parts h3").inner_text()

    async with watched.page.expect_navigation():
        await watched.page.select_option("#pick-bus", "s")
    await watched.page.wait_for_function(DRAWN)

    assert "Bus s" in await watched.page.locator("#parts h3").inner_text()
    assert watched.wrong == []


async def test_the_look_can_be_chosen_and_is_remembered(site: Site, chromium: Browser) -> None:
    page = await chromium.new_page(color_scheme="light")
    watched = Watched(page, urlsplit(site.url).netloc)
    await watched.open(f"{site.url}/runs/day")
    light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.get_by_role("button", name="Light or dark").click()
    await watched.open(f"{site.url}/")

    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    assert watched.wrong == []


async def test_an_open_page_shows_itself_anew_when_something_happens(chromium: Browser, tmp_path: Path) -> None:
    with running_market(tmp_path, now=NOON) as market:
        async with open_street(market) as street:
            page = await chromium.new_page()
            watched = Watched(page, urlsplit(market.url).netloc)
            await watched.open(f"{market.url}/auctions/{street.auction}")
            assert await page.get_by_text("No request has been posted.").count() == 1
            await street.ask()

            await page.get_by_text("at most 20.0 kW").wait_for(timeout=15_000)
            await street.clear(market)
            await page.get_by_text("Worst breach of a limit after").wait_for(timeout=15_000)
            assert watched.wrong == []
            await page.close()
