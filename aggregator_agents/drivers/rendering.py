"""Templates to answers, in the language of who asks."""

from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from aggregator_agents.drivers.reception import reception_of
from aggregator_agents.drivers.words import Words, language_of


def rendered(template: str, request: Request, *, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page of a template."""
    words, root = words_of(request), request.scope.get("root_path", "")
    text = _environment().get_template(template).render(w=words, say=words.say, root=root, **shown)
    headers = {"Content-Language": words.language, "Vary": "Accept-Language, Cookie"}
    return HTMLResponse(text, status, headers)


@cache
def _environment() -> Environment:
    loader = PackageLoader("aggregator_agents.drivers")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def words_of(request: Request) -> Words:
    """The language that was asked for, on the local clock."""
    reception = reception_of(request)
    return Words(language_of(request.headers.get("accept-language", "")), reception.zone, reception.clock())


def is_program(request: Request) -> bool:
    """Whether JSON is expected, and not a page."""
    return request.url.path.removeprefix(request.scope.get("root_path", "")).startswith("/v1/")


def address_of(request: Request, code: str) -> str:
    """Of a plug's page, within this host."""
    return f"{request.scope.get('root_path', '')}/p/{code}"
