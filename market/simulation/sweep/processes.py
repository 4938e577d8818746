"""Calls in processes of this machine."""

import contextlib
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from market.simulation.sweep.executors import Answer, Failure, R, T, answered


@dataclass(frozen=True)
class Processes:
    """Calls in processes that are started afresh (spawn): none inherits what this one has set up.

    A process that dies (killed for its memory, say) takes only its own call along; another one goes on in its place.
    All of them end with this one, and with the loop over the answers.
    """

    workers: int

    def answers(self, call: Callable[[T], R], tasks: Sequence[T]) -> Iterator[Answer[R]]:
        """As they come."""
        left = deque(enumerate(tasks))
        busy: dict[Any, _Worker] = {}
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(_worker(call)) for _ in range(min(self.workers, len(left)))]
            while left or busy:
                while left and idle:
                    worker = idle.pop()
                    worker.take(*left.popleft())
                    busy[worker.connection] = worker
                for ready in wait(list(busy)):
                    worker = busy.pop(ready)
                    yield worker.answer()
                    idle.append(worker if worker.process.is_alive() else stack.enter_context(_worker(call)))


@dataclass
class _Worker:
    """One process, and the number of the task it is at."""

    process: BaseProcess
    connection: "Connection[Any, Any]"
    number: int = field(default=-1)

    def take(self, number: int, task: Any) -> None:
        self.number = number
        with contextlib.suppress(BrokenPipeError):  # its answer will be that it has died
            self.connection.send((number, task))

    def answer(self) -> Answer[Any]:
        try:
            answer: Answer[Any] = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            died = Failure("ProcessDied", f"its process died with exit code {self.process.exitcode}")
            return Answer(self.number, None, died, 0.0)
        return answer


@contextlib.contextmanager
def _worker(call: Callable[[Any], Any]) -> Iterator[_Worker]:
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_work, args=(there, call), name="run")
    process.start()
    there.close()
    try:
        yield _Worker(process, here)
    finally:
        process.kill()
        process.join()
        here.close()


def _work(connection: "Connection[Any, Any]", call: Callable[[Any], Any]) -> None:
    """What a process does: task in, answer out, until nobody is at the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this one, and ends it
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            number, task = connection.recv()
            connection.send(answered(call, number, task))
