"""The market's application within this process: requests go to it as they would over HTTP, but through no socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
from fastapi import FastAPI
from starlette.types import Message, Scope

from market.api.waiting import ALONE

BASE_URL: Final = "http://market"
"""Where the application is, for clients that have its transport."""


class InsideTransport(httpx.AsyncBaseTransport):
    """Asks an application directly, for one caller at a time: every answer is worked on at once, in this thread.

    An answer is there as a whole or not at all: streams are not for it.
    """

    def __init__(self, api: FastAPI) -> None:
        """Of an application whose lifespan has begun."""
        self._api = api

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx; what the application raises is a 500, as over a socket."""
        exchange = _Exchange(await request.aread())
        before = ALONE.set(True)
        try:
            await self._api(_scope(request), exchange.receive, exchange.send)
        except Exception:  # the application has logged it
            exchange.status = exchange.status or httpx.codes.INTERNAL_SERVER_ERROR
        finally:
            ALONE.reset(before)
        return httpx.Response(exchange.status, headers=exchange.headers, content=exchange.body)


class _Exchange:
    """One request and its answer, as ASGI passes them."""

    def __init__(self, asked: bytes) -> None:
        self._asked: bytes | None = asked
        self._over = asyncio.Event()
        self.status, self.body = 0, b""
        self.headers: list[tuple[bytes, bytes]] = []

    async def receive(self) -> Message:
        if self._asked is None:
            await self._over.wait()
            return {"type": "http.disconnect"}
        body, self._asked = self._asked, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                self._over.set()


def _scope(request: httpx.Request) -> Scope:
    url = request.url
    asked: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 0),
        "root_path": "",
    }
    return asked


@contextlib.asynccontextmanager
async def inside(api: FastAPI) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Run the application while the block runs; gives how clients reach it."""
    async with api.router.lifespan_context(api):
        yield InsideTransport(api)
