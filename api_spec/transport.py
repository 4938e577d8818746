"""How a client of the market sends and repeats requests, reads answers page by page, and follows a stream."""

import asyncio
import random
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final, Self, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from api_spec.event_stream import StreamMessage, messages
from api_spec.events import EventId
from api_spec.organisation import Credentials, Token
from api_spec.problem import Problem, ProblemType

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

ATTEMPTS: Final = 4
FIRST_WAIT_S: Final = 0.2
_SILENCE_S: Final = 45.0  # three heartbeats of a stream
_TRY_AGAIN: Final = frozenset({502, 503, 504})


@cache
def _trusted() -> ssl.SSLContext:
    """The authorities that a market's certificate is held against; read once, as that takes 30 ms."""
    return httpx.create_ssl_context()


class MarketError(Exception):
    """Base of what a MarketClient raises."""


class MarketUnreachable(MarketError):
    """No answer came, also after repeated attempts; whether the market acted is unknown."""


class MarketRefused(MarketError):
    """The market answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        """Keep the problem; its defects stand in the message, unless its detail names them already."""
        named = [f"{each.pointer or 'the body'}: {each.detail}" for each in problem.errors]
        defects = "".join(f"\n  {each}" for each in named if each not in problem.detail)
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}{defects}")
        self.problem = problem


class Transport:
    """One organisation's connection to a market; an async context manager.

    Every POST carries an Idempotency-Key, so a repeated attempt after a lost answer is executed once. Attempts are
    repeated after connection failures and 502, 503 and 504, with growing, jittered pauses.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | None = None,
        *,
        timeout_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connect lazily to `base_url`; without credentials only public endpoints answer."""
        verify = _trusted() if transport is None else True
        self._http = httpx.AsyncClient(base_url=base_url, timeout=timeout_s, transport=transport, verify=verify)
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._token: str | None = None

    async def __aenter__(self) -> Self:
        """Enter."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _listen(self, path: str, last: EventId | None) -> AsyncIterator[StreamMessage]:
        """Messages of one stream until it ends; raises httpx.TransportError where it is cut off."""
        resume = {} if last is None else {"Last-Event-ID": last}
        timeout = httpx.Timeout(**{**self._http.timeout.as_dict(), "read": _SILENCE_S})
        for fresh in (False, True):
            headers = {**resume, **await self._bearer()}
            async with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
                if answer.status_code == httpx.codes.UNAUTHORIZED and self._credentials is not None and not fresh:
                    self._token = None
                    continue
                if answer.status_code in _TRY_AGAIN:
                    raise httpx.RemoteProtocolError(f"{answer.status_code} {answer.reason_phrase}")
                if answer.is_error:
                    await answer.aread()
                    raise MarketRefused(_problem(answer))
                async for message in messages(answer.aiter_lines()):
                    yield message
                return

    async def _get(self, path: str, answer: type[M], query: Mapping[str, str] | None = None) -> M:
        return read_answer(
            await self._send("GET", path if query is None else str(httpx.URL(path, params=query))), answer
        )

    async def _put(self, path: str, body: BaseModel, answer: type[M], headers: Mapping[str, str] | None = None) -> M:
        return read_answer(await self._send("PUT", path, body=body, headers=headers), answer)

    async def _post(self, path: str, body: BaseModel | None, answer: type[M], *, key: str | None = None) -> M:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return read_answer(await self._send("POST", path, body=body, headers=headers), answer)

    async def _pages(
        self, path: str, item: type[M], query: Mapping[str, str | Sequence[str]] | None = None
    ) -> AsyncIterator[M]:
        asked = tuple((name, each if isinstance(each, str) else tuple(each)) for name, each in (query or {}).items())
        url: str | None = _with_query(path, asked)
        while url is not None:
            answer = await self._send("GET", url)
            for each in _list_of(item).validate_json(answer.content):
                yield each
            url = answer.links.get("next", {}).get("url")

    async def _send(
        self, method: str, path: str, *, body: BaseModel | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        content = None if body is None else body.model_dump_json(exclude_unset=True)
        sent = {**(headers or {}), **({} if content is None else {"Content-Type": "application/json"})}
        answer = await self._attempt(method, path, content=content, headers={**sent, **await self._bearer()})
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._credentials is not None:
            self._token = None
            answer = await self._attempt(method, path, content=content, headers={**sent, **await self._bearer()})
        if answer.is_error:
            raise MarketRefused(_problem(answer))
        return answer

    async def _bearer(self) -> dict[str, str]:
        if self._credentials is None:
            return {}
        if self._token is None:
            form = {
                "grant_type": "client_credentials",
                "client_id": self._credentials.client_id,
                "client_secret": self._credentials.client_secret,
            }
            answer = await self._attempt("POST", "/auth/token", data=form)
            if answer.is_error:
                raise MarketRefused(_problem(answer))
            self._token = read_answer(answer, Token).access_token
        return {"Authorization": f"Bearer {self._token}"}

    def _address(self, path: str) -> httpx.URL:
        """Of a path below the base, or of a whole address."""
        return _parsed(f"{self._base_url}{path}" if path.startswith("/") else path)

    async def _attempt(self, method: str, path: str, **request: Any) -> httpx.Response:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = await self._http.request(method, self._address(path), **request)
            except httpx.TransportError as failure:
                if attempt == ATTEMPTS:
                    raise MarketUnreachable(f"{method} {path}: no answer ({type(failure).__name__})") from failure
            else:
                if answer.status_code not in _TRY_AGAIN or attempt == ATTEMPTS:
                    return answer
            await asyncio.sleep(FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
        raise AssertionError("the last attempt returns or raises")


async def or_none(answer: Awaitable[T]) -> T | None:
    """What a call answers, or None where the market says that there is no such thing."""
    try:
        return await answer
    except MarketRefused as refusal:
        if refusal.problem.kind is not ProblemType.NOT_FOUND:
            raise
        return None


def read_answer(answer: httpx.Response, kind: type[M]) -> M:
    """The body of an answer as a type of the contract."""
    return kind.model_validate_json(answer.content)


_parsed: Final = lru_cache(maxsize=256)(httpx.URL)
"""An agent asks for the same again and again, and most of what httpx takes for a request is its address."""


@lru_cache(maxsize=256)
def _with_query(path: str, query: tuple[tuple[str, str | tuple[str, ...]], ...]) -> str:
    return str(httpx.URL(path, params=dict(query))) if query else path


@cache
def _list_of(item: type[M]) -> TypeAdapter[tuple[M, ...]]:
    return TypeAdapter(tuple[item, ...])  # type: ignore[valid-type]


def _problem(answer: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        return Problem(
            type="about:blank",
            title=answer.reason_phrase or "Error",
            status=answer.status_code,
            detail=answer.text[:200],
        )
