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


@contextlib.contextmanager
def serving(api: FastAPI) -> Iterator[str]:
    """Serve on a free port of loopback; gives the address, and stops the server at the end."""
    server = uvicorn.Server(uvicorn.Config(api, log_level="warning"))
    # asyncio turns Nagle's delay off (40 ms on every answer) only where the protocol is named.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind((LOOPBACK, 0))
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
