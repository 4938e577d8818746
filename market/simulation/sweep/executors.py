"""Calls that need nothing of each other, made one after another here, in processes, or on a Dask cluster.

The same call gives the same value wherever it is made: each has one thread for linear algebra, and nothing beside it in
its process.

    with executor_of(workers=2) as executor:
        answers = run_all(simulated, tasks, executor=executor)      # in the order of the tasks
        measures = [each.value for each in answers if each.failure is None]
"""

import contextlib
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Generic, Protocol, TypeVar

from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")
_PLACES: Final = 6
_ONE_AT_A_TIME: Final = Lock()
"""Runs set up what there is once in a process (migrations, for one): threads of a Dask worker wait for each other."""


@dataclass(frozen=True)
class Failure:
    """Why a call gave no value. kind : of the exception; reason : its words; where : it came from, innermost last."""

    kind: str
    reason: str
    where: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Kind and words, for a person."""
        return f"{self.kind}: {self.reason}" if self.reason else self.kind


@dataclass(frozen=True)
class Answer(Generic[R]):
    """What came of one call. number : of its task; either `value` or `failure`; seconds : of the call itself."""

    number: int
    value: R | None
    failure: Failure | None
    seconds: float


class Executor(Protocol):
    """Where calls are made. workers : how many at once."""

    @property
    def workers(self) -> int: ...  # noqa: D102

    def answers(self, call: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Answer[R]]:
        """One answer for each task, as they come; what a call raises is its answer's failure.

        call : of a module, so that other processes find it. It, the tasks and the values can be pickled.
        """
        ...


def run_all(
    call: Callable[[T], R],
    tasks: Sequence[T],
    *,
    executor: Executor,
    each: Callable[[Answer[R]], object] = lambda _: None,
) -> tuple[Answer[R], ...]:
    """All answers, in the order of the tasks. each : told every answer as soon as it is there, in any order."""
    found: list[Answer[R]] = []
    for answer in executor.answers(call, tasks):
        each(answer)
        found.append(answer)
    return tuple(sorted(found, key=lambda answer: answer.number))


@contextlib.contextmanager
def executor_of(*, workers: int | None = None, cluster: str | None = None) -> Iterator[Executor]:
    """The executor that a command line asks for.

    workers : processes on this machine; 1 is this process itself, absent one for each core. cluster : address of a Dask
    scheduler, which is used instead; raises ClusterOutOfReach where it cannot be.
    """
    if cluster is None:
        from market.simulation.sweep.processes import Processes  # noqa: PLC0415  (it builds on this module)

        count = workers or len(os.sched_getaffinity(0))
        yield InProcess() if count == 1 else Processes(count)
    else:
        from market.simulation.sweep.on_dask import on_dask  # noqa: PLC0415  (an extra)

        with on_dask(cluster) as executor:
            yield executor


@dataclass(frozen=True)
class InProcess:
    """One call after another, in this process."""

    workers: int = 1

    def answers(self, call: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Answer[R]]:
        """In the order of the tasks."""
        return (answered(call, number, task) for number, task in enumerate(tasks))


def answered(call: Callable[[T], R], number: int, task: T) -> Answer[R]:
    """Make one call, whatever comes of it."""
    value, failure = None, None
    with _ONE_AT_A_TIME, threadpool_limits(1, user_api="blas"):
        began = time.perf_counter()
        try:
            value = call(task)
        # An agent of a researcher may raise anything; it is told, and the other runs are none of its business.
        except Exception as exception:
            failure = _failure(exception)
        return Answer(number, value, failure, time.perf_counter() - began)


def _failure(exception: Exception) -> Failure:
    first: BaseException = exception
    while first.__cause__ is not None:
        first = first.__cause__
    frames: list[Any] = traceback.extract_tb(first.__traceback__)[-_PLACES:]
    places = tuple(f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames)
    return Failure(type(exception).__name__, str(exception), places)
