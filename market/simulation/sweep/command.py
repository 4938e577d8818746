"""`flexmarket sweep`: from a sweep's file to a table of results, with a bar that says how far it is."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from market.figures.sweep_report import write_sweep_report
from market.logs import configure as configure_logs
from market.simulation.occupied import FolderInUse, occupied
from market.simulation.reading import SWEEP_RESULTS
from market.simulation.scenario import BadScenario
from market.simulation.sweep.executors import executor_of
from market.simulation.sweep.folder import SweepChanged, SweepFolder
from market.simulation.sweep.on_dask import ClusterOutOfReach
from market.simulation.sweep.plan import Plan, plan_of
from market.simulation.sweep.sweep_file import BadSweep
from market.simulation.sweep.sweeping import Swept, sweep, to_do
from market.terminal import BAD_INPUT, STOPPED, console, stop

_MOST_TOLD = 10


def run_sweep(
    file: Path,
    *,
    out: Path | None,
    workers: int | None,
    cluster: str | None,
    keep_runs: bool,
    retry: bool,
    changed: bool,
) -> None:
    """Check, run what is not done, and say what came of it."""
    configure_logs("console", "warning")
    try:
        with _bar("checking") as moved:
            plan = plan_of(file, told=lambda done, total: moved(done, total, ""))
        path = out or Path("runs") / plan.sweep.name
        with contextlib.ExitStack() as stack:
            folder = _opened(path, plan, file, changed=changed, stack=stack)
            runs = to_do(folder, retry=retry)
            executor = stack.enter_context(executor_of(workers=workers, cluster=cluster))
            moved = stack.enter_context(_bar("running"))
            moved(0, len(runs), "")
            ended = iter(range(1, len(runs) + 1))
            swept = sweep(
                folder,
                runs,
                executor=executor,
                keep_runs=keep_runs,
                told=lambda run, answer: moved(next(ended), len(runs), f"{run.id} failed" if answer.failure else ""),
            )
    except (BadSweep, BadScenario, FolderInUse, SweepChanged) as failure:
        raise stop(str(failure), status=BAD_INPUT) from failure
    except ClusterOutOfReach as failure:
        raise stop(str(failure), status=1) from failure
    except KeyboardInterrupt as failure:
        raise stop("stopped; the same command goes on with what is not done", status=STOPPED) from failure
    except OSError as failure:
        raise stop(f"{failure.filename}: cannot be written ({failure.strerror})", status=1) from failure
    _tell(swept, plan, folder.path)
    if swept.failed:
        raise typer.Exit(1)


def _opened(path: Path, plan: Plan, file: Path, *, changed: bool, stack: contextlib.ExitStack) -> SweepFolder:
    """The sweep's folder, for nobody else until the stack ends."""
    try:
        stack.enter_context(occupied(path))
        return SweepFolder.open(path, plan, text=file.read_text(encoding="utf-8"), changed=changed)
    except OSError as failure:
        raise stop(f"{path}: cannot be made ({failure.strerror})", status=BAD_INPUT) from failure


@contextlib.contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar that disappears at the end; gives the function that moves it: done, of how many, what is to be noted."""
    columns = TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn()
    times = TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, *times, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def moved(done: int, total: int, note: str) -> None:
            bar.update(task, completed=done, total=total)
            if note:
                bar.console.print(note, highlight=False)

        yield moved


def _tell(swept: Swept, plan: Plan, folder: Path) -> None:
    done = f"{len(swept.results)} of {len(plan.runs)} runs are done"
    console.print(f"{done}, {swept.before} of them were before" if swept.before else done, highlight=False)
    if swept.workers:
        console.print(
            f"{swept.seconds:.1f} s with {swept.workers} at a time, {swept.worked_seconds:.1f} s of runs: "
            f"workers ran {swept.busy:.0%} of the time",
            highlight=False,
        )
    for run, why in list(swept.failed.items())[:_MOST_TOLD]:
        console.print(f"  {run} failed: {why}", highlight=False, markup=False, soft_wrap=True)
    if swept.failed:
        more = len(swept.failed) - _MOST_TOLD
        rest = f" ({more} more of them)" if more > 0 else ""
        console.print(f"{folder / 'failures'} says where{rest}; --retry tries again", highlight=False, soft_wrap=True)
    results = f"Results     {folder / SWEEP_RESULTS}\nCompared    flexmarket compare {folder}"
    console.print(results, highlight=False, soft_wrap=True)
    report = write_sweep_report(folder, plan.sweep.title, missing=len(plan.runs) - len(swept.results))
    if report is not None:
        console.print(f"Report      {report}", highlight=False, soft_wrap=True)
