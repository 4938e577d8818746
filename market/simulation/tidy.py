"""Tidy tables: one row for each thing and step of time."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa

from api_spec.period import MarketPeriod

TIME: Final = pa.timestamp("us", tz="UTC")


def tidy(period: MarketPeriod, by: str, things: Sequence[str], columns: Mapping[str, np.ndarray]) -> pa.Table:
    """One row for each thing and period; columns : (thing, period), or (thing, 1) for what does not change."""
    shape = (len(things), period.count)
    starts = times(period.starts())
    return pa.table(
        {
            "start": pa.concat_arrays([starts] * len(things)) if things else starts[:0],
            by: pa.array(np.repeat(np.array(things, dtype=object), shape[1]), pa.string()),
            **{
                name: (np.broadcast_to(values, shape) if things else values[:0]).ravel()
                for name, values in columns.items()
            },
        }
    )


def times(instants: Iterable[datetime]) -> pa.Array:
    """A column of instants in UTC."""
    return pa.array(list(instants), TIME)
