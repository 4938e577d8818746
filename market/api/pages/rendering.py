"""Templates to answers: one environment, the words that all templates use, and the headers of every page."""

from datetime import datetime, tzinfo
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from market.api.pages import wording
from market.figures.local_time import clock_text, span_text

HEADERS: Final = {
    # plotly writes style elements of its own; scripts come from our own files only.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page(
    template: str, *, now: datetime, zone: tzinfo, status: int = 200, here: str = "", **shown: Any
) -> HTMLResponse:
    """Render a template; `now` and `zone` fill in the words for times."""
    words: dict[str, Any] = {
        "now": now,
        "zone": zone,
        "here": here,
        "version": version("flexmarket"),
        "clock": lambda instant: clock_text(instant, zone),
        "span": lambda start, end: span_text(start, end, zone),
        "hours": lambda period, flags: wording.hours(period, flags, zone),
        "state": _state,
    }
    for word in ("away", "asked", "place", "power", "energy", "price", "money", "number", "quantity", "breach"):
        words[word] = getattr(wording, word)
    text = _environment().get_template(template).render(words | shown)
    return HTMLResponse(text, status_code=status, headers=HEADERS)


@cache
def _environment() -> Environment:
    loader = ChoiceLoader([PackageLoader("market.api.pages"), PackageLoader("market.figures")])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _state(name: str) -> Markup:
    return Markup('<span class="state state-{}">{}</span>').format(name, name.replace("_", " "))
