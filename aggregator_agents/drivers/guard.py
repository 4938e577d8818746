"""What keeps the driver's page from being flooded or misused: bounded bodies, bounded rates, strict headers."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_spec.problem import Problem, ProblemDetail, ProblemType

MOST_BYTES: Final = 4096
WITHIN_S: Final = 10.0
_MOST_KEYS: Final = 10_000
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
}

_RAW_HEADERS: Final = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class Guarded:
    """ASGI middleware: HEADERS on every answer, no body above MOST_BYTES and none that takes longer than WITHIN_S."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on once its body is there; answer 413 or 408 otherwise."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in _RAW_HEADERS if each[0] not in own)]
            await send(message)

        try:
            async with asyncio.timeout(WITHIN_S):
                body = await _whole(receive)
        except TimeoutError:
            await problem(ProblemType.BODY_TOO_SLOW, 408, f"a body must be there within {WITHIN_S:g} s", close=True)(
                scope, receive, headed
            )
            return
        if body is None:
            await problem(ProblemType.BODY_TOO_LARGE, 413, f"a body may have at most {MOST_BYTES} bytes", close=True)(
                scope, receive, headed
            )
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, headed)


async def _whole(receive: Receive) -> bytes | None:
    """The body; None where it is too large. Of a client that is gone, what came."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            return None
        more = message.get("more_body", False)
    return body


def problem(
    kind: ProblemType, status: int, detail: str, *, errors: tuple[ProblemDetail, ...] = (), close: bool = False
) -> JSONResponse:
    """A problem (RFC 9457) as an answer. close : the connection, because the client may go on sending."""
    content = Problem.of(kind, status, detail, errors=errors).model_dump(mode="json", exclude_none=True)
    headers = {"Connection": "close"} if close else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        headers["Retry-After"] = "60"
    return JSONResponse(content, status, headers, media_type="application/problem+json")


def is_forged(headers: Headers) -> bool:
    """Whether a browser says that another site sent this request; programs say nothing of the kind."""
    fetched_from = headers.get("sec-fetch-site")
    if fetched_from is not None:
        return fetched_from not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


class Rate:
    """At most `most` in a row and one every `every_s` from then on, for each key (a token bucket)."""

    def __init__(self, *, most: int, every_s: float, now_s: Callable[[], float]) -> None:
        """now_s : monotonic seconds."""
        self._most, self._every_s, self._now_s = most, every_s, now_s
        self._free_at = OrderedDict[str, float]()

    def admits(self, key: str) -> bool:
        """Whether one more is within the rate; it is counted if so."""
        now_s = self._now_s()
        free_s = max(self._free_at.get(key, now_s), now_s)
        if free_s - now_s > (self._most - 1) * self._every_s + 1e-9:
            return False
        self._free_at[key] = free_s + self._every_s
        self._free_at.move_to_end(key)
        # The longest unused is forgotten: it is the one most likely to be within its rate again.
        if len(self._free_at) > _MOST_KEYS:
            self._free_at.popitem(last=False)
        return True
