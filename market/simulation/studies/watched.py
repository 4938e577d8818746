"""The pieces of a study, run while somebody watches at a terminal."""

from collections.abc import Callable, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from market.errors import FlexmarketError
from market.simulation.studies.pieces import C, P
from market.simulation.sweep.executors import Executor, Failure, executor_of
from market.terminal import STOPPED, console, stderr, stop


def run_watched(
    pieces: Sequence[P],
    words: Callable[[P], str],
    run: Callable[[Executor, Callable[[P, C | Failure], object]], tuple[C, ...]],
    *,
    workers: int | None,
    cluster: str | None,
) -> tuple[tuple[C, ...], list[str]]:
    """Run the pieces of a study behind a progress bar; what failed is told, and comes back as lines."""
    failed: list[str] = []
    columns = TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=len(pieces))

        def told(piece: P, came: C | Failure) -> None:
            bar.update(task, description=words(piece), advance=1)
            if isinstance(came, Failure):
                failed.append(f"{words(piece)}: {came}")

        try:
            with executor_of(workers=workers, cluster=cluster) as executor:
                outcomes = run(executor, told)
        except FlexmarketError as failure:
            raise stop(str(failure), status=1) from failure
        except OSError as failure:
            raise stop(f"{failure.filename}: cannot be written ({failure.strerror})", status=1) from failure
        except KeyboardInterrupt as failure:
            raise stop("stopped; the same command goes on with what is not done", status=STOPPED) from failure
    for each in failed:
        stderr.print(each)
    return outcomes, failed
