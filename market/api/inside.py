"""The market's application within this process: requests go to it as they would over HTTP, but through no socket."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import httpx
from fastapi import FastAPI

from market.api.waiting import ALONE

BASE_URL: Final = "http://market"
"""Where the application is, for clients that have its transport."""


class InsideTransport(httpx.AsyncBaseTransport):
    """Asks an application directly, for one caller at a time: every answer is worked on at once, in this thread."""

    def __init__(self, api: FastAPI) -> None:
        """Of an application whose lifespan has begun."""
        self._asgi = httpx.ASGITransport(api, raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx."""
        before = ALONE.set(True)
        try:
            return await self._asgi.handle_async_request(request)
        finally:
            ALONE.reset(before)


@contextlib.asynccontextmanager
async def inside(api: FastAPI) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Run the application while the block runs; gives how clients reach it."""
    async with api.router.lifespan_context(api):
        yield InsideTransport(api)
