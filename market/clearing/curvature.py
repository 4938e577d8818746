"""How cost and priced limits curve with what is accepted: exactly, and as a few directions that say nearly the same."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from market.clearing.columns import NONE
from market.clearing.linearisation import Linearisation, Rows
from market.network.model import FloatArray, IntArray

FEW: Final = 1_500  # columns up to which curvature is kept in full, and an active set is tried at once
_LEAST_CURVED: Final = 1e-3  # of the largest curvature, among more columns than that
_LARGEST_FACTOR: Final = 1_500  # directions of curvature in all periods together


@dataclass(frozen=True, eq=False)
class Curvature:
    """Second derivative of the Lagrangian by accepted power [EUR/h per MW^2]: spread' by_place spread.

    spread : (y, k) what columns change at each place and time where some of them stand. by_place : (y, y), nothing
    between periods. factor : (w, k) with factor'factor nearly the same, without what curves down. left_out : the
    largest upward curvature that factor leaves out.
    """

    spread: sparse.csr_array
    by_place: sparse.csr_array
    factor: sparse.csr_array
    left_out: float

    @classmethod
    def of(cls, point: Linearisation, rows: Rows, shadow: FloatArray, chosen: IntArray) -> "Curvature":
        """Of some columns, chosen : (k,)."""
        columns = point.problem.columns
        number = np.full(len(columns), NONE, dtype=np.intp)
        number[chosen] = np.arange(len(chosen))
        entry = np.flatnonzero(number[columns.column] != NONE)
        width = 2 * point.problem.places.count
        where, back = np.unique(columns.period[entry] * width + columns.place[entry], return_inverse=True)
        period, place = np.divmod(where, width)
        shape = (len(where), len(chosen))
        spread = sparse.csr_array((columns.weight[entry], (back, number[columns.column[entry]])), shape=shape)
        blocks, factors, left_out = [], [], 0.0
        periods = np.unique(period)
        few = len(chosen) <= FEW
        most = max(2, (_LARGEST_FACTOR if few else _LARGEST_FACTOR // 4) // max(len(periods), 1))
        least = 1e-7 if few else _LEAST_CURVED
        for each in periods.tolist():
            block = point.hessian(each, place[period == each], rows, shadow)
            blocks.append(block)
            root, less = _root(block, most, least)
            factors.append(root)
            left_out = max(left_out, less)
        if not blocks:
            return cls(spread, sparse.csr_array((0, 0)), spread, 0.0)
        factor = sparse.block_diag(factors, format="csr") @ spread
        by_place = sparse.csr_array(sparse.block_diag(blocks, format="csr"))
        return cls(spread, by_place, sparse.csr_array(factor), left_out)

    def times(self, move: FloatArray) -> FloatArray:
        """(k,) product with a move."""
        product: FloatArray = self.spread.T @ (self.by_place @ (self.spread @ move))
        return product

    def among(self, free: IntArray) -> sparse.csr_array:
        """(free, free) part."""
        own = self.spread[:, free]
        return sparse.csr_array(own.T @ (self.by_place @ own))


def _root(matrix: FloatArray, most: int, least: float) -> tuple[FloatArray, float]:
    """A root (w, n) with root'root nearly the matrix, and the largest curvature that it leaves out.

    Its directions are the `most` largest that curve upwards by at least `least` of the largest.
    """
    values, vectors = np.linalg.eigh(matrix)
    upwards = np.flatnonzero(values > least * max(float(np.abs(values).max(initial=0.0)), 1e-300))
    kept = upwards[-most:]
    left_out = np.setdiff1d(np.arange(len(values)), kept)
    root: FloatArray = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
    return root, max(float(values[left_out].max(initial=0.0)), 0.0)
