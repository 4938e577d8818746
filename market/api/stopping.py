"""A server that stops as an operator expects: what has begun is finished, in bounded time, and the exit code is 0."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator
from datetime import timedelta
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from market.logs import log

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_LAST_STEPS_S: Final = 2.0
"""For background tasks to be told and connections to be closed, after requests have had their time."""


class StoppingServer(uvicorn.Server):
    """Uvicorn's server, with an end that is sure to come.

    The first TERM or INT: no new connections, requests finish, background tasks are stopped. What is still going on
    after `stop_within` is cut off: requests by the server, and whatever hangs in a thread with the process. Nothing
    that was acknowledged is lost, and an interrupted clearing is taken up again by whoever runs next. A second signal
    does that at once.
    """

    def __init__(self, api: FastAPI, stop_within: timedelta) -> None:
        """Serve an application; logs go where the market's go."""
        self._within_s = stop_within.total_seconds()
        super().__init__(
            # Uvicorn counts whole seconds; the last steps come on top.
            uvicorn.Config(
                api, log_config=None, access_log=False, timeout_graceful_shutdown=max(1, round(self._within_s))
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take signals while serving; unlike uvicorn's own, none is raised again once they have been obeyed."""
        before = {each: signal.signal(each, self.handle_exit) for each in _SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at the first signal, end at the second."""
        if self.should_exit:
            log.warning("stopped at once", signal=signal.Signals(sig).name)
            _end(128 + sig)
        log.info("stopping", signal=signal.Signals(sig).name, within_s=self._within_s)
        self.should_exit = True
        cut_off = threading.Timer(self._within_s + _LAST_STEPS_S, _cut_off)
        cut_off.daemon = True
        cut_off.start()


def _cut_off() -> None:
    log.warning("stopped with work in hand, which is taken up again at the next start")
    _end(0)


def _end(status: int) -> None:
    """End this process and those it computes in. Neither call lets another thread run before the end.

    So nobody here can take the end of a clearing's process for a failed clearing.
    """
    for process in multiprocessing.active_children():
        if process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
    os._exit(status)
