"""Sweeps: the shipped one on one core, in processes, and on a Dask cluster of this machine.

Efficiency: what the runs take one after another in one process, over the cores' time until all answers are there. What
is missing of it: start-up, until every worker has loaded what a run needs; slower runs, by which runs that share the
machine take longer than alone; waiting, which is the rest (the last run, and what is sent).
"""

import contextlib
import os
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from distributed import LocalCluster

from bench.measuring import Options, Row, progress
from market.simulation.sweep.executors import Executor, InProcess, run_all
from market.simulation.sweep.on_dask import on_dask
from market.simulation.sweep.one_run import RunTask, measured
from market.simulation.sweep.plan import plan_of
from market.simulation.sweep.processes import Processes

CORES = len(os.sched_getaffinity(0))


def run(options: Options) -> Iterator[Row]:
    if options.sizes is not None:
        return
    shipped = Path(str(files("market.simulation"))) / "sweeps" / "penetration-and-waiting.toml"
    plan = plan_of(shipped)
    tasks = [RunTask(each.text, shipped.parent) for each in plan.runs[: 2 * CORES if options.quick else None]]
    loaded(None)
    progress(f"sweep: {len(tasks)} runs on one core")
    alone_s, _, alone = _timed(InProcess(), tasks)
    yield _row("this process", 1, tasks, alone_s, alone_s, 0.0, alone_s)
    with contextlib.ExitStack() as stack:
        for name, executor in (("processes", Processes(CORES)), ("Dask", stack.enter_context(_dask()))):
            progress(f"sweep: {len(tasks)} runs, {CORES} at once: {name}")
            _start_s(executor)  # a cluster's workers have loaded everything after this, processes are always new
            started_s = _start_s(executor)
            wall_s, runs_s, values = _timed(executor, tasks)
            assert values == alone, "results depend on the executor"
            yield _row(name, CORES, tasks, wall_s, alone_s, started_s, runs_s)


def loaded(_: object) -> None:
    """What a run needs, and nothing else: found here, it has been loaded with this module."""


def _timed(executor: Executor, tasks: list[RunTask]) -> tuple[float, float, object]:
    """Wall time, time of all runs together, and what they measured."""
    began = time.perf_counter()
    answers = run_all(measured, tasks, executor=executor)
    return time.perf_counter() - began, sum(each.seconds for each in answers), [each.value for each in answers]


def _start_s(executor: Executor) -> float:
    """Until workers that are started afresh have loaded everything; 0 where they stand already."""
    began = time.perf_counter()
    run_all(loaded, [None] * executor.workers, executor=executor)
    return time.perf_counter() - began


@contextlib.contextmanager
def _dask() -> Iterator[Executor]:
    cluster = LocalCluster(n_workers=CORES, threads_per_worker=1, dashboard_address=None)  # type: ignore[no-untyped-call]
    with cluster, on_dask(cluster.scheduler_address) as executor:
        yield executor


def _row(
    name: str, workers: int, tasks: list[RunTask], wall_s: float, alone_s: float, start_s: float, runs_s: float
) -> Row:
    spent_s = workers * wall_s
    start, slower = workers * start_s, runs_s - alone_s
    return {
        "executor": name,
        "runs": str(len(tasks)),
        "workers": str(workers),
        "wall s": f"{wall_s:.1f}",
        "efficiency": f"{alone_s / spent_s:.2f}",
        "start-up": f"{start / spent_s:.0%}",
        "slower runs": f"{slower / spent_s:.0%}",
        "waiting": f"{(spent_s - alone_s - start - slower) / spent_s:.0%}",
    }
