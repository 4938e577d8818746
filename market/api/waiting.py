"""Where steps that wait for the database run: in threads, so that others are answered meanwhile, or at once.

Within a simulation nobody else asks meanwhile, and two changes of threads cost as much as most answers.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final, ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

P = ParamSpec("P")
T = TypeVar("T")

ALONE: Final[ContextVar[bool]] = ContextVar("alone", default=False)
"""Whether whoever asks is the only one who does."""


async def waited_for(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a step returns, or raises, that may wait for others."""
    return step(*args, **kwargs) if ALONE.get() else await run_in_threadpool(step, *args, **kwargs)


def waiting(step: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The same step for a caller that must not wait; what is asynchronous already stays as it is."""
    if inspect.iscoroutinefunction(step):
        return step

    @functools.wraps(step)
    async def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        return await waited_for(step, *args, **kwargs)

    return asked
