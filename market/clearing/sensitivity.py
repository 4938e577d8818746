"""Adjoint AC sensitivities: how any quantity answers to consumption at every bus, from one transposed solve.

Unknowns are the real and imaginary parts of all voltages but the source's. With S(V) the power that enters the network
and p + jq the consumption, power flow reads S(V) + p + jq = 0; its Jacobian is J = dS/d(e, f). For a quantity g,
`J' w = dg/d(e, f)` gives dg/dp = -w (its active rows) and dg/dq = -w (its reactive rows) at all buses at once.
Source: adjoint sensitivities of the power-flow equations, Peschon et al., IEEE Trans. PAS 87 (1968) 1687-1696.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from market.network.model import ComplexArray, FloatArray, Grid, IntArray


@dataclass(frozen=True, eq=False)
class Jacobian:
    """The power-flow Jacobian of one period, factorised once."""

    grid: Grid
    voltage: ComplexArray
    factors: SuperLU
    unknown: IntArray

    @classmethod
    def at(cls, grid: Grid, voltage: ComplexArray) -> "Jacobian":
        """Factorise at voltage : (bus,) [pu]."""
        unknown = np.flatnonzero(np.arange(grid.buses) != grid.source)
        towards = sparse.diags_array(voltage) @ grid.admittance.conj()
        current = sparse.diags_array((grid.admittance @ voltage).conj())
        by_real = (towards + current).tocsr()[unknown][:, unknown]
        by_imaginary = (1j * (current - towards)).tocsr()[unknown][:, unknown]
        matrix = sparse.block_array([[by_real.real, by_imaginary.real], [by_real.imag, by_imaginary.imag]])
        return cls(grid, voltage, splu(matrix.tocsc()), unknown)

    def adjoint(self, coefficients: ComplexArray) -> tuple[FloatArray, FloatArray]:
        """dg/dp and dg/dq of quantities with dg = Re(sum_j a_j dV_j).

        coefficients : (bus, k) the a of each quantity. Returns two arrays (bus, k) [unit of g per pu], 0 at the source.
        """
        a = coefficients[self.unknown]
        w = self.factors.solve(np.concatenate([a.real, -a.imag]), trans="T")
        by_p, by_q = np.zeros(coefficients.shape), np.zeros(coefficients.shape)
        by_p[self.unknown], by_q[self.unknown] = (-w[: len(self.unknown)], -w[len(self.unknown) :])
        return by_p, by_q

    def response(self, buses: IntArray) -> ComplexArray:
        """(bus, k) change of every voltage per pu of active consumption at each of the k buses."""
        consumed = np.zeros((self.grid.buses, len(buses)))
        consumed[buses, np.arange(len(buses))] = 1.0
        active = consumed[self.unknown]
        change = self.factors.solve(np.concatenate([-active, np.zeros_like(active)]))
        answer = np.zeros((self.grid.buses, len(buses)), dtype=np.complex128)
        answer[self.unknown] = change[: len(self.unknown)] + 1j * change[len(self.unknown) :]
        return answer

    def curvature(self, by_p: FloatArray, by_q: FloatArray, response: ComplexArray) -> FloatArray:
        """Part of a reduced Hessian that comes from the power-flow equations themselves.

        by_p, by_q : (bus,) adjoint gradient of the function; response : (bus, k). Returns (k, k): the second derivative
        of the function along consumption, less what its own curvature by the voltages adds.
        """
        weight = by_p - 1j * by_q
        half = (response.T @ (weight[:, None] * (self.grid.admittance @ response).conj())).real
        total: FloatArray = half + half.T
        return total
