"""Adjoint AC sensitivities: how any quantity answers to consumption at every terminal, from one transposed solve.

Unknowns are the real and imaginary parts of all voltages but the source's. With S(V) the power that enters the network
and p + jq the consumption, power flow reads S(V) + p + jq = 0; its Jacobian is J = dS/d(e, f). For a quantity g,
`J' w = dg/d(e, f)` gives dg/dp = -w (its active rows) and dg/dq = -w (its reactive rows) at all terminals at once.
Source: adjoint sensitivities of the power-flow equations, Peschon et al., IEEE Trans. PAS 87 (1968) 1687-1696.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from market.network.model import ComplexArray, FloatArray, Grid, IntArray

_PIVOT: Final = 0.01  # of the largest in its column: from which on the diagonal is taken, so that no factor fills up


class Jacobians:
    """Makes the Jacobians of one grid: all have the same pattern, which is found once."""

    def __init__(self, grid: Grid) -> None:
        """Find the pattern, and an order of the unknowns that keeps the factors sparse."""
        self.grid = grid
        free = grid.free_terminals
        number = np.full(grid.terminals, -1, dtype=np.intp)
        number[free] = np.arange(len(free))
        # Every diagonal entry is there, even where nothing but the own current makes it.
        inner = (grid.admittance + sparse.diags_array(np.full(grid.terminals, 1e-300))).tocoo()
        kept = (number[inner.row] >= 0) & (number[inner.col] >= 0)
        self._row, self._column, self._y = inner.row[kept], inner.col[kept], inner.data[kept]
        self._diagonal = self._row == self._column
        size = len(free)
        row, column = number[self._row], number[self._column]
        rows = np.concatenate([row, row, row + size, row + size])
        columns = np.concatenate([column, column + size, column, column + size])
        # Real and imaginary part of a voltage, and neighbours, stand close together.
        terminal = sparse.csgraph.reverse_cuthill_mckee(
            sparse.csr_array((np.ones(len(row)), (row, column)), shape=(size, size)), symmetric_mode=True
        )
        self.order = np.stack([terminal, terminal + size], axis=1).ravel()
        place = np.empty(2 * size, dtype=np.intp)
        place[self.order] = np.arange(2 * size)
        count = np.arange(len(rows), dtype=np.float64)
        pattern = sparse.csc_array((count, (place[rows], place[columns])), shape=(2 * size, 2 * size))
        self._entry = pattern.data.astype(np.intp)
        self._indices, self._indptr = pattern.indices, pattern.indptr

    def at(self, voltage: ComplexArray) -> "Jacobian":
        """Factorise at operating points together. voltage : (point, terminal) [pu]."""
        points, size = len(voltage), len(self._indptr) - 1
        current = (self.grid.admittance @ voltage.T).conj().T
        towards = voltage[:, self._row] * self._y.conj()
        own = np.where(self._diagonal, current[:, self._row], 0.0)
        by_real, by_imaginary = towards + own, 1j * (own - towards)
        parts = np.concatenate([by_real.real, by_imaginary.real, by_real.imag, by_imaginary.imag], axis=1)
        # Points stand along the diagonal.
        number = np.arange(points)[:, None]
        indices = (self._indices + number * size).ravel()
        indptr = np.append((self._indptr[:-1] + number * len(self._indices)).ravel(), points * len(self._indices))
        matrix = sparse.csc_array((parts[:, self._entry].ravel(), indices, indptr), shape=(points * size,) * 2)
        factors = splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=_PIVOT, options={"SymmetricMode": True})
        return Jacobian(self.grid, self.order, points, factors)


@dataclass(frozen=True, eq=False)
class Jacobian:
    """The power-flow Jacobians of so many points, factorised. order : of the unknowns of each in the factors."""

    grid: Grid
    order: IntArray
    points: int
    factors: SuperLU

    @cached_property
    def _unknown(self) -> IntArray:
        return self.grid.free_terminals

    def _solve(self, right: FloatArray, *, transposed: bool = False) -> FloatArray:
        shape = right.shape
        solved = self.factors.solve(right[:, self.order].reshape(-1, shape[2]), trans="T" if transposed else "N")
        answer = np.empty_like(right)
        answer[:, self.order] = solved.reshape(shape)
        return answer

    def adjoint(self, coefficients: ComplexArray) -> tuple[FloatArray, FloatArray]:
        """dg/dp and dg/dq of quantities with dg = Re(sum_j a_j dV_j).

        coefficients : (point, terminal, k) the a of each quantity. Returns two arrays (point, terminal, k) [unit of g
        per MW or Mvar there], 0 at the source.
        """
        a = coefficients[:, self._unknown]
        w = self._solve(np.concatenate([a.real, -a.imag], axis=1), transposed=True) * self.grid.phases
        by_p, by_q = np.zeros(coefficients.shape), np.zeros(coefficients.shape)
        half = len(self._unknown)
        by_p[:, self._unknown], by_q[:, self._unknown] = -w[:, :half], -w[:, half:]
        return by_p, by_q

    def response(self, active_mw: FloatArray, reactive_mvar: FloatArray) -> ComplexArray:
        """(point, terminal, k) change of every voltage [pu] for k changes of consumption : (point, terminal, k)."""
        consumed = np.concatenate([active_mw[:, self._unknown], reactive_mvar[:, self._unknown]], axis=1)
        change = self._solve(-consumed * self.grid.phases)
        answer = np.zeros(active_mw.shape, dtype=np.complex128)
        half = len(self._unknown)
        answer[:, self._unknown] = change[:, :half] + 1j * change[:, half:]
        return answer
