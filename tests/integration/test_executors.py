"""One call, many tasks: in this process, in others, and on a Dask cluster with a scheduler and workers of its own."""

import contextlib
import os
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from market.simulation.sweep.executors import Executor, InProcess, answered, executor_of, run_all
from market.simulation.sweep.on_dask import ClusterOutOfReach, on_dask
from market.simulation.sweep.processes import Processes


def halved(number: int) -> float:
    """What the tests call: some numbers have no half, and one takes its process along."""
    if number < 0:
        raise ValueError(f"{number} is negative")
    if number == 666:
        os._exit(9)
    return float(np.linalg.norm(np.full(4, number / 4)))


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """Address of a scheduler with two workers of one thread, in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # distributed closes some of its own sockets late
        from distributed import LocalCluster  # noqa: PLC0415

        own = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        )
        with own:
            yield own.scheduler_address


@pytest.fixture(params=["in process", "processes", "cluster"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with contextlib.ExitStack() as stack:
        if request.param == "cluster":
            yield stack.enter_context(on_dask(stack.enter_context(cluster())))
        else:
            yield InProcess() if request.param == "in process" else Processes(2)


def test_answers_are_those_of_the_tasks_in_their_order(executor: Executor) -> None:
    """The norm of four quarters of n is n / 2; -1 has none, and is told with its place."""
    heard: list[int] = []
    answers = run_all(halved, [8, -1, 4, 2], executor=executor, each=lambda answer: heard.append(answer.number))

    assert [each.value for each in answers] == [4.0, None, 2.0, 1.0]
    failure = answers[1].failure
    assert failure is not None
    assert (str(failure), failure.where[-1].endswith("halved")) == ("ValueError: -1 is negative", True)
    assert sorted(heard) == [0, 1, 2, 3]


def test_a_process_that_dies_takes_only_its_own_call_along() -> None:
    answers = run_all(halved, [2, 666, 4, 6], executor=Processes(2))

    assert [each.value for each in answers] == [1.0, None, 2.0, 3.0]
    assert str(answers[1].failure) == "ProcessDied: its process died with exit code 9"


def test_who_stops_listening_stops_the_processes() -> None:
    answers = Processes(2).answers(halved, [2, 4, 6, 8])
    assert next(answers).value in {1.0, 2.0}
    answers.close()  # type: ignore[attr-defined]
    assert list(answers) == []


def test_one_worker_is_this_process_itself() -> None:
    with executor_of(workers=1) as alone, executor_of(workers=3) as several:
        assert (alone, several) == (InProcess(), Processes(3))


def test_a_call_is_timed_without_its_start() -> None:
    assert 0 < answered(halved, 0, 2).seconds < 5


def test_a_scheduler_that_is_not_there_is_named() -> None:
    refusal = r"tcp://127\.0\.0\.1:9 cannot be used: its scheduler does not answer"
    with pytest.raises(ClusterOutOfReach, match=refusal), executor_of(cluster="tcp://127.0.0.1:9"):
        pass
