"""What comes in: bodies of bounded size, and JSON read strictly."""

import contextlib
import json
import math
import re
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any, Final, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_spec.problem import Problem, ProblemType
from market.api.answers import answer
from market.api.brief import SMALL_BYTES, BadLargeBody, BriefReader
from market.api.versions import unless_known
from market.errors import Overloaded

_DEEPEST: Final = 40
_MOST_PARTS: Final = 300_000
"""Lists and objects of one body: a reading of 100 000 buses has 200 000, a network of 16 000 three-phase lines fills 4 MB
with 150 000."""
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_PATIENCE: Final = 10  # times the largest body, before the connection is closed on a client that goes on sending


class BadBody(HTTPException):
    """A body that is not acceptable before anybody asks what it means.

    An HTTPException, because FastAPI takes any other error while it reads a body for a fault of its own.
    """

    def __init__(self, kind: ProblemType, status: int, detail: str) -> None:
        """Keep type and status of the problem."""
        super().__init__(status, detail)
        self.kind = kind


class BodyLimit:
    """ASGI middleware: answers 413 to a body that is too large, without keeping it."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        """Wrap an app."""
        self._app, self._max = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on while its body is small enough."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, size, more = b"", 0, True
        while more and size <= _PATIENCE * self._max:
            message = await receive()
            if message["type"] != "http.request":
                return
            size += len(message.get("body", b""))
            # What is too large is read on without being kept: a client hears an answer only once it has sent all.
            body = body + message.get("body", b"") if size <= self._max else b""
            more = message.get("more_body", False)
        if size > self._max:
            await self._refuse(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem.of(ProblemType.BODY_TOO_LARGE, 413, f"a body may have at most {self._max} bytes")
        await answer(problem, {"Connection": "close"})(scope, receive, send)


class CrowdLimit:
    """ASGI middleware: answers 503 at once while too many requests are worked on, instead of letting them queue."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        """Wrap an app."""
        self._app, self._most, self._inside = app, most, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on while there is room."""
        # A crowd is no reason to restart the process, which is what follows from no answer at /health.
        if scope["type"] != "http" or scope["path"] == "/health":
            await self._app(scope, receive, send)
            return
        if self._inside >= self._most:
            problem = Problem.of(ProblemType.UNAVAILABLE, 503, str(Overloaded()))
            await answer(problem, {"Retry-After": "1"})(scope, receive, send)
            return
        self._inside += 1
        leaving = contextlib.ExitStack()
        leaving.callback(self._leave)

        async def watched(message: Message) -> None:
            # Nobody works on a stream between its events; how many there may be is the feed's to say.
            if message["type"] == "http.response.start" and _is_stream(message):
                leaving.close()
            await send(message)

        with leaving:
            await self._app(scope, receive, watched)

    def _leave(self) -> None:
        self._inside -= 1


def _is_stream(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in start["headers"])


class StrictRequest(Request):
    """A request whose JSON is read without what JSON does not have: NaN, repeated names, lone surrogates.

    large : reads a large body as what it is to be, so that FastAPI has nothing left to check of it.
    """

    large: Callable[[Any], Any] | None = None

    async def json(self) -> Any:
        """The body as JSON; BadBody where it is not."""
        body = await self.body()
        value = strict_json(body)
        return value if self.large is None or len(body) <= SMALL_BYTES else self.large(value)


class StrictRoute(APIRoute):
    """A route that reads its body by `StrictRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler over a strict request."""
        handler = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
            if self.body_field is not None and media_type != "application/json":
                raise BadBody(ProblemType.UNSUPPORTED_MEDIA_TYPE, 415, "the body must be application/json")
            strict = StrictRequest(request.scope, request.receive)
            if self.body_field is not None:
                strict.large = self._large
            try:
                answer: Response = await handler(strict)
            except BadLargeBody as failure:
                raise failure.defects from failure
            return unless_known(request, answer)

        return strictly

    def _large(self, value: Any) -> Any:
        return self._brief.read(value)

    @cached_property
    def _brief(self) -> BriefReader:
        assert self.body_field is not None
        return BriefReader(self.body_field.field_info.annotation)


def strict_json(body: bytes) -> Any:
    """JSON without leniency; BadBody with the reason."""
    try:
        text = body.decode()
        _refuse_shape(text)
        value = json.loads(
            text, object_pairs_hook=_each_name_once, parse_constant=_refuse_constant, parse_float=_finite
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        _refuse("is not valid Unicode text")
    except json.JSONDecodeError as failure:
        _refuse(f"is not JSON: {failure}")
    except (ValueError, RecursionError) as failure:
        _refuse(str(failure))
    return value


def _refuse_shape(text: str) -> None:
    """Refuse what would be costly to parse, without parsing it: brackets within texts count, too."""
    parts = text.count("[") + text.count("{")
    if parts > _MOST_PARTS:
        _refuse(f"has more than {_MOST_PARTS} lists and objects")
    if parts > _DEEPEST and _is_deep(text):
        _refuse(f"is nested more than {_DEEPEST} deep")


def _is_deep(text: str) -> bool:
    depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > _DEEPEST:
            return True
    return False


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("has an object in which a name stands twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"has {name}, which JSON does not have")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("has a number that is too large")
    return value


def _refuse(reason: str) -> NoReturn:
    raise BadBody(ProblemType.MALFORMED_JSON, 400, f"the body {reason}")
