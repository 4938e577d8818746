"""A run, repeated from its folder, and held to it byte by byte."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from market.errors import FlexmarketError
from market.figures.run_folder import NETWORK, RESULTS, SUMMARY
from market.simulation.archive import INPUTS, MEASURES, SCENARIO, VERSIONS
from market.simulation.checkpoint import CHANGED
from market.simulation.inputs import CODE, SOURCES
from market.simulation.inputs import kept as kept_in
from market.simulation.own_code import look_first
from market.simulation.scenario import Scenario


class NoRun(FlexmarketError):
    """A folder that holds no finished run."""


@dataclass(frozen=True)
class Difference:
    """file : relative to the folder. what : differs in it."""

    file: Path
    what: str

    def __str__(self) -> str:
        """For a person."""
        return f"{self.file}: {self.what}"


def scenario_in(folder: Path) -> Scenario:
    """The scenario that the run in a folder is of, with the files and the code that are kept there; NoRun."""
    look_first(folder / INPUTS / CODE)
    try:
        text = (folder / SCENARIO).read_text(encoding="utf-8")
        return Scenario.model_validate_json(text).beside(folder / INPUTS)
    except OSError as failure:
        raise NoRun(f"{folder} holds no run: {SCENARIO} cannot be read ({failure.strerror})") from failure
    except ValueError as failure:
        raise NoRun(f"{folder}/{SCENARIO} is no scenario of this version: {failure}") from failure


def changed_since(folder: Path, scenario: Scenario) -> tuple[str, ...]:
    """What of a run's inputs is not what it was run with any more, and what was not the same all along."""
    kept = json.loads((folder / INPUTS / SOURCES).read_text(encoding="utf-8"))
    now = kept_in(scenario, folder / INPUTS)[1].told()
    other = [
        f"{what} {name}"
        for what, before in kept.items()
        for name in sorted({**before, **now[what]})
        if before.get(name) != now[what].get(name)
    ]
    note = folder / CHANGED
    went_on = note.read_text(encoding="utf-8").splitlines() if note.exists() else []
    return (*(f"{each} has changed since it was run" for each in other), *(f"it was run {each}" for each in went_on))


def differences(first: Path, second: Path) -> tuple[Difference, ...]:
    """Where the results of two runs are not the same bytes, in the order of files."""
    files = sorted({each.relative_to(folder) for folder in (first, second) for each in _reproducible(folder)})
    return tuple(Difference(each, what) for each in files if (what := _difference(first / each, second / each)))


def other_versions(first: Path, second: Path) -> tuple[str, ...]:
    """What the two were computed with that is not the same."""
    before, after = (json.loads((each / VERSIONS).read_text(encoding="utf-8")) for each in (first, second))
    names = sorted(before.keys() | after.keys())
    return tuple(
        f"{name} {before.get(name)} instead of {after.get(name)}"
        for name in names
        if before.get(name) != after.get(name)
    )


def _reproducible(folder: Path) -> Iterator[Path]:
    yield from (each for each in (folder / RESULTS).rglob("*") if each.is_file() and each.suffix != ".csv")
    yield from (folder / "inputs" / "cases").glob("*.json")
    yield from (each for name in (SCENARIO, NETWORK, MEASURES, SUMMARY) if (each := folder / name).is_file())


def _difference(first: Path, second: Path) -> str | None:
    """None where both are the same, or both are not there."""
    if not (first.is_file() and second.is_file()):
        return "is only in " + ("the first" if first.is_file() else "the second")
    if first.read_bytes() == second.read_bytes():
        return None
    if first.suffix == ".parquet":
        return _of_tables(pq.read_table(first), pq.read_table(second))
    return "is not the same"


def _of_tables(first: pa.Table, second: pa.Table) -> str:
    if first.schema != second.schema:
        return "has other columns"
    if len(first) != len(second):
        return f"has {len(second):,} rows instead of {len(first):,}"
    for name in first.column_names:
        one, other = first[name], second[name]
        # Nothing is nothing again: neither null nor NaN equals itself.
        both_nothing = pc.and_(*(pc.is_null(each, nan_is_null=True) for each in (one, other)))
        equal = pc.or_(pc.fill_null(pc.equal(one, other), False), both_nothing).to_pylist()
        count = equal.count(False)
        if not count:
            continue
        row = equal.index(False)
        rows = "1 row" if count == 1 else f"{count:,} rows"
        return f"{name} differs in {rows}, first in row {row + 1:,}: {other[row]} instead of {one[row]}"
    return "holds the same values in other bytes"
