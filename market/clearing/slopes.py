"""How limits and running energies answer to accepted power, as sparse matrices over chosen columns."""

import numpy as np
from scipy import sparse

from market.clearing.columns import NONE
from market.clearing.linearisation import Rows
from market.clearing.problem import ClearingProblem
from market.network.model import FloatArray, IntArray


def row_slopes(problem: ClearingProblem, rows: Rows, which: IntArray, chosen: IntArray) -> sparse.csr_array:
    """(which, chosen) derivative of each row's excess by accepted power [1/MW]."""
    return place_slopes(problem, rows.period[which], rows.slope[which], chosen)


def place_slopes(problem: ClearingProblem, period: IntArray, slope: FloatArray, chosen: IntArray) -> sparse.csr_array:
    """(r, chosen) slopes by accepted power of what changes by `slope` : (r, 2 places) in periods : (r,)."""
    columns = problem.columns
    number = np.full(len(columns), NONE, dtype=np.intp)
    number[chosen] = np.arange(len(chosen))
    entry = np.flatnonzero(number[columns.column] != NONE)
    parts: list[tuple[IntArray, IntArray, FloatArray]] = []
    for each in np.unique(period).tolist():
        at = np.flatnonzero(period == each)
        inside = entry[columns.period[entry] == each]
        by_column = slope[np.ix_(at, columns.place[inside])] * columns.weight[inside]
        grid = np.broadcast_arrays(at[:, None], number[columns.column[inside]], by_column)
        parts.append((grid[0].ravel(), grid[1].ravel(), grid[2].ravel()))
    return _sparse(parts, (len(period), len(chosen)))


def _sparse(parts: list[tuple[IntArray, IntArray, FloatArray]], shape: tuple[int, int]) -> sparse.csr_array:
    if not parts:
        return sparse.csr_array(shape)
    row, column, value = (np.concatenate(each) for each in zip(*parts, strict=True))
    return sparse.csr_array((value, (row, column)), shape=shape)


def energy_slopes(problem: ClearingProblem, energies: IntArray, chosen: IntArray) -> sparse.csr_array:
    """(e, chosen) derivative of running energies : (e, 2) by accepted power, in periods."""
    columns, owner = problem.columns, problem.envelopes.of_column[chosen]
    inside = np.flatnonzero(owner != NONE)
    entry = np.searchsorted(columns.column, chosen[inside])
    order = np.lexsort((columns.period[entry], owner[inside]))
    inside, entry = inside[order], entry[order]
    # The columns of an envelope up to a period stand in one piece.
    stamp = owner[inside] * problem.periods + columns.period[entry]
    first = np.searchsorted(owner[inside], energies[:, 0])
    count = np.searchsorted(stamp, energies[:, 0] * problem.periods + energies[:, 1], side="right") - first
    row = np.repeat(np.arange(len(energies)), count)
    at = np.arange(len(row)) + np.repeat(first - np.cumsum(count) + count, count)
    return sparse.csr_array((columns.weight[entry[at]], (row, inside[at])), shape=(len(energies), len(chosen)))
