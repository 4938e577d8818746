"""Linear algebra on one thread while anything is being cleared.

The matrices of a clearing are small: more threads of BLAS wait for one another (a clearing took twice as long on two
shared cores), and sums would depend on how many there are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

from threadpoolctl import ThreadpoolController

_BLAS: Final[Any] = ThreadpoolController()


class _Limit:
    """The limit of the process, which the first clearing sets and the last one lifts."""

    def __init__(self) -> None:
        self._lock, self._users, self._limited = Lock(), 0, None

    def enter(self) -> None:
        with self._lock:
            if self._users == 0:
                self._limited = _BLAS.limit(limits=1, user_api="blas")
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._limited is not None:
                self._limited.restore_original_limits()


_LIMIT: Final = _Limit()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of BLAS in here, also where several clearings overlap."""
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()
