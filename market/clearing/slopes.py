"""How limits and running energies answer to accepted power, as sparse matrices over chosen columns."""

import numpy as np
from scipy import sparse

from market.clearing.columns import NONE
from market.clearing.linearisation import Rows
from market.clearing.problem import ClearingProblem
from market.network.model import FloatArray, IntArray


def row_slopes(problem: ClearingProblem, rows: Rows, which: IntArray, chosen: IntArray) -> sparse.csr_array:
    """(which, chosen) derivative of each row's excess by accepted power [1/MW]."""
    columns = problem.columns
    number = np.full(len(columns), NONE, dtype=np.intp)
    number[chosen] = np.arange(len(chosen))
    entry = np.flatnonzero(number[columns.column] != NONE)
    parts: list[tuple[IntArray, IntArray, FloatArray]] = []
    for period in np.unique(rows.period[which]).tolist():
        at = np.flatnonzero(rows.period[which] == period)
        inside = entry[columns.period[entry] == period]
        slope = rows.slope[np.ix_(which[at], columns.place[inside])] * columns.weight[inside]
        grid = np.broadcast_arrays(at[:, None], number[columns.column[inside]], slope)
        parts.append((grid[0].ravel(), grid[1].ravel(), grid[2].ravel()))
    return _sparse(parts, (len(which), len(chosen)))


def _sparse(parts: list[tuple[IntArray, IntArray, FloatArray]], shape: tuple[int, int]) -> sparse.csr_array:
    if not parts:
        return sparse.csr_array(shape)
    row, column, value = (np.concatenate(each) for each in zip(*parts, strict=True))
    return sparse.csr_array((value, (row, column)), shape=shape)


def energy_slopes(problem: ClearingProblem, energies: IntArray, chosen: IntArray) -> sparse.csr_array:
    """(e, chosen) derivative of running energies : (e, 2) by accepted power, in periods."""
    owner = problem.envelopes.of_column[chosen]
    inside = np.flatnonzero(owner != NONE)
    entry = np.searchsorted(problem.columns.column, chosen[inside])
    period, sign = problem.columns.period[entry], problem.columns.weight[entry]
    order = np.argsort(owner[inside], kind="stable")
    begin = np.searchsorted(owner[inside][order], energies[:, 0], side="left")
    end = np.searchsorted(owner[inside][order], energies[:, 0], side="right")
    parts = []
    for row, (start, stop) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        own = order[start:stop]
        own = own[period[own] <= energies[row, 1]]
        parts.append((np.full(len(own), row), inside[own], sign[own]))
    return _sparse(parts, (len(energies), len(chosen)))
