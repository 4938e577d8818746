"""Every instrument on the same night and the same drivers, as more and more homes have a vehicle; and what came of it.

OUT/inputs/scenario.toml, instruments.toml     as they were given
OUT/cells/INSTRUMENT/PENETRATION/CHANCE.json   every cell; what is there is not run again
OUT/results/instruments.parquet                one row for each cell: its measures
OUT/results/profiles.parquet                   one row for each cell and step: what fleets and network drew
OUT/study.json                                 titles of instruments, for people
OUT/timing.json                                what each cell took [s], which no repetition repeats
OUT/report.html                                the figures and tables, in one file

Of several seeds, tables and figures say mean and standard deviation. What is compared with another instrument is
compared with it under the same seed: the same drivers.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from market.figures.study import DUMB, SYNCHRONISING
from market.simulation.measures import Measures
from market.simulation.scenario import BadScenario, Scenario
from market.simulation.studies.cells import Cell, CellOutcome
from market.simulation.studies.folder import write_table, write_words
from market.simulation.studies.instruments import Catalogue, at_penetration, on, seeded
from market.simulation.tidy import TIME

QUICK: Final = (0.5, 1.0)
_SEEDS: Final = 2**32
_MOST_SEEDS: Final = 1_000


def cells_of(
    scenario: Scenario,
    catalogue: Catalogue,
    instruments: Sequence[str],
    penetrations: Iterable[float],
    *,
    seeds: Sequence[int | None] = (None,),
) -> tuple[Cell, ...]:
    """All cells, by seed, then by penetration, then by instrument; BadScenario before anything is run."""
    chances = {seed: scenario if seed is None else seeded(scenario, seed) for seed in seeds}
    under = {(seed, name): on(own, catalogue.instrument(name)) for seed, own in chances.items() for name in instruments}
    return tuple(
        Cell(name, share, seed, at_penetration(under[seed, name], share))
        for seed in chances
        for share in sorted(set(penetrations))
        for name in instruments
    )


def write_tables(outcomes: Sequence[CellOutcome], catalogue: Catalogue, scenario: Scenario, folder: Path) -> None:
    """The tables of all cells, and the words of the report."""
    write_table(folder, "instruments", measures_table(outcomes))
    write_table(folder, "profiles", profiles_table(outcomes))
    names = list(dict.fromkeys(each.instrument for each in outcomes))
    told = {name: {"title": own.title, "note": own.note} for name in names if (own := catalogue.instruments[name])}
    write_words(folder, {"title": scenario.title, "timezone": scenario.timezone, "instruments": told})


def measures_table(outcomes: Sequence[CellOutcome]) -> pa.Table:
    """One row for each cell, compared with dumb charging and with time of use by the same drivers."""
    peaks_w = {each.place: each.measures.fleet_peak_w for each in outcomes}
    dumb_w, synchronised_w = (
        [peaks_w.get((name, each.penetration, each.seed)) for each in outcomes] for name in (DUMB, SYNCHRONISING)
    )
    ratios = [
        [each.measures.fleet_peak_w / of if of else None for each, of in zip(outcomes, others, strict=True)]
        for others in (dumb_w, synchronised_w)
    ]
    columns = {
        **_places(outcomes),
        "over_dumb": pa.array(ratios[0], pa.float64()),
        "avoided": pa.array([None if each is None else 1 - each for each in ratios[1]], pa.float64()),
    }
    for name in Measures.model_fields:
        columns[name] = pa.array([getattr(each.measures, name) for each in outcomes], pa.float64())
    return pa.table(columns)


def profiles_table(outcomes: Sequence[CellOutcome]) -> pa.Table:
    """One row for each cell and step."""
    rows = [(each, at) for each in outcomes for at in range(len(each.starts))]
    columns = _places([each for each, _ in rows])
    columns["start"] = pa.array([datetime.fromisoformat(each.starts[at]) for each, at in rows], TIME)
    for name in ("fleet_w", "nominated_w", "source_w"):
        columns[name] = pa.array([getattr(each, name)[at] for each, at in rows], pa.float64())
    return pa.table(columns)


def _places(outcomes: Sequence[CellOutcome]) -> dict[str, pa.Array]:
    return {
        "instrument": pa.array([each.instrument for each in outcomes], pa.string()),
        "penetration": pa.array([each.penetration for each in outcomes], pa.float64()),
        "seed": pa.array([each.seed for each in outcomes], pa.int64()),
    }


def seeds_of(asked: str | None) -> tuple[int | None, ...]:
    """Seeds of a comma-separated list, or as many as a single number says, from 1 on; None : the scenario's own.

    Raises BadScenario for anything else.
    """
    if asked is None:
        return (None,)
    try:
        found = [int(each) for each in asked.split(",") if each.strip()]
    except ValueError:
        found = []
    if not found or min(found) < 0 or max(found) >= _SEEDS:
        raise BadScenario(f'"{asked}" is neither a number of seeds, such as 3, nor a list of them, such as 7,11')
    if "," in asked:
        return tuple(dict.fromkeys(found))
    if not 1 <= found[0] <= _MOST_SEEDS:
        raise BadScenario(f'"{asked}": a study takes 1 to {_MOST_SEEDS:,} seeds; a single one of its own is "{asked},"')
    return tuple(range(1, found[0] + 1))


def shares(percents: str) -> tuple[float, ...]:
    """Shares of a comma-separated list of percentages; BadScenario for anything else."""
    try:
        found = tuple(float(each) / 100 for each in percents.split(","))
    except ValueError as failure:
        raise BadScenario(f'"{percents}" is no list of percentages, such as 0,50,100') from failure
    if not all(0 <= each <= 1 for each in found):
        raise BadScenario(f'"{percents}": a penetration lies between 0 and 100 %')
    return found
