"""Every request leaves one line in the log and is counted, and a fault of ours reaches its caller as a problem.

What is kept of a request: method, template of its route, status, duration, who called, and an id that the caller may
choose (`X-Request-ID`) and gets back. Neither path nor query: they name what belongs to others.
"""

import time
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_spec.problem import ProblemType
from market import metrics
from market.api import problems
from market.logs import accepted_request_id, log

HEADER: Final = "X-Request-ID"
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_PROBES: Final = frozenset({"/health", "/ready"})
_ORDERS: Final = {
    "/v1/auctions/{auction}/offers": "offer",
    "/v1/auctions/{auction}/offers/{offer}": "offer",
    "/v1/auctions/{auction}/requests": "request",
}
_BODY: Final = frozenset(
    {
        ProblemType.BODY_TOO_LARGE,
        ProblemType.INVALID_INPUT,
        ProblemType.MALFORMED_JSON,
        ProblemType.UNSUPPORTED_MEDIA_TYPE,
    }
)


@dataclass
class _Answer:
    """What is known of an answer while it is being sent."""

    status: int | None = None
    streams: bool = False


class Watched:
    """ASGI middleware, the outermost: one id, one line and one count for each request."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and tell how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request_id = accepted_request_id(request.headers.get(HEADER))
        answer = _Answer()

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                answer.status = message["status"]
                answer.streams = headers.get("content-type", "").startswith("text/event-stream")
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        with metrics.IN_PROGRESS.track_inprogress():
            await self._answered(request, receive, marked, answer)
            _tell(request, answer, time.perf_counter() - started)
        structlog.contextvars.clear_contextvars()

    async def _answered(self, request: Request, receive: Receive, send: Send, answer: _Answer) -> None:
        try:
            await self._app(request.scope, receive, send)
        except Exception as error:
            log.error("unexpected", route=_route(request), error=type(error).__name__, exc_info=error)
            if answer.status is not None:
                # Half an answer cannot be mended; the server closes the connection, which tells the caller so.
                raise
            await problems.unexpected()(request.scope, receive, send)


def _tell(request: Request, answer: _Answer, seconds: float) -> None:
    method = request.method if request.method in _METHODS else "other"
    route = _route(request)
    problem = structlog.contextvars.get_contextvars().get("problem")
    metrics.REQUESTS.labels(method, route, str(answer.status)).inc()
    if not answer.streams:
        metrics.REQUEST_SECONDS.labels(method, route).observe(seconds)
    if problem is not None:
        metrics.PROBLEMS.labels(problem).inc()
    if problem in _BODY and method in ("POST", "PUT"):
        metrics.BODIES_REFUSED.labels(problem).inc()
    if route in _ORDERS and method in ("POST", "PUT"):
        metrics.ORDERS.labels(_ORDERS[route], problem or "accepted").inc()
    say = log.debug if route in _PROBES else log.info
    say(
        "request",
        method=method,
        route=route,
        status=answer.status,
        duration_ms=round(seconds * 1000, 1),
        organisation=getattr(request.state, "organisation", None),
    )


def _route(request: Request) -> str:
    """Template of the route that answers; what no route answers is one and the same, whatever its path.

    FastAPI keeps the template without the prefix that the router is included under: that is what the path has before
    it. Prefixes are words such as "v1", never ids.
    """
    template: str | None = getattr(request.scope.get("route"), "path", None)
    if template is None or ":path}" in template:
        return template or "none"
    own, whole = template.strip("/").split("/"), request.scope["path"].strip("/").split("/")
    prefix = whole[: len(whole) - len(own)]
    return "/" + "/".join([*prefix, *own])
