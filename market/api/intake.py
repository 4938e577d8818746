"""What comes in: bodies of bounded size, and JSON read strictly."""

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_spec.problem import Problem, ProblemType
from market.api.versions import unless_known
from market.errors import Overloaded

_DEEPEST = 40
_PATIENCE = 10  # times the largest body, before the connection is closed on a client that goes on sending


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
            await self._refuse(send)
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)

    async def _refuse(self, send: Send) -> None:
        problem = Problem.of(ProblemType.BODY_TOO_LARGE, 413, f"a body may have at most {self._max} bytes")
        await _send_problem(send, problem, (b"connection", b"close"))


class CrowdLimit:
    """ASGI middleware: answers 503 at once while too many requests are worked on, instead of letting them queue."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        """Wrap an app."""
        self._app, self._most, self._inside = app, most, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on while there is room."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._inside >= self._most:
            problem = Problem.of(ProblemType.UNAVAILABLE, 503, str(Overloaded()))
            await _send_problem(send, problem, (b"retry-after", b"1"))
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1


class StrictRequest(Request):
    """A request whose JSON is read without what JSON does not have: NaN, repeated names, lone surrogates."""

    async def json(self) -> Any:
        """The body as JSON; BadBody where it is not."""
        return strict_json(await self.body())


class StrictRoute(APIRoute):
    """A route that reads its body by `StrictRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler over a strict request."""
        handler = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
            if self.body_field is not None and media_type != "application/json":
                raise BadBody(ProblemType.UNSUPPORTED_MEDIA_TYPE, 415, "the body must be application/json")
            answer: Response = await handler(StrictRequest(request.scope, request.receive))
            return unless_known(request, answer)

        return strictly


async def _send_problem(send: Send, problem: Problem, header: tuple[bytes, bytes]) -> None:
    content = problem.model_dump_json(exclude_none=True).encode()
    length = (b"content-length", str(len(content)).encode())
    headers = [(b"content-type", b"application/problem+json"), length, header]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def strict_json(body: bytes) -> Any:
    """JSON without leniency; BadBody with the reason."""
    try:
        text = body.decode()
        if _depth(text) > _DEEPEST:
            _refuse(f"is nested more than {_DEEPEST} deep")
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


def _depth(text: str) -> int:
    """An upper bound of the nesting, without parsing."""
    return min(text.count("[") + text.count("{"), _nesting(text))


def _nesting(text: str) -> int:
    deepest = depth = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


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
