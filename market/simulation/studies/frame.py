"""The frame of every study's command: what is asked is checked and run, and what came of it written and printed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Generic

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from market.errors import FlexmarketError
from market.figures.study_page import StudyPage, StudyTable, write_study_report
from market.logs import configure as configure_logs
from market.simulation.occupied import FolderInUse
from market.simulation.scenario import BadScenario
from market.simulation.studies.folder import keep_inputs, write_timing
from market.simulation.studies.pieces import C, P, run_pieces
from market.simulation.sweep.executors import Failure, executor_of
from market.terminal import BAD_INPUT, STOPPED, console, print_whole, stderr, stop


@dataclass(frozen=True)
class Undertaking(Generic[P, C]):
    """A study that can be run.

    what : one of its pieces, in a word. name : of a piece, for people. run : a piece, in any process. kind : of what
    comes of it. inputs : files it is made from, by their names in its folder. write : tables and titles of what came,
    into its folder. page : what that folder has to say.
    """

    what: str
    pieces: Sequence[P]
    name: Callable[[P], str]
    run: Callable[[P], C]
    kind: type[C]
    inputs: Mapping[str, Path | Traversable]
    write: Callable[[Sequence[C], Path], None]
    page: Callable[[Path], StudyPage]


def conduct(out: Path, planned: Callable[[], Undertaking[P, C]], *, workers: int | None, cluster: str | None) -> None:
    """Run what is missing of a study in the folder `out`, and write and print all of it.

    planned : raises BadScenario where what is asked cannot be run.
    """
    configure_logs("console", "warning")
    try:
        study = planned()
        study = replace(study, pieces=keep_inputs(study.pieces, out, study.inputs))
    except (BadScenario, FolderInUse) as failure:
        raise stop(str(failure), status=BAD_INPUT) from failure
    except OSError as failure:
        raise stop(f"{out}: cannot be written ({failure.strerror})", status=BAD_INPUT) from failure
    came, failed = _watched(study, out, workers=workers, cluster=cluster)
    if not came:
        raise stop(f"no {study.what} could be run", status=1)
    study.write(came, out)
    write_timing(out, came)
    page = study.page(out)
    report = write_study_report(out, page)
    for table in page.tables:
        print_whole(terminal_table(table))
    for finding in page.findings:
        console.print(finding, highlight=False, soft_wrap=True)
    console.print(f"Folder  {out}\nReport  {report}", highlight=False, soft_wrap=True)
    if failed:
        told = f"{len(failed)} of {len(study.pieces)} {study.what}s failed; the same command tries them again"
        raise stop(told, status=1)


def terminal_table(table: StudyTable) -> Table:
    """The columns that a terminal shows, numbers to the right."""
    shown = [at for at, short in enumerate(table.short) if short]
    # Brackets of units are no markup.
    found = Table(title=escape(table.title) or None, title_justify="left", box=SIMPLE_HEAD)
    for at in shown:
        found.add_column(escape(table.headings[at]) if at else "", justify="right" if at else "left", no_wrap=True)
    for line in table.lines:
        found.add_row(*(escape(line[at]) for at in shown))
    return found


def _watched(
    study: Undertaking[P, C], out: Path, *, workers: int | None, cluster: str | None
) -> tuple[tuple[C, ...], list[str]]:
    """Run behind a progress bar; what failed is told, and comes back as lines."""
    failed: list[str] = []
    columns = TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=len(study.pieces))

        def told(piece: P, came: C | Failure) -> None:
            bar.update(task, description=study.name(piece), advance=1)
            if isinstance(came, Failure):
                failed.append(f"{study.name(piece)}: {came}")

        try:
            with executor_of(workers=workers, cluster=cluster) as executor:
                came = run_pieces(study.pieces, study.run, study.kind, folder=out, executor=executor, told=told)
        except FlexmarketError as failure:
            raise stop(str(failure), status=1) from failure
        except OSError as failure:
            raise stop(f"{failure.filename}: cannot be written ({failure.strerror})", status=1) from failure
        except KeyboardInterrupt as failure:
            raise stop("stopped; the same command goes on with what is not done", status=STOPPED) from failure
    for each in failed:
        stderr.print(each)
    return came, failed
