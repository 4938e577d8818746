"""Every instrument on the same night and the same drivers, as more and more homes have a vehicle; and what came of it.

OUT/inputs/scenario.toml, instruments.toml   as they were given
OUT/cells/INSTRUMENT/PENETRATION.json        every cell; what is there is not run again
OUT/results/instruments.parquet              one row for each cell: its measures
OUT/results/profiles.parquet                 one row for each cell and period: what fleets and network drew
OUT/study.json                               titles of instruments, for people
OUT/timing.json                              what each cell took [s], which no repetition repeats
OUT/report.html                              the figures and tables, in one file
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from market.simulation.measures import Measures
from market.simulation.scenario import BadScenario, Scenario
from market.simulation.studies.cells import Cell, CellOutcome
from market.simulation.studies.folder import write_table, write_words
from market.simulation.studies.instruments import Catalogue, at_penetration, on
from market.simulation.tidy import TIME

QUICK: Final = (0.5, 1.0)


def cells_of(
    scenario: Scenario, catalogue: Catalogue, instruments: Sequence[str], penetrations: Iterable[float]
) -> tuple[Cell, ...]:
    """All cells, by penetration and then by instrument; BadScenario before anything is run."""
    under = {name: on(scenario, catalogue.instrument(name)) for name in instruments}
    return tuple(
        Cell(name, share, at_penetration(scenario, share))
        for share in sorted(set(penetrations))
        for name, scenario in under.items()
    )


def write_tables(outcomes: Sequence[CellOutcome], catalogue: Catalogue, scenario: Scenario, folder: Path) -> None:
    """The tables of all cells, and the words of the report."""
    write_table(folder, "instruments", measures_table(outcomes))
    write_table(folder, "profiles", profiles_table(outcomes))
    names = list(dict.fromkeys(each.instrument for each in outcomes))
    told = {name: {"title": own.title, "note": own.note} for name in names if (own := catalogue.instruments[name])}
    write_words(folder, {"title": scenario.title, "timezone": scenario.timezone, "instruments": told})


def measures_table(outcomes: Sequence[CellOutcome]) -> pa.Table:
    """One row for each cell."""
    columns = {
        "instrument": pa.array([each.instrument for each in outcomes], pa.string()),
        "penetration": pa.array([each.penetration for each in outcomes], pa.float64()),
    }
    for name in Measures.model_fields:
        columns[name] = pa.array([getattr(each.measures, name) for each in outcomes], pa.float64())
    return pa.table(columns)


def profiles_table(outcomes: Sequence[CellOutcome]) -> pa.Table:
    """One row for each cell and period."""
    rows = [(each, at) for each in outcomes for at in range(len(each.starts))]
    columns = {
        "instrument": pa.array([each.instrument for each, _ in rows], pa.string()),
        "penetration": pa.array([each.penetration for each, _ in rows], pa.float64()),
        "start": pa.array([datetime.fromisoformat(each.starts[at]) for each, at in rows], TIME),
    }
    for name in ("fleet_w", "nominated_w", "source_w"):
        columns[name] = pa.array([getattr(each, name)[at] for each, at in rows], pa.float64())
    return pa.table(columns)


def shares(percents: str) -> tuple[float, ...]:
    """Shares of a comma-separated list of percentages; BadScenario for anything else."""
    try:
        found = tuple(float(each) / 100 for each in percents.split(","))
    except ValueError as failure:
        raise BadScenario(f'"{percents}" is no list of percentages, such as 0,50,100') from failure
    if not all(0 <= each <= 1 for each in found):
        raise BadScenario(f'"{percents}": a penetration lies between 0 and 100 %')
    return found
