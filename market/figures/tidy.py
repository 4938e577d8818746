"""Tidy tables (one row per period and thing) as one array per thing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from market.figures.local_time import TimeAxis
from market.figures.prices import natural

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """Columns of a tidy table as (thing, period) arrays.

    things : in their natural order. starts : of the periods, in order, in UTC. columns : nan where there is no row.
    words : columns of text, one word per thing (its last row's).
    """

    things: tuple[str, ...]
    starts: tuple[datetime, ...]
    columns: dict[str, FloatArray]
    words: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, table: pa.Table, by: str, *, time: str = "start") -> Self:
        """Spread `table`, whose rows are named by the columns `by` and `time`."""
        things = tuple(sorted(set(table[by].to_pylist()), key=natural))
        starts = tuple(sorted(set(table[time].to_pylist())))
        row = {name: at for at, name in enumerate(things)}
        column = {start: at for at, start in enumerate(starts)}
        rows = np.array([row[name] for name in table[by].to_pylist()], dtype=np.intp)
        places = np.array([column[start] for start in table[time].to_pylist()], dtype=np.intp)
        columns, words = {}, {}
        for name in table.column_names:
            if name in (by, time):
                continue
            if _is_number(table.schema.field(name).type):
                spread = np.full((len(things), len(starts)), np.nan)
                spread[rows, places] = table[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
                columns[name] = spread
            else:
                last = dict(zip(table[by].to_pylist(), table[name].to_pylist(), strict=True))
                words[name] = tuple(str(last[thing] or "") for thing in things)
        return cls(things=things, starts=starts, columns=columns, words=words)

    def __getitem__(self, column: str) -> FloatArray:
        """One column, (thing, period)."""
        return self.columns[column]

    def axis(self, zone: tzinfo) -> TimeAxis:
        """The time axis of these periods."""
        return TimeAxis.over(self.starts, self.resolution, zone)

    @property
    def resolution(self) -> timedelta:
        """The distance of the first two periods; an hour where there is only one."""
        return self.starts[1] - self.starts[0] if len(self.starts) > 1 else timedelta(hours=1)


def worst_first(things: Sequence[str], severity: FloatArray) -> list[int]:
    """Positions of `things`, the most severe first; severity : (thing, period), nan where unknown."""
    peak = np.where(np.isnan(severity).all(axis=1), -np.inf, np.nanmax(np.nan_to_num(severity, nan=-np.inf), axis=1))
    return sorted(range(len(things)), key=lambda at: (-peak[at], natural(things[at])))


def titled(field: pa.Field) -> str:
    """The words of a column's name, with the unit that its metadata says: peak_w [W] is `peak [W]`."""
    unit = (field.metadata or {}).get(b"unit", b"").decode()
    if unit in ("", "1"):
        return words(field.name)
    what, _, last = field.name.rpartition("_")
    return f"{words(what if last == unit.lower() else field.name)} [{unit}]"


def words(name: str) -> str:
    """A name as people read it."""
    return name.replace("_", " ")


def _is_number(kind: pa.DataType) -> bool:
    kinds = pa.types
    return bool(kinds.is_floating(kind) or kinds.is_integer(kind) or kinds.is_decimal(kind) or kinds.is_boolean(kind))
