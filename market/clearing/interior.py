"""An interior-point method for the quadratic programme of one step, made for its shape.

    minimise    c'd + |W d|^2 / 2 + price's       d : how columns move
    subject to  excess + A d <= s,  s >= 0        limits, left unmet at their price
                energy_low <= G d <= energy_high  running energies
                low <= d <= high

Few limits and few directions of curvature stand against very many columns, so each Newton step is solved through the
small system of the limits and directions (Woodbury's identity): with N = D + G' Omega G, which falls apart into
envelopes, (N + C' K C)^-1 needs only (K^-1 + C N^-1 C')^-1, C = [A; W]. Predictor and corrector as Mehrotra, SIAM J.
Optim. 2 (1992) 575-601.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import splu

from market.network.model import FloatArray

_ROUNDS: Final = 60
_TOLERANCE: Final = 1e-9
_BACK: Final = 0.995  # of the way to the nearest bound
_LEAST: Final = 1e-11


@dataclass(frozen=True, eq=False)
class Quadratic:
    """The programme above, in units near one. limits : A (r, k). curvature : W (w, k). energies : G (e, k).

    price : (r,). low, high, energy_low, energy_high hold 0 between them.
    """

    cost: FloatArray
    curvature: sparse.csr_array
    limits: sparse.csr_array
    excess: FloatArray
    price: FloatArray
    energies: sparse.csr_array
    energy_low: FloatArray
    energy_high: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, eq=False)
class Optimum:
    """move : (k,). shadow : (r,) between 0 and price. energy_price : (e,) as in Multipliers. reduced : (k,) of move."""

    move: FloatArray
    shadow: FloatArray
    energy_price: FloatArray
    reduced: FloatArray


class _Barrier:
    """Pairs of a positive slack and its multiplier, (n,) each."""

    def __init__(self, slack: FloatArray, multiplier: FloatArray) -> None:
        self.slack, self.multiplier = slack, multiplier

    @property
    def weight(self) -> FloatArray:
        weight: FloatArray = self.multiplier / self.slack
        return weight

    def target(self, mu: float, slack_step: FloatArray | float = 0.0, step: FloatArray | float = 0.0) -> FloatArray:
        """What (mu - second order) / slack is, the multiplier that is aimed at."""
        aimed: FloatArray = (mu - slack_step * step) / self.slack
        return aimed


def minimise(problem: Quadratic) -> Optimum | None:
    """The optimum, to about nine digits; None where the method does not get there."""
    return _Method(problem).run()


class _Method:
    """Iterates of one programme. Columns that cannot move are left out."""

    def __init__(self, problem: Quadratic) -> None:
        self._all = problem
        self._free = np.flatnonzero(problem.high - problem.low > _LEAST)
        self._p = problem
        k = self._free
        self._c = problem.cost[k]
        self._a, self._w, self._g = (m[:, k] for m in (problem.limits, problem.curvature, problem.energies))
        self._both = sparse.vstack([self._a, self._w], format="csr")
        self._low, self._high = problem.low[k], problem.high[k]
        width = np.minimum(self._high - self._low, 1.0)
        self.d = np.clip(np.zeros(len(k)), self._low + 0.1 * width, self._high - 0.1 * width)
        scale = max(float(np.abs(self._c).max(initial=0.0)), 1e-3)
        at = self._g @ self.d
        room = np.maximum(problem.energy_high - problem.energy_low, 1e-6)
        self.e = np.clip(at, problem.energy_low + 0.1 * room, problem.energy_high - 0.1 * room)
        self.xl = _Barrier(self.d - self._low, np.full(len(k), scale))
        self.xu = _Barrier(self._high - self.d, np.full(len(k), scale))
        self.el = _Barrier(self.e - problem.energy_low, np.full(len(at), scale))
        self.eu = _Barrier(problem.energy_high - self.e, np.full(len(at), scale))
        shadow = np.minimum(0.5 * problem.price, scale / np.maximum(abs(self._a).max(axis=1).toarray().ravel(), 1e-9))
        self.shadow = np.maximum(shadow, 1e-6 * problem.price)
        over = problem.excess + self._a @ self.d
        self.s = _Barrier(np.maximum(over, 0.0) + 0.1, problem.price - self.shadow)
        self.t = _Barrier(np.maximum(-over, 0.0) + 0.1, self.shadow)
        self.y = self.el.multiplier - self.eu.multiplier  # of energy: G d = e
        self._barriers = (self.xl, self.xu, self.el, self.eu, self.s, self.t)

    def run(self) -> Optimum | None:
        count = sum(len(each.slack) for each in self._barriers)
        if len(self._free) == 0:
            return None
        scale = max(float(np.abs(self._c).max(initial=0.0)), 1.0)
        for _ in range(_ROUNDS):
            gap = sum(float(each.slack @ each.multiplier) for each in self._barriers)
            residuals = self._residuals()
            dual, row, energy = residuals
            if (
                np.abs(dual).max(initial=0.0) < _TOLERANCE * scale
                and max(np.abs(row).max(initial=0.0), np.abs(energy).max(initial=0.0)) < _TOLERANCE
                and gap / count < _TOLERANCE * scale
            ):
                return self._optimum()
            try:
                self._step(residuals, gap / count)
            except (linalg.LinAlgError, RuntimeError, ValueError):
                return None
        return self._optimum() if gap / count < 1e-6 * scale else None

    def _residuals(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of stationarity (k,), limits (r,) and energies (e,)."""
        curved = self._w.T @ (self._w @ self.d)
        dual = self._c + curved + self._a.T @ self.shadow - self._g.T @ self.y - self.xl.multiplier + self.xu.multiplier
        row = self._p.excess + self._a @ self.d - self.s.slack + self.t.slack
        return dual, row, self._g @ self.d - self.e

    def _step(self, residuals: tuple[FloatArray, FloatArray, FloatArray], mu: float) -> None:
        """One predictor and corrector."""
        system = self._factorised()
        nothing = [0.0] * len(self._barriers)
        predicted = self._direction(system, residuals, 0.0, nothing, nothing)
        length = self._longest(predicted)
        after = sum(
            float((each.slack + length[0] * ds) @ (each.multiplier + length[1] * dz))
            for each, ds, dz in zip(self._barriers, predicted[4], predicted[5], strict=True)
        ) / sum(len(each.slack) for each in self._barriers)
        centred = mu * min(1.0, (max(after, 0.0) / mu) ** 3)
        move = self._direction(system, residuals, centred, predicted[4], predicted[5])
        primal, dual = (min(1.0, _BACK * each) for each in self._longest(move))
        d, e, shadow, y, slacks, multipliers = move
        self.d, self.e = self.d + primal * d, self.e + primal * e
        self.shadow, self.y = self.shadow + dual * shadow, self.y + dual * y
        for each, ds, dz in zip(self._barriers, slacks, multipliers, strict=True):
            each.slack = np.maximum(each.slack + primal * ds, 1e-300)
            each.multiplier = np.maximum(each.multiplier + dual * dz, 1e-300)

    def _factorised(self) -> "_System":
        slack = self.t.slack / self.t.multiplier + self.s.slack / self.s.multiplier
        return _System(self.xl.weight + self.xu.weight, self.el.weight + self.eu.weight, slack, self)

    def _direction(
        self,
        system: "_System",
        residuals: tuple[FloatArray, FloatArray, FloatArray],
        mu: float,
        slack_steps: list[FloatArray] | list[float],
        steps: list[FloatArray] | list[float],
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, list[FloatArray], list[FloatArray]]:
        """Newton direction towards centrality mu: of d, e, shadow, y, slacks and multipliers."""
        dual, row, energy = residuals
        xl, xu, el, eu, s, t = (
            each.target(mu, ds, dz) for each, ds, dz in zip(self._barriers, slack_steps, steps, strict=True)
        )
        right = -dual - (self.xl.multiplier - xl) + (self.xu.multiplier - xu)
        # Energies: weight x move of e + y's move = pull. Limits: A d - slack x move of shadow = push.
        pull = el - eu - self.y
        push = -row + (s - self.s.multiplier) * self.s.slack / self.s.multiplier
        push -= (t - self.t.multiplier) * self.t.slack / self.t.multiplier
        push += self._dual_slack() * self.s.slack / self.s.multiplier
        d, shadow = system.solve(right, push, pull, energy)
        e = self._g @ d + energy
        y = pull - system.energy_weight * e
        dt_slack = (t - self.t.multiplier - shadow) * self.t.slack / self.t.multiplier
        ds_multiplier = -shadow - self._dual_slack()
        ds_slack = (s - self.s.multiplier - ds_multiplier) * self.s.slack / self.s.multiplier
        slacks = [d, -d, e, -e, ds_slack, dt_slack]
        multipliers = [
            xl - self.xl.multiplier - self.xl.weight * d,
            xu - self.xu.multiplier + self.xu.weight * d,
            el - self.el.multiplier - self.el.weight * e,
            eu - self.eu.multiplier + self.eu.weight * e,
            ds_multiplier,
            shadow,
        ]
        return d, e, shadow, y, slacks, multipliers

    def _dual_slack(self) -> FloatArray:
        """How far shadow price and multiplier of what is unmet are from adding up to the price."""
        apart: FloatArray = self.shadow + self.s.multiplier - self._p.price
        return apart

    def _longest(
        self, move: tuple[FloatArray, FloatArray, FloatArray, FloatArray, list[FloatArray], list[FloatArray]]
    ) -> tuple[float, float]:
        """Longest steps of slacks and of multipliers that keep them positive."""
        lengths = []
        for steps, of in ((move[4], "slack"), (move[5], "multiplier")):
            longest = 1.0 / _BACK
            for each, step in zip(self._barriers, steps, strict=True):
                falling = step < 0
                if falling.any():
                    longest = min(longest, float((getattr(each, of)[falling] / -step[falling]).min()))
            lengths.append(min(longest, 1.0 / _BACK))
        return lengths[0], lengths[1]

    def _optimum(self) -> Optimum:
        move = np.where(self._all.high - self._all.low > _LEAST, 0.0, self._all.low)
        move[self._free] = np.clip(self.d, self._low, self._high)
        curved = self._all.curvature.T @ (self._all.curvature @ move)
        reduced = self._all.cost + curved + self._all.limits.T @ self.shadow - self._all.energies.T @ self.y
        return Optimum(move, self.shadow, self.y, reduced)


