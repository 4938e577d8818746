"""Run a sweep: what is not done yet, on some executor, into its folder."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from market.simulation.inputs import CODE
from market.simulation.own_code import WithCode
from market.simulation.sweep.executors import Answer, Executor, run_all
from market.simulation.sweep.folder import SweepFolder
from market.simulation.sweep.one_run import RunTask, measured
from market.simulation.sweep.plan import Run

Told: TypeAlias = Callable[[Run, Answer[Mapping[str, float]]], object]


@dataclass(frozen=True)
class Swept:
    """What came of a sweep.

    results : one row for each run that is done. before : how many of them were already; failed : runs that failed, with
    why, now or (not tried again) before. seconds : from the first run of now to the last answer. worked_seconds : what
    the runs took, all together. workers : how many there were.
    """

    results: pa.Table
    before: int
    failed: Mapping[str, str]
    seconds: float
    worked_seconds: float
    workers: int

    @property
    def busy(self) -> float:
        """Share of the workers' time in which runs were under way; the rest is their start and the end, 0 to 1."""
        return self.worked_seconds / (self.workers * self.seconds) if self.workers else 0.0


def to_do(folder: SweepFolder, *, retry: bool) -> tuple[Run, ...]:
    """The runs that are neither done nor, unless `retry`, have failed."""
    left = (run for run in folder.plan.runs if not folder.done(run))
    return tuple(run for run in left if retry or not folder.failed(run))


def sweep(
    folder: SweepFolder,
    runs: tuple[Run, ...],
    *,
    executor: Executor,
    keep_runs: bool = False,
    told: Told = lambda *_: None,
) -> Swept:
    """Run `runs`, each into its part as soon as it is done. told : of each, in the order in which they end."""
    before, began = sum(map(folder.done, folder.plan.runs)), time.perf_counter()
    seconds = dict[str, float]()

    def note(answer: Answer[Mapping[str, float]]) -> None:
        run = runs[answer.number]
        seconds[run.id] = answer.seconds
        if answer.failure is None:
            assert answer.value is not None, "either a value or a failure"
            folder.keep(run, answer.value)
        else:
            folder.keep_failure(run, answer.failure)
        told(run, answer)

    tasks = [RunTask(run.text, folder.inputs, folder.kept(run) if keep_runs else None) for run in runs]
    try:
        run_all(WithCode(measured, folder.inputs / CODE), tasks, executor=executor, each=note)
    finally:
        folder.keep_seconds(seconds)
        results = folder.keep_results()
    took = time.perf_counter() - began
    workers = min(executor.workers, len(runs))
    return Swept(results, before, folder.failures(), took, sum(seconds.values()), workers)
