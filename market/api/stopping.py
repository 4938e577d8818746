"""A server that stops as an operator expects: what has begun is finished, in bounded time, and the exit code is 0."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import uvicorn
from fastapi import FastAPI

from market.api.timely import TimelyProtocol
from market.ending import stopping_at_signals


class MarketServer(uvicorn.Server):
    """A server that ends open event streams before it waits for its connections to end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Go down."""
        await self.config.app.state.world.feed.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


class StoppingServer(MarketServer):
    """Uvicorn's server, with an end that is sure to come.

    At the first TERM or INT it takes no new connections, requests finish, and background tasks are stopped; requests
    that are not over after `stop_within` are cut off. A second signal ends the process at once.
    """

    def __init__(self, api: FastAPI, stop_within: timedelta) -> None:
        """Serve an application; logs go where the market's go."""
        self._within = stop_within
        seconds = max(1, round(stop_within.total_seconds()))
        super().__init__(
            uvicorn.Config(
                api, http=TimelyProtocol, log_config=None, access_log=False, timeout_graceful_shutdown=seconds
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals while serving, in the main thread; unlike by uvicorn's own way, none is raised again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with stopping_at_signals(self._stop, within=self._within):
            yield

    def _stop(self) -> None:
        self.should_exit = True
