"""The market's application within this process: requests go to it as they would over HTTP, but through no socket."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import httpx
from fastapi import FastAPI

BASE_URL: Final = "http://market"
"""Where the application is, for clients that have its transport."""


@contextlib.asynccontextmanager
async def inside(api: FastAPI) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Run the application while the block runs; gives how clients reach it."""
    async with api.router.lifespan_context(api):
        yield httpx.ASGITransport(api, raise_app_exceptions=False)
