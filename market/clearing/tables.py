"""Series of many offers as tables, read fast."""

from collections.abc import Sequence
from struct import Struct

import numpy as np

from api_spec.flexibility import PriceSeries
from market.network.model import FloatArray, IntArray


def whole_table(rows: Sequence[Sequence[int]], periods: int) -> IntArray:
    """(row, period) whole numbers; a series that stands in many rows, as zeros do, is read once."""
    names = list(map(id, rows))
    series = dict(zip(names, rows, strict=True))
    packed, table = Struct(f"{periods}q"), np.empty((len(series), periods), dtype=np.intp)
    pack, into, size = packed.pack_into, table.data, packed.size
    for at, row in enumerate(series.values()):
        pack(into, at * size, *row)  # in half the time of numpy
    if len(series) == len(rows):
        return table
    number = dict(zip(series, range(len(series)), strict=True))
    return table[list(map(number.__getitem__, names))]


def ask_table(rows: Sequence[PriceSeries], periods: int) -> FloatArray:
    """(row, period) [EUR/MWh]."""
    at_first = np.array([float(row[0] if isinstance(row, tuple) else row) for row in rows])
    price: FloatArray = np.repeat(at_first.reshape(-1, 1), periods, axis=1)
    for at, row in enumerate(rows):
        if isinstance(row, tuple):
            price[at] = [float(each) for each in row]
    return price
