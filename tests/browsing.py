"""A real browser that notices what a page should not do."""

from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Page

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
  const marked = ".scatterlayer .js-line, .barlayer .point path, .waterfalllayer .point path, .heatmaplayer image";
  const marks = [...chart.querySelectorAll(marked)];
  return !marks.map((mark) => mark.getBoundingClientRect()).some((box) => box.width > 2 || box.height > 2);
}).map((chart) => chart.id)
"""
OVERFLOWING = "() => document.documentElement.scrollWidth - window.innerWidth"


class Watched:
    """A page that remembers what it should not have done."""

    def __init__(self, page: Page, host: str) -> None:
        """Listen from now on."""
        self.page, self.wrong = page, list[str]()
        page.on("console", lambda message: self._note(message.type in ("error", "warning"), message.text))
        page.on("pageerror", lambda error: self._note(True, str(error)))
        # A page closes its stream of events itself; a stream that the market refuses stands on the console.
        page.on(
            "requestfailed",
            lambda request: self._note(request.resource_type != "eventsource", f"failed: {request.url}"),
        )
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
