"""A driver with a phone, in a real browser: says when and how much, sees the new plan; also without any script."""

import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from aggregator_agents.drivers.page import create_driver_app
from aggregator_agents.drivers.wishes import Stay, Wish
from aggregator_agents.fleet import Session
from tests.browsing import ARGUMENTS, CHROMIUM, OVERFLOWING
from tests.unit.aggregator_agents.parking import Parking, parking
from tests.unit.aggregator_agents.places import HOUR, NOON, vehicle
from tests.waiting import until

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")
STAY = Stay("lot-1-1", vehicle().id)


@dataclass(frozen=True)
class Site:
    """A parking lot, and where the page of its plug is."""

    lot: Parking
    address: str
    host: str


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with parking(tmp_path) as lot, served(lot) as host:
        lot.now += timedelta(minutes=10)
        yield Site(lot, f"http://{host}/p/{lot.codes.code('lot-1-1')}", host)


@contextlib.contextmanager
def served(lot: Parking) -> Iterator[str]:
    config = uvicorn.Config(create_driver_app(lot.reception()), port=0, access_log=False, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, within_s=20, what="the page is served")
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def phone(
    chromium: Browser, site: Site, *, scheme: Literal["light", "dark"] = "light", scripts: bool = True
) -> AsyncIterator[Page]:
    """A page on a small screen; it must not ask anybody else, nor break a rule of its own policy."""
    wrong: list[str] = []
    context = await chromium.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, java_script_enabled=scripts, locale="en-GB"
    )
    page = await context.new_page()
    page.set_default_timeout(10_000)
    page.on("request", lambda each: wrong.append(each.url) if site.host not in each.url.split("?")[0] else None)
    page.on("pageerror", lambda each: wrong.append(str(each)))
    # The browser notes each refused form (422) on the console by itself.
    page.on(
        "console", lambda each: wrong.append(each.text) if each.type == "error" and "422" not in each.text else None
    )
    await page.goto(site.address)
    yield page
    # A browser notes every refused form on the console by itself.
    assert [each for each in wrong if not each.startswith("data:") and "status of 422" not in each] == []
    await context.close()


@pytest.mark.parametrize(("scheme", "scripts"), [("light", True), ("dark", False)])
async def test_a_driver_says_five_and_twenty_and_sees_the_new_plan(
    site: Site, chromium: Browser, scheme: Literal["light", "dark"], scripts: bool
) -> None:
    async with phone(chromium, site, scheme=scheme, scripts=scripts) as page:
        await page.get_by_role("button", name="Yes, show me its plan").click()
        assert "11.0" in await page.locator("#delivered").inner_text()
        before = await page.locator(".picture .area").get_attribute("d")

        await page.get_by_label("Time").fill("17:00")
        await page.get_by_label("Amount").fill("20")
        await page.get_by_label("I need it before others").check()
        await page.get_by_role("button", name="Send my wish").click()

        await page.get_by_text("Your wish is in the plan.").wait_for()
        assert await page.get_by_role("heading", level=2).first.inner_text() == "Ready by 15:10"
        assert "of 20.0\u00a0kWh" in await page.locator("#delivered").inner_text()
        assert await page.locator(".picture .area").get_attribute("d") != before
        assert await page.get_by_label("Amount").input_value() == "20"
        assert site.lot.book.wishes == {
            STAY: Wish(departs=NOON + 4 * HOUR, energy_wh=20_000, priority=True),
        }
        if scripts:
            assert await page.evaluate(OVERFLOWING) <= 0, "wider than the phone"


async def test_what_is_not_possible_is_said_beside_the_field_and_a_distance_will_do_as_well(
    site: Site, chromium: Browser
) -> None:
    """At 13:10, by 14:30: 1.33 h at 11.04 kW are 14.7 kWh."""
    async with phone(chromium, site) as page:
        await page.get_by_role("button", name="Yes, show me its plan").click()
        await page.get_by_label("Time").fill("14:30")
        await page.get_by_label("Amount").fill("much")
        await page.get_by_role("button", name="Send my wish").click()
        assert "Please give a number" in await page.locator("#energy-error").inner_text()
        focused = "document.activeElement.getAttribute('aria-describedby')"
        await page.wait_for_function(f"{focused} === 'energy-error'")

        await page.get_by_label("Amount").fill("30")
        await page.get_by_role("button", name="Send my wish").click()
        assert "at most 14.7\u00a0kWh are possible" in await page.locator("#energy-error").inner_text()
        await page.get_by_role("button", name="Take 14.7\u00a0kWh instead").click()

        await page.get_by_text("Your wish is in the plan.").wait_for()
        assert site.lot.book.wishes[STAY].energy_wh == 14_700

        consumption = page.get_by_label("Your vehicle's consumption")
        assert not await consumption.is_visible()
        await page.locator("label[for=km]").click()
        await page.get_by_label("Amount").fill("50")
        await consumption.fill("20")
        await page.get_by_role("button", name="Send my wish").click()
        await page.get_by_text("of 10.0\u00a0kWh delivered").wait_for()
        assert site.lot.book.wishes[STAY].energy_wh == 10_000, "50 km at 20 kWh per 100 km"


async def test_an_open_page_takes_up_the_next_plan_and_the_end_of_the_stay_by_itself(
    site: Site, chromium: Browser
) -> None:
    site.lot.plans_at_once = False
    async with phone(chromium, site) as page:
        await page.get_by_role("button", name="Yes, show me its plan").click()
        await page.get_by_label("Amount").fill("20")
        await page.get_by_role("button", name="Send my wish").click()
        await page.get_by_text("Your wish is kept.").wait_for()

        await page.get_by_label("Amount").fill("12")
        site.lot.cycle()
        await page.get_by_text("Your wish is in the plan.").wait_for()
        assert await page.get_by_label("Amount").input_value() == "12", "what is being typed stays"

        site.lot.sessions = [Session("the next", "lot-1-1", NOON, NOON + HOUR, 1_000.0)]
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await page.get_by_text("A vehicle is plugged in").wait_for()
