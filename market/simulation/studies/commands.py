"""What `flexmarket study` does: runs, writes, prints."""

from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from market.errors import FlexmarketError
from market.figures.study import Study
from market.figures.study_report import read_study, write_study_report
from market.figures.study_table import COLUMNS
from market.logs import configure as configure_logs
from market.simulation import SCENARIOS
from market.simulation.scenario import BadScenario, read_scenario
from market.simulation.studies.cells import Cell, CellOutcome
from market.simulation.studies.instruments import SHIPPED, read_catalogue
from market.simulation.studies.study import QUICK, cells_of, chosen, run_study, shares, write_tables
from market.simulation.sweep.executors import Failure, executor_of
from market.terminal import BAD_INPUT, console, stderr, stop

_WIDTH: Final = 190


def study_instruments(
    scenario_file: Path | None,
    *,
    penetration: str,
    quick: bool,
    instruments: str | None,
    catalogue_file: Path | None,
    out: Path,
    workers: int | None,
    cluster: str | None,
) -> None:
    """Run what is missing of a study, and write and print all of it; see market.simulation.studies.study."""
    configure_logs("console", "warning")
    file = scenario_file or SCENARIOS / "risoe-homes.toml"
    try:
        scenario, catalogue = read_scenario(file), read_catalogue(catalogue_file)
        cells = cells_of(scenario, catalogue, chosen(instruments, catalogue), QUICK if quick else shares(penetration))
        inputs = out / "inputs"
        inputs.mkdir(parents=True, exist_ok=True)
        (inputs / "scenario.toml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
        (inputs / "instruments.toml").write_text((catalogue_file or SHIPPED).read_text(encoding="utf-8"))
    except BadScenario as failure:
        raise stop(str(failure), status=BAD_INPUT) from failure
    except OSError as failure:
        raise stop(f"{out}: cannot be written ({failure.strerror})", status=BAD_INPUT) from failure

    failed: list[str] = []
    columns = TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=len(cells))

        def told(cell: Cell, came: CellOutcome | Failure) -> None:
            place = f"{cell.instrument} {cell.penetration:.0%}"
            bar.update(task, description=place, advance=1)
            if isinstance(came, Failure):
                failed.append(f"{place}: {came}")

        try:
            with executor_of(workers=workers, cluster=cluster) as executor:
                outcomes = run_study(cells, folder=out, executor=executor, told=told)
        except FlexmarketError as failure:
            raise stop(str(failure), status=1) from failure
    for each in failed:
        stderr.print(each)
    if not outcomes:
        raise stop("no cell could be run", status=1)
    write_tables(outcomes, catalogue, scenario, out)
    report = write_study_report(out)
    found = read_study(out)
    # Wider than many a terminal, whose lines then go on below: numbers that are cut off are of no use.
    wide = Console(width=max(console.width, _WIDTH))
    for table in study_tables(found):
        wide.print(table)
    console.print(found.finding(), highlight=False, soft_wrap=True)
    console.print(f"Folder  {out}\nReport  {report}", highlight=False, soft_wrap=True)
    if failed:
        raise stop(f"{len(failed)} of {len(cells)} cells failed; the same command tries them again", status=1)


def study_tables(study: Study) -> list[Table]:
    """One for each penetration, of what a terminal has room for."""
    columns = [each for each in COLUMNS if each.short]
    found = []
    for share in study.penetrations:
        table = Table(title=f"{share:.0%} of homes with a vehicle", title_justify="left", box=SIMPLE_HEAD)
        table.add_column("", no_wrap=True)
        for column in columns:
            table.add_column(column.heading, justify="right", no_wrap=True)
        for row in study.at(share):
            table.add_row(row.title, *(column.text(study, row) for column in columns))
        found.append(table)
    return found
