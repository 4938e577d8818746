"""Steps that a running market repeats by itself: each in a thread of its own, all ended together."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from market.logs import log

_ENDS_WITHIN_S: Final = 5.0


@dataclass(frozen=True)
class Step:
    """One kind of work.

    do : does what is due, and says whether more may be; it is asked again at once then, else after `rest_s`. breath_s :
    a pause in between all the same, for others who want the database.
    """

    name: str
    do: Callable[[], bool]
    rest_s: float
    breath_s: float = 0.0


@contextlib.contextmanager
def repeated(*steps: Step) -> Iterator[Callable[[], bool]]:
    """Repeat steps while the block runs; gives whether all threads are at it.

    A step that is not over soon after the end of the block is left where it is: whatever it holds is in a transaction
    or under a lease, and is done again by whoever comes next.
    """
    ended = threading.Event()
    threads = [threading.Thread(target=_repeat, args=(each, ended), name=each.name, daemon=True) for each in steps]
    for each in threads:
        each.start()
    try:
        yield lambda: all(each.is_alive() for each in threads)
    finally:
        ended.set()
        latest = time.monotonic() + _ENDS_WITHIN_S
        for each in threads:
            each.join(max(0.0, latest - time.monotonic()))


@contextlib.contextmanager
def logged(what: str) -> Iterator[None]:
    """Log what goes wrong, and go on: what fails today may work tomorrow, and must not stop the rest."""
    try:
        yield
    except Exception as failure:
        log.error("interrupted", what=what, error=type(failure).__name__, exc_info=failure)


def _repeat(step: Step, ended: threading.Event) -> None:
    while not ended.is_set():
        more = False
        with logged(step.name):
            more = step.do()
        ended.wait(step.breath_s if more else step.rest_s)
