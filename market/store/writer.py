"""The batch writer: many writes at once become one durable commit, and nobody is answered before it.

A commit costs a sync of the disk, however much is in it. So the steps that wait are run one after the other in one
transaction and committed together. Most batches are all well; where a step fails, the batch is run again with a
savepoint before each, so that it fails alone.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from market.errors import Overloaded
from market.store.work import UnitOfWork, overtaken, transact

T = TypeVar("T")
Step: TypeAlias = Callable[[UnitOfWork], Any]
WAITING: Final = 500
"""Steps that may wait before further ones are refused."""
BATCH: Final = 64
"""Steps of one commit: enough to share a sync, few enough that nobody waits long for others."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A step, and where its answer goes once it is durable."""

    step: Step
    answer: Future[Any] = field(default_factory=Future)


@dataclass(frozen=True)
class _Outcome:
    """What a step came to: its value, or the error with which it was undone."""

    value: Any = None
    error: Exception | None = None


class BatchWriter:
    """One thread that writes for all others; a context manager."""

    def __init__(self, engine: Engine, *, waiting: int = WAITING, batch: int = BATCH) -> None:
        """Write to `engine`; more than `waiting` steps are not taken in."""
        self._engine, self._batch = engine, batch
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(waiting)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> Self:
        """Begin to write."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write what waits, then end."""
        self._queue.put(None)
        self._thread.join()

    @property
    def depth(self) -> int:
        """Steps that wait."""
        return self._queue.qsize()

    @property
    def alive(self) -> bool:
        """Whether anything is written at all."""
        return self._thread.is_alive()

    def write(self, step: Callable[[UnitOfWork], T]) -> T:
        """Run a step, and return what it returns once that is durable; raise what it raises, with nothing written.

        The step may run several times; what it leaves outside of the database must not mind. Raises Overloaded at once
        where too many wait.
        """
        waiting = _Waiting(step)
        try:
            self._queue.put_nowait(waiting)
        except queue.Full as failure:
            raise Overloaded from failure
        answer: T = waiting.answer.result()
        return answer

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ending = self._gather(first)
            self._answer(batch)
            if ending:
                return

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """All that wait by now, up to a batch; True where the end stood among them."""
        batch = [first]
        while len(batch) < self._batch:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        steps = [each.step for each in batch]
        for each, outcome in zip(batch, self._outcomes(steps), strict=True):
            if outcome.error is not None:
                each.answer.set_exception(outcome.error)
            else:
                each.answer.set_result(outcome.value)

    def _outcomes(self, steps: Sequence[Step]) -> list[_Outcome]:
        """Outcomes of the steps, in as few transactions as they allow."""
        if len(steps) == 1:
            return self._apart(steps)
        return self._together(steps, _done) or self._together(steps, _attempted) or self._apart(steps)

    def _together(self, steps: Sequence[Step], run: Callable[[Step, UnitOfWork], _Outcome]) -> list[_Outcome] | None:
        """Outcomes of all steps in one transaction; None where that cannot be."""
        try:
            return transact(self._engine, lambda work: [run(step, work) for step in steps])
        except Exception:  # said again, to whoever caused it, when the steps run more apart
            return None

    def _apart(self, steps: Sequence[Step]) -> list[_Outcome]:
        """Outcomes of the steps, each in a transaction of its own: what is wrong with one is not wrong with others."""
        outcomes = []
        for step in steps:
            try:
                outcomes.append(_Outcome(transact(self._engine, step)))
            except Exception as failure:  # whoever waits must hear of it, whatever it is
                outcomes.append(_Outcome(error=failure))
        return outcomes


def _done(step: Step, work: UnitOfWork) -> _Outcome:
    return _Outcome(step(work))


def _attempted(step: Step, work: UnitOfWork) -> _Outcome:
    try:
        with work.savepoint():
            return _Outcome(step(work))
    except Exception as failure:
        # A savepoint mends what the step did wrong. What went wrong with the database (no space, no connection) may
        # have ended the transaction; to go on in it would write half a batch.
        if isinstance(failure, DBAPIError) and (
            overtaken(failure) or not isinstance(failure, IntegrityError | DataError)
        ):
            raise
        return _Outcome(error=failure)
