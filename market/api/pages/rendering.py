"""Templates to answers: one environment, the words that all templates use, and the headers of every page."""

from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from fastapi.responses import FileResponse, HTMLResponse, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from market.api.pages import wording
from market.api.world import World
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
_REPORT_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"
)
PLOTLY: Final = "plotly.min.js"
_ASSETS: Final = {
    "flexmarket.css": "text/css",
    "figures.js": "text/javascript",
    "live.js": "text/javascript",
    PLOTLY: "text/javascript",
}


_DOCUMENT_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def page(template: str, world: World, *, status: int = 200, here: str = "", **shown: Any) -> HTMLResponse:
    """Render a template; times are shown on the market's local clock. here : the entry of the menu."""
    text = _rendered(template, world, now=world.clock.now(), here=here, status=status, **shown)
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def document(template: str, world: World, **shown: Any) -> HTMLResponse:
    """Render a page that holds everything it needs, to be kept or printed; it runs and loads nothing."""
    css = (files("market.figures") / "assets" / "flexmarket.css").read_text(encoding="utf-8")
    text = _rendered(template, world, css=css, **shown)
    headers = HEADERS | {"Content-Security-Policy": _DOCUMENT_POLICY, "Cache-Control": "private, no-cache"}
    return HTMLResponse(text, headers=headers)


def _rendered(template: str, world: World, **shown: Any) -> str:
    zone = world.settings.local_zone
    words: dict[str, Any] = {
        "zone": zone,
        "version": version("flexmarket"),
        "clock": lambda instant: clock_text(instant, zone),
        "span": lambda start, end: span_text(start, end, zone),
        "hours": lambda period, flags: wording.hours(period, flags, zone),
        "state": _state,
    }
    for word in ("away", "asked", "place", "power", "energy", "price", "money", "number", "quantity", "breach"):
        words[word] = getattr(wording, word)
    return _environment().get_template(template).render(words | shown)


def asset(name: str) -> Response | None:
    """A file of the pages' own look, or plotly's script; None where it is neither."""
    kind = _ASSETS.get(name)
    if kind is None:
        return None
    package = files("plotly") / "package_data" if name == PLOTLY else files("market.figures") / "assets"
    headers = HEADERS | {"Cache-Control": "max-age=3600" if name == PLOTLY else "no-cache"}
    return Response((package / name).read_bytes(), media_type=kind, headers=headers)


def run_file(path: Path, *, report: bool) -> Response:
    """A file of a run; the report may run the scripts inside it, any other may do nothing but be read."""
    policy = _REPORT_POLICY if report else "default-src 'none'; sandbox"
    return FileResponse(path, headers=HEADERS | {"Content-Security-Policy": policy})


@cache
def _environment() -> Environment:
    loader = ChoiceLoader([PackageLoader("market.api.pages"), PackageLoader("market.figures")])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _state(name: str) -> Markup:
    return Markup('<span class="state state-{}">{}</span>').format(name, name.replace("_", " "))
