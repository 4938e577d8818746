"""The driver's page under a server of its own, in the event loop of whoever plans."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

import uvicorn
from fastapi import FastAPI

_MOST_CONNECTIONS: Final = 100
"""A page takes a few milliseconds of the loop in which chargers are controlled, too."""


class _PageServer(uvicorn.Server):
    """A server that leaves signals to its process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


@contextlib.asynccontextmanager
async def served(app: FastAPI, *, host: str, port: int, path: str = "") -> AsyncIterator[int]:
    """Serve while the context lasts; gives the port. Raises OSError where that is taken.

    path : that a proxy cuts off before it passes a request on. Without an access log: addresses hold codes.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            root_path=path,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=2,
        )
        server = _PageServer(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield int(listening.getsockname()[1])
        finally:
            server.should_exit = True
            await task
