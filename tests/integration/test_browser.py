"""Every page in a real browser: plots drawn, no error on the console, no request to another host."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright

from market.figures.report import write_report
from market.settings import Settings
from tests import synthetic_day
from tests.running_market import RunningMarket, running_market
from tests.street_auction import NOON, open_street

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DRAWN = "document.documentElement.dataset.drawn === 'true'"
# What a plot holds that has data: a line, a bar or a cell with a size of its own.
EMPTY_PLOTS = """
() => [...document.querySelectorAll(".chart")].filter((chart) => {
  const marks = chart.querySelectorAll("svg .plot path.js-line, svg .plot .point path, svg .plot image");
  return ![...marks].some((mark) => { const box = mark.getBoundingClientRect(); return box.width > 2 || box.height > 2; });
}).map((chart) => chart.id)
"""
OVERFLOWING = "() => document.documentElement.scrollWidth - window.innerWidth"

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMarket]:
    """A market with a finished run in its folder."""
    folder = tmp_path_factory.mktemp("market")
    write_report(synthetic_day.write_run(folder / "runs" / "day"))
    with running_market(folder, now=NOON, settings=Settings(runs_dir=folder / "runs")) as running:
        yield running


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


class Watched:
    """A page that remembers what it should not have done."""

    def __init__(self, page: Page, host: str) -> None:
        """Listen from now on."""
        self.page, self.wrong = page, list[str]()
        page.on("console", lambda message: self._note(message.type in ("error", "warning"), message.text))
        page.on("pageerror", lambda error: self._note(True, str(error)))
        page.on("requestfailed", lambda request: self._note(True, f"failed: {request.url}"))
        page.on("request", lambda request: self._note(not _local(request.url, host), f"outside: {request.url}"))

    def _note(self, wrong: bool, text: str) -> None:
        if wrong:
            self.wrong.append(text)

    async def open(self, address: str) -> None:
        """Open a page and wait until it has drawn what it has to draw."""
        answer = await self.page.goto(address)
        assert answer is not None
        assert answer.status == 200
        await self.page.wait_for_function(DRAWN)


def _local(address: str, host: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in ("data", "blob") or parts.netloc == host


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
async def test_every_page_is_drawn_and_asks_nobody_else(
    market: RunningMarket, chromium: Browser, width: int, scheme: str
) -> None:
    host = urlsplit(market.url).netloc
    page = await chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    watched = Watched(page, host)
    pages = await _finished(market)
    for path, charts in pages.items():
        await watched.open(market.url + path)
        assert await page.locator(".chart").count() == charts, path
        assert await page.locator(".chart .plot svg.main-svg").count() >= charts, path
        assert await page.evaluate(EMPTY_PLOTS) == [], path
        assert await page.evaluate(OVERFLOWING) <= 0, f"{path} is wider than the window"
    assert watched.wrong == []


async def _finished(market: RunningMarket) -> dict[str, int]:
    """Pages to open and how many charts each has; opens, clears and settles an auction where there is none yet."""
    async with open_street(market, network=f"street at {market.clock.now():%H:%M}") as street:
        return {}
