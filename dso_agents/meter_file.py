"""Meter readings in files: tidy tables with one row for each place and step, as simulated runs write them, too."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pydantic import ValidationError

from api_spec.grid_metering import QUANTITIES, GridReading, Quantity
from api_spec.period import MAX_PERIODS
from dso_agents.forecast import ForecastUnusable
from market.network.model import FloatArray

_PLACE: Final = {
    "bus": pa.string(),
    "element": pa.string(),
    "end": pa.string(),
    "phase": pa.string(),
    "meter": pa.string(),
    "accuracy_class": pa.float64(),
    "resolution_s": pa.int64(),
}
_SUFFIXES: Final = (".csv", ".parquet")


class MeterFiles:
    """A file, or a folder that files with readings are put into; `news` reads what it has not read yet."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self._path = path
        self._read: dict[Path, tuple[int, int]] = {}
        self._found: list[GridReading] = []

    def news(self) -> tuple[GridReading, ...]:
        """Readings of files that are new or have changed.

        ForecastUnusable says what is wrong with one, once; the next call goes on after it, and nothing else is lost.
        """
        try:
            for file in self._files():
                state = file.stat()
                version = state.st_mtime_ns, state.st_size
                if self._read.get(file) != version:
                    self._read[file] = version
                    self._found += read_meters(file)
        except OSError as failure:
            raise ForecastUnusable(f"{failure.filename}: cannot be read ({failure.strerror})") from failure
        found, self._found = tuple(self._found), []
        return found

    def _files(self) -> list[Path]:
        if not self._path.is_dir():
            return [self._path]
        return sorted(each for each in self._path.iterdir() if each.suffix in _SUFFIXES)


def read_meters(path: Path) -> tuple[GridReading, ...]:
    """Of a CSV or Parquet file with the columns `bus` or `element`, `start` (with an offset) and at least one quantity.

    p_w, q_var, voltage_v, current_a, and what else there may be : see api_spec.grid_metering.GridReading; resolution_s
    of a step [s], absent = the shortest time between two rows of a place. What is missing or empty is not known.
    ForecastUnusable says what is wrong.
    """
    try:
        table = pa.parquet.read_table(path) if path.suffix == ".parquet" else pa.csv.read_csv(path)
    except (OSError, pa.ArrowException) as failure:
        raise ForecastUnusable(f"{path}: cannot be read ({failure})") from failure
    names = table.column_names
    quantities = [each for each in QUANTITIES if each in names]
    missing = [each for each in ("bus", "start", "p_w") if each not in names]
    if "element" in names:
        missing = [each for each in missing if each != "bus"]
    if quantities:
        missing = [each for each in missing if each != "p_w"]
    if missing:
        raise ForecastUnusable(f"{path}: has no column {' and no '.join(missing)}")
    place = {name: kind for name, kind in _PLACE.items() if name in names}
    kinds = {**place, "start": pa.timestamp("us", "UTC"), **dict.fromkeys(quantities, pa.float64())}
    try:
        return tuple(_readings(table.select(list(kinds)).cast(pa.schema(kinds.items())), list(place), quantities))
    except (pa.ArrowException, ValidationError) as failure:
        raise ForecastUnusable(f"{path}: {failure}") from failure


def _readings(rows: pa.Table, place: list[str], quantities: list[Quantity]) -> Iterator[GridReading]:
    """By place, in the order of time."""
    rows = rows.sort_by([(name, "ascending") for name in (*place, "start")])
    keys = list(zip(*(rows[name].to_pylist() for name in place), strict=True))
    starts = rows["start"].cast(pa.int64()).to_numpy()
    values = {name: rows[name].to_numpy() for name in quantities}
    edges = [0, *(at for at in range(1, len(keys)) if keys[at] != keys[at - 1]), len(keys)]
    for first, last in pairwise(edges):
        at = dict(zip(place, keys[first], strict=True))
        seconds = at.pop("resolution_s", None)
        step = seconds * 1_000_000 if seconds else _shortest(starts[first:last])
        for name, series in values.items():
            if step and not np.isnan(series[first:last]).all():
                yield from _series(at, name, starts[first:last], series[first:last], step)


def _shortest(starts: Any) -> int | None:
    """Time between two rows [us]; None of a single one."""
    apart = np.diff(np.unique(starts))
    return int(apart.min()) if len(apart) else None


def _series(
    at: dict[str, Any], quantity: Quantity, starts: Any, values: FloatArray, step: int
) -> Iterator[GridReading]:
    """Starts : [us] since the epoch, rising. values : nan = unknown. step : [us]."""
    known = {name: value for name, value in at.items() if value is not None}
    rows = (starts - starts[0]) // step
    dense = np.full(int(rows[-1]) + 1, np.nan)
    dense[rows] = values
    for first in range(0, len(dense), MAX_PERIODS):
        yield GridReading(
            **{"meter": known.get("bus") or known.get("element"), **known},
            quantity=quantity,
            start=datetime.fromtimestamp((int(starts[0]) + first * step) / 1e6, UTC),
            resolution=timedelta(microseconds=step),
            values=tuple(None if np.isnan(each) else each for each in dense[first : first + MAX_PERIODS].tolist()),
        )
