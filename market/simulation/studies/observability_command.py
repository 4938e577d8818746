"""What `flexmarket study observability` does: runs, writes, prints."""

import json
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from rich.box import SIMPLE_HEAD
from rich.table import Table

from market.figures.observability import COLUMNS, TABLE, write_observability_report
from market.logs import configure as configure_logs
from market.simulation import SCENARIOS
from market.simulation.occupied import FolderInUse
from market.simulation.scenario import BadScenario, read_scenario
from market.simulation.studies.observability import (
    SHIPPED,
    Seen,
    observability_table,
    read_degrees,
    run_study,
    tasks_of,
)
from market.simulation.studies.pieces import keep_inputs, named
from market.simulation.studies.watched import run_watched
from market.terminal import BAD_INPUT, console, stop

_WIDTH: Final = 200


def study_observability(
    scenario_file: Path | None,
    *,
    names: str | None,
    degrees_file: Path | None,
    history_days: int,
    out: Path,
    workers: int | None,
    cluster: str | None,
) -> None:
    """Run what is missing, and write and print what came of all; see market.simulation.studies.observability."""
    configure_logs("console", "warning")
    file = scenario_file or SCENARIOS / "risoe-observed.toml"
    try:
        scenario, degrees = read_scenario(file), read_degrees(degrees_file)
        tasks = tasks_of(scenario, degrees, named(names, degrees.degrees, "degree"), history_days=history_days)
        tasks = keep_inputs(tasks, out, scenario=file, catalogue=degrees_file or SHIPPED, name="degrees")
    except (BadScenario, FolderInUse) as failure:
        raise stop(str(failure), status=BAD_INPUT) from failure
    except OSError as failure:
        raise stop(f"{out}: cannot be written ({failure.strerror})", status=BAD_INPUT) from failure

    rows, failed = run_watched(
        tasks,
        lambda each: each.title,
        lambda executor, told: run_study(tasks, folder=out, executor=executor, told=told),
        workers=workers,
        cluster=cluster,
    )
    if not rows:
        raise stop("no degree could be run", status=1)
    (out / TABLE).parent.mkdir(exist_ok=True)
    pq.write_table(observability_table(rows), out / TABLE)
    (out / "timing.json").write_text(json.dumps({each.degree: each.seconds for each in rows}, indent=1) + "\n")
    notes = {each.title: each.note for each in degrees.degrees.values() if each.note}
    report = write_observability_report(out, title=scenario.title, notes=notes)
    # Wider than many a terminal, whose lines then go on below: numbers that are cut off are of no use.
    console.print(terminal_table(rows), width=_WIDTH, crop=False)
    console.print(f"Folder  {out}\nReport  {report}", highlight=False, soft_wrap=True)
    if failed:
        raise stop(f"{len(failed)} of {len(tasks)} degrees failed; the same command tries them again", status=1)


def terminal_table(rows: tuple[Seen, ...]) -> Table:
    """A row for each degree; as wide as its numbers, whatever the terminal."""
    texts = [(row.title, *(column.text(row.model_dump()) for column in COLUMNS)) for row in rows]
    table = Table(box=SIMPLE_HEAD)
    for at, heading in enumerate(("", *(column.heading for column in COLUMNS))):
        width = max(len(each) for each in (heading, *(text[at] for text in texts)))
        table.add_column(heading, justify="right" if at else "left", no_wrap=True, min_width=width)
    for text in texts:
        table.add_row(*text)
    return table
