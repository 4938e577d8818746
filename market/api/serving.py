"""The market's application under its own server, in a thread of this process."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

import uvicorn
from fastapi import FastAPI

from market.errors import FlexmarketError

LOOPBACK: Final = "127.0.0.1"
_START_TIMEOUT_S: Final = 30.0


class MarketDidNotStart(FlexmarketError):
    """The server did not come up."""


class _Server(uvicorn.Server):
    """A server that tells open event streams to end before it waits for its connections to."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Go down."""
        await self.config.app.state.world.feed.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError where the port is taken."""
    # asyncio turns Nagle's delay off (40 ms on every answer) only where the socket names its protocol.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


def serve_until_stopped(api: FastAPI, listening: socket.socket) -> None:
    """Serve in this thread until Ctrl-C or a TERM signal."""
    with contextlib.suppress(KeyboardInterrupt):  # what uvicorn raises again once it has shut down
        _Server(uvicorn.Config(api, log_level="warning")).run(sockets=[listening])


@contextlib.contextmanager
def serving(api: FastAPI) -> Iterator[str]:
    """Serve on a free port of loopback; gives the address, and stops the server at the end."""
    server = _Server(uvicorn.Config(api, log_level="warning"))
    with listen(LOOPBACK, 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="market")
        thread.start()
        try:
            _await_start(server, thread)
            yield f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise MarketDidNotStart("the market's server did not start")
        time.sleep(0.01)
