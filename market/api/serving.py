"""The market's application under its own server, in a thread of this process."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import uvicorn
from fastapi import FastAPI

from market.api.stopping import MarketServer, StoppingServer
from market.api.timely import TimelyProtocol
from market.errors import FlexmarketError
from market.terminal import stop

LOOPBACK: Final = "127.0.0.1"
_START_TIMEOUT_S: Final = 30.0


class MarketDidNotStart(FlexmarketError):
    """The server did not come up."""


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


def listen_or_stop(host: str, port: int, advice: str) -> socket.socket:
    """The same for a command, which ends with a sentence and this advice where the port is taken."""
    try:
        return listen(host, port)
    except OSError as failure:
        raise stop(f"cannot listen on {host}:{port} ({failure.strerror}); {advice}", status=1) from failure


def address_of(listening: socket.socket) -> str:
    """Where a listening socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}"


def serve_until_stopped(api: FastAPI, listening: socket.socket, *, stop_within: timedelta) -> None:
    """Serve in the main thread until Ctrl-C or a TERM signal; then finish what has begun, and return.

    stop_within : what takes longer is cut off, and the process ends all the same. A second signal ends it at once.
    """
    StoppingServer(api, stop_within).run(sockets=[listening])


@contextlib.contextmanager
def serving(api: FastAPI) -> Iterator[str]:
    """Serve on a free port of loopback; gives the address, and stops the server at the end."""
    server = MarketServer(uvicorn.Config(api, http=TimelyProtocol, log_config=None, access_log=False))
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
