"""Meter readings in a file: a tidy table with one row for each bus and period."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from api_spec.grid_metering import GridReading
from api_spec.period import MAX_PERIODS
from dso_agents.forecast import ForecastUnusable

_COLUMNS = ("bus", "start", "p_w")


def read_meters(path: Path) -> tuple[GridReading, ...]:
    """Of a CSV or Parquet file with the columns `bus`, `start` (with an offset) and `p_w`, consumption positive [W].

    A bus's resolution is the shortest time between two of its rows; a row that is missing or empty is not known.
    ForecastUnusable says what is wrong.
    """
    try:
        table = pa.parquet.read_table(path) if path.suffix == ".parquet" else pa.csv.read_csv(path)
    except (OSError, pa.ArrowException) as failure:
        raise ForecastUnusable(f"{path}: cannot be read ({failure})") from failure
    if missing := [each for each in _COLUMNS if each not in table.column_names]:
        raise ForecastUnusable(f"{path}: has no column {' and no '.join(missing)}")
    try:
        rows = table.select(_COLUMNS).cast(
            pa.schema([("bus", pa.string()), ("start", pa.timestamp("us", "UTC")), ("p_w", pa.float64())])
        )
    except pa.ArrowException as failure:
        raise ForecastUnusable(f"{path}: {failure}") from failure
    return tuple(_readings(rows))


def _readings(rows: pa.Table) -> Iterator[GridReading]:
    by_bus = rows.sort_by([("bus", "ascending"), ("start", "ascending")])
    buses = np.array(by_bus["bus"].to_pylist(), dtype=object)
    starts = by_bus["start"].cast(pa.int64()).to_numpy()
    values = by_bus["p_w"].to_numpy()
    edges = [0, *(np.flatnonzero(buses[1:] != buses[:-1]) + 1).tolist(), len(buses)]
    for first, last in pairwise(edges):
        if last - first > 1:
            yield from _of_bus(str(buses[first]), starts[first:last], values[first:last])


def _of_bus(bus: str, starts: Any, values: Any) -> Iterator[GridReading]:
    """Starts : [us] since the epoch, rising. values : [W], nan = unknown."""
    step = int(np.diff(np.unique(starts)).min())
    at = (starts - starts[0]) // step
    dense = np.full(int(at[-1]) + 1, np.nan)
    dense[at] = values
    for first in range(0, len(dense), MAX_PERIODS):
        part = dense[first : first + MAX_PERIODS].tolist()
        yield GridReading(
            meter=bus,
            bus=bus,
            quantity="p_w",
            start=datetime.fromtimestamp((int(starts[0]) + first * step) / 1e6, UTC),
            resolution=timedelta(microseconds=step),
            values=tuple(None if np.isnan(each) else each for each in part),
        )
