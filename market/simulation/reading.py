"""Measures of finished runs, from the folders of runs and of sweeps."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from market.errors import FlexmarketError
from market.simulation.dictionary import dictionary

MEASURES_FILE: Final = "measures.json"
SWEEP_RESULTS: Final = "results.parquet"
_RUN: Final = "run"


class NothingMeasured(FlexmarketError):
    """A folder that is neither that of a finished run nor that of a sweep."""


@dataclass(frozen=True)
class Measured:
    """One run. name : its folder's, or its id in a sweep; point : what tells it from the others of its sweep."""

    name: str
    measures: Mapping[str, float]
    point: Mapping[str, Any]


def measured_in(folder: Path) -> tuple[Measured, ...]:
    """The run in a folder, or all runs of a sweep that are done; NothingMeasured where there is neither."""
    try:
        if (folder / SWEEP_RESULTS).exists():
            return tuple(map(_of_sweep, pq.read_table(folder / SWEEP_RESULTS).to_pylist()))
        measures = json.loads((folder / MEASURES_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as failure:
        raise NothingMeasured(
            f"{folder}: no finished run and no sweep ({MEASURES_FILE} or {SWEEP_RESULTS})"
        ) from failure
    except (OSError, ValueError) as failure:
        raise NothingMeasured(f"{folder}: cannot be read ({failure})") from failure
    return (Measured(folder.resolve().name, measures, {}),)


def _of_sweep(row: Mapping[str, Any]) -> Measured:
    known = dictionary().measures
    point = {name: value for name, value in row.items() if name not in known and name != _RUN}
    return Measured(row[_RUN], {name: row[name] for name in known if name in row}, point)