class _System:
    """The Newton system, factorised: columns and energies are eliminated, limits and curvature remain."""

    def __init__(self, weight: FloatArray, energy_weight: FloatArray, slack: FloatArray, method: _Method) -> None:
        self._method, self.energy_weight = method, energy_weight
        self._inverse = 1.0 / np.maximum(weight, 1e-9)
        both, g = method._both, method._g
        scaled = both * self._inverse[None, :]
        rest = np.concatenate([slack, np.ones(method._w.shape[0])])
        schur = (scaled @ both.T).tocsc() + sparse.diags_array(rest, format="csc")
        self._energy = None
        if g.shape[0]:
            scaled_energy = g * self._inverse[None, :]
            inner = (scaled_energy @ g.T).tocsc() + sparse.diags_array(1.0 / energy_weight, format="csc")
            self._cross = (scaled_energy @ both.T).tocsc()
            if inner.nnz == g.shape[0]:
                reciprocal = 1.0 / inner.diagonal()
                self._energy = lambda right: (right.T * reciprocal).T
                schur = schur - self._cross.T @ (self._cross * reciprocal[:, None])
            else:
                factors = splu(inner.tocsc())
                self._energy = factors.solve
                schur = schur - sparse.csc_array(self._cross.T @ factors.solve(self._cross.toarray()))
        self._schur = _factors(schur)

    def _inner(self, right: FloatArray) -> FloatArray:
        """N^-1 right, with N = D + G' Omega G."""
        answer: FloatArray = self._inverse * right
        if self._energy is not None:
            g = self._method._g
            answer = answer - self._inverse * (g.T @ self._energy(g @ answer))
        return answer

    def solve(
        self, right: FloatArray, push: FloatArray, pull: FloatArray, energy: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Moves of columns and of shadow prices.

        N d + W'W d + A' shadow = right + G'(pull - weight energy);  A d - slack shadow = push.
        """
        method = self._method
        full = right + method._g.T @ (pull - self.energy_weight * energy)
        rows = len(push)
        d, multiplier = self._once(full, np.concatenate([push, np.zeros(method._w.shape[0])]))
        return d, multiplier[:rows]

    def _once(self, right: FloatArray, push: FloatArray) -> tuple[FloatArray, FloatArray]:
        """N d + C' m = right;  C d - rest m = push."""
        both = self._method._both
        m = self._schur(both @ self._inner(right) - push)
        return self._inner(right - both.T @ m), m


def _factors(schur: sparse.csc_array):  # type: ignore[no-untyped-def]
    """A solver of a symmetric positive definite matrix."""
    size = schur.shape[0]
    if schur.nnz > 0.1 * size * size or size < 50:
        factors = linalg.cho_factor(schur.toarray() + 0.0, lower=True, check_finite=False)
        return lambda right: linalg.cho_solve(factors, right, check_finite=False)
    lu = splu(schur.tocsc())
    return lu.solve
