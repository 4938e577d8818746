"""An interior-point method for the quadratic programme of one step, made for its shape.

    minimise    c'd + |W d|^2 / 2 + near |d|^2 / 2 + price's       d : how columns move
    subject to  excess + A d <= s,  s >= 0        limits, left unmet at their price
                energy_low <= G d <= energy_high  running energies
                low <= d <= high

Small programmes solve each Newton step as a whole. In large ones few limits and few directions of curvature stand
against very many columns, so that the small system of limits and directions is enough (Woodbury's identity): with
N = D + G' Omega G, which falls apart into envelopes, (N + C' K C)^-1 needs only (K^-1 + C N^-1 C')^-1, C = [A; W]; that
loses digits where columns come close to their optimum, so it stops earlier. Predictor and corrector as Mehrotra, SIAM
J. Optim. 2 (1992) 575-601.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import splu

from market.network.model import FloatArray

_ROUNDS: Final = 60
_TOLERANCE: Final = 1e-9
_ROUGH: Final = 2e-10
_USEFUL: Final = 1e-4  # what still tells which bounds hold
_STALLED: Final = 8  # rounds without progress
_SHORT: Final = 0.1
_REGULAR: Final = 1e-9  # least weight of a column: flat directions are walked slowly, not blindly
_WHOLE: Final = 3_000  # unknowns of a Newton system that is solved as a whole
_BACK: Final = 0.995  # of the way to the nearest bound
_LEAST: Final = 1e-11
_CORRECTED: Final = 100.0  # second-order corrections are trusted up to this many times the centrality aimed at


@dataclass(frozen=True, eq=False)
class Quadratic:
    """The programme above, in units near one. limits : A (r, k). curvature : W (w, k). energies : G (e, k).

    near : keeps where they are what neither cost nor curvature move. price : (r,). low to high, and
    energy_low to energy_high, hold 0 between them.
    """

    cost: FloatArray
    near: float
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
        aimed: FloatArray = (mu - np.clip(slack_step * step, -_CORRECTED * mu, _CORRECTED * mu)) / self.slack
        return aimed


def minimise(problem: Quadratic) -> Optimum | None:
    """The optimum, to about nine digits; None where the method does not get there."""
    # What overflows is seen and given up; there is nothing to warn of.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
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
        self.whole = len(k) + self._both.shape[0] + self._g.shape[0] <= _WHOLE
        self._low, self._high = problem.low[k], problem.high[k]
        scale = max(float(np.abs(self._c).max(initial=0.0)), 1e-3)
        mu = 0.1 * scale  # what every slack times its multiplier is at first

        def middle(low: FloatArray, high: FloatArray, near: FloatArray) -> FloatArray:
            margin = np.minimum(0.25 * (high - low), 0.25)
            inside: FloatArray = np.clip(near, low + margin, high - margin)
            return inside

        self.d = middle(self._low, self._high, np.zeros(len(k)))
        self.e = middle(problem.energy_low, problem.energy_high, self._g @ self.d)
        self.xl, self.xu = (_Barrier(each, mu / each) for each in (self.d - self._low, self._high - self.d))
        room = self.e - problem.energy_low, problem.energy_high - self.e
        self.el, self.eu = (_Barrier(each, mu / each) for each in room)
        steepest = np.maximum(abs(self._a).max(axis=1).toarray().ravel(), 1e-9)
        self.shadow = np.minimum(0.5 * problem.price, scale / steepest)
        self.s = _Barrier(mu / (problem.price - self.shadow), problem.price - self.shadow)
        self.t = _Barrier(mu / self.shadow, self.shadow)
        self.y = self.el.multiplier - self.eu.multiplier  # of energy: G d = e
        self._barriers = (self.xl, self.xu, self.el, self.eu, self.s, self.t)

    def run(self) -> Optimum | None:
        count = sum(len(each.slack) for each in self._barriers)
        if len(self._free) == 0:
            return None
        scale = max(float(np.abs(self._c).max(initial=0.0)), 1.0)
        enough = _TOLERANCE if self.whole else _ROUGH
        best, worst, since = np.inf, np.inf, 0
        for _ in range(_ROUNDS):
            gap = sum(float(each.slack @ each.multiplier) for each in self._barriers) / count
            residuals = self._residuals()
            dual, row, energy = (float(np.abs(each).max(initial=0.0)) for each in residuals)
            if not np.isfinite(gap + dual + row + energy):
                return None
            if gap < enough * scale and dual < 10 * enough * scale and max(row, energy) < enough:
                return self._optimum()
            worst = max(gap / scale, dual / scale, row, energy)
            if worst < 0.5 * best:
                best, since = worst, 0
            else:
                since += 1
            if since > _STALLED:
                break
            try:
                self._step(residuals, gap)
            except (linalg.LinAlgError, RuntimeError):
                break
        return self._optimum() if worst < _USEFUL else None

    def _residuals(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of stationarity (k,), limits (r,) and energies (e,)."""
        curved = self._w.T @ (self._w @ self.d) + self._p.near * self.d
        dual = self._c + curved + self._a.T @ self.shadow - self._g.T @ self.y - self.xl.multiplier + self.xu.multiplier
        row = self._p.excess + self._a @ self.d - self.s.slack + self.t.slack
        return dual, row, self._g @ self.d - self.e

    def _step(self, residuals: tuple[FloatArray, FloatArray, FloatArray], mu: float) -> None:
        """One predictor and corrector."""
        system = self._factorised()
        nothing = [0.0] * len(self._barriers)
        predicted = self._direction(system, residuals, 0.0, nothing, nothing)
        length = min(self._longest(predicted))
        after = sum(
            float((each.slack + length * ds) @ (each.multiplier + length * dz))
            for each, ds, dz in zip(self._barriers, predicted[4], predicted[5], strict=True)
        ) / sum(len(each.slack) for each in self._barriers)
        centred = mu * min(1.0, (max(after, 0.0) / mu) ** 3)
        move = self._direction(system, residuals, centred, predicted[4], predicted[5])
        # One length for both: where the cost curves, stationarity ties multipliers to moves.
        along = min(1.0, _BACK * min(self._longest(move)))
        if along < _SHORT:
            # Stuck in a corner: back towards the middle first.
            move = self._direction(system, residuals, mu, nothing, nothing)
            along = min(1.0, _BACK * min(self._longest(move)))
        d, e, shadow, y, slacks, multipliers = move
        self.d, self.e = self.d + along * d, self.e + along * e
        self.shadow, self.y = self.shadow + along * shadow, self.y + along * y
        for each, ds, dz in zip(self._barriers, slacks, multipliers, strict=True):
            each.slack = each.slack + along * ds
            each.multiplier = each.multiplier + along * dz

    def _factorised(self) -> "_Whole | _Reduced":
        slack = self.t.slack / self.t.multiplier + self.s.slack / self.s.multiplier
        kind = _Whole if self.whole else _Reduced
        weights = self.xl.weight + self.xu.weight + self._p.near, self.el.weight + self.eu.weight
        return kind(*weights, np.concatenate([slack, np.ones(self._w.shape[0])]), self._both, self._g)

    def _direction(
        self,
        system: "_Whole | _Reduced",
        residuals: tuple[FloatArray, FloatArray, FloatArray],
        mu: float,
        slack_steps: Sequence[FloatArray | float],
        steps: Sequence[FloatArray | float],
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
        d, shadow, y = system.solve(right, push, pull, energy)
        e = (pull - y) / (self.el.weight + self.eu.weight)
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
        curved = self._all.curvature.T @ (self._all.curvature @ move) + self._all.near * move
        reduced = self._all.cost + curved + self._all.limits.T @ self.shadow - self._all.energies.T @ self.y
        return Optimum(move, self.shadow, self.y, reduced)


class _Whole:
    """The Newton system as it stands, factorised: symmetric and quasi-definite."""

    def __init__(
        self,
        weight: FloatArray,
        energy_weight: FloatArray,
        rest: FloatArray,
        both: sparse.csr_array,
        energies: sparse.csr_array,
    ) -> None:
        self._energy_weight, self._rest = energy_weight, len(rest)
        corner = -np.maximum(np.concatenate([rest, 1.0 / energy_weight]), _REGULAR)
        across = sparse.vstack([both, energies], format="csr")
        own = sparse.diags_array(np.maximum(weight, _REGULAR))
        matrix = sparse.block_array([[own, across.T], [across, sparse.diags_array(corner)]], format="csc")
        self._factors = splu(matrix)

    def solve(
        self, right: FloatArray, push: FloatArray, pull: FloatArray, energy: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Moves of columns (k,), of shadow prices (r,) and of energy prices (e,).

        D d + W'W d + A' shadow - G' y = right;  A d - slack shadow = push;  G d + y / weight = pull / weight - energy.
        """
        k, rest = len(right), self._rest
        directions = np.zeros(rest - len(push))
        answer = self._factors.solve(np.concatenate([right, push, directions, pull / self._energy_weight - energy]))
        return answer[:k], answer[k : k + len(push)], -answer[k + rest :]


class _Reduced:
    """The same, with columns and energies eliminated: limits and directions of curvature remain."""

    def __init__(
        self,
        weight: FloatArray,
        energy_weight: FloatArray,
        rest: FloatArray,
        both: sparse.csr_array,
        energies: sparse.csr_array,
    ) -> None:
        self._energy_weight, self._both, self._g = energy_weight, both, energies
        self._inverse = 1.0 / np.maximum(weight, _REGULAR)
        schur = ((both * self._inverse[None, :]) @ both.T).toarray()
        schur[np.diag_indices(len(rest))] += rest
        self._energy = None
        if energies.shape[0]:
            scaled = energies * self._inverse[None, :]
            inner = (scaled @ energies.T).tocsc() + sparse.diags_array(1.0 / energy_weight, format="csc")
            self._energy = splu(inner.tocsc()).solve
            cross = (scaled @ both.T).toarray()
            if inner.nnz == energies.shape[0]:
                cross *= np.sqrt(1.0 / inner.diagonal())[:, None]
                schur -= cross.T @ cross
            else:
                schur -= cross.T @ self._energy(cross)
        self._schur = linalg.lu_factor(schur, check_finite=False)

    def _inner(self, right: FloatArray, at: FloatArray | float) -> tuple[FloatArray, FloatArray]:
        """Moves of columns and of energy prices alone: D d - G' y = right;  G d + y / weight = at."""
        free = self._inverse * right
        if self._energy is None:
            return free, np.zeros(0)
        y = self._energy(at - self._g @ free)
        return free + self._inverse * (self._g.T @ y), y

    def solve(
        self, right: FloatArray, push: FloatArray, pull: FloatArray, energy: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """As _Whole.solve."""
        at = pull / self._energy_weight - energy
        aim = np.concatenate([push, np.zeros(self._both.shape[0] - len(push))])
        m = linalg.lu_solve(self._schur, self._both @ self._inner(right, at)[0] - aim, check_finite=False)
        d, y = self._inner(right - self._both.T @ m, at)
        return d, m[: len(push)], y
