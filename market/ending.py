"""How a process that serves or clears ends: at a signal, in bounded time, and without harm to what is in its hands.

A clearing that is cut off has not failed. It computes in a process of its own, and whoever waits for that would take
its end for a failure: so both end in the same breath, and the auction is taken up again by whoever runs next.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import FrameType
from typing import Final

from market.logs import log

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_LAST_STEPS_S: Final = 2.0
"""For background work to be told and connections to be closed, after what was in flight has had its time."""


@contextlib.contextmanager
def stopping_at_signals(stop: Callable[[], None], *, within: timedelta) -> Iterator[None]:
    """While the block runs, in the main thread: the first TERM or INT calls `stop`, the second ends all at once.

    within : after the first; then the process ends, with exit code 0, whatever is still in its hands. After the block
    signals mean what they meant before; none is raised again.
    """
    asked = False

    def obey(number: int, _: FrameType | None) -> None:
        nonlocal asked
        name = signal.Signals(number).name
        if asked:
            log.warning("stopped at once", signal=name)
            end(128 + number)
        asked = True
        log.info("stopping", signal=name, within_s=within.total_seconds())
        cut_off = threading.Timer(within.total_seconds() + _LAST_STEPS_S, _cut_off)
        cut_off.daemon = True
        cut_off.start()
        stop()

    before = {each: signal.signal(each, obey) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def leave_what_is_in_hand() -> None:
    """The last step of a process: where clearings are still computed, end it here and now, with exit code 0."""
    if multiprocessing.active_children():
        _cut_off()


def end(status: int) -> None:
    """End this process and those it computes in. Neither call lets another thread run before the end."""
    for process in multiprocessing.active_children():
        if process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
    os._exit(status)


def _cut_off() -> None:
    log.warning("stopped with work in hand, which is taken up again at the next start")
    end(0)
