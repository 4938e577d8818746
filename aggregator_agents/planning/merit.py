"""Plans of vehicles that share nothing, without a solver: energy is taken in the order of its price.

Where one vehicle at a time is at the site and its fuse carries whatever that one draws, no equation of `model` ties two
vehicles, and only `energy` ties two steps. What is left is a continuous knapsack for each vehicle,

    minimise sum_t f_t(k_t x_t) + sum_g c_g s_g   with   sum_t k_t x_t + sum_g s_g = wanted,  0 <= x_t <= I_max

with convex piecewise linear f_t: the price of energy and waiting, and what export, corridor and signal add to it.
Pieces in the order of their prices solve it (Dantzig 1957, Operations Research 5:266).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.planning.amps import kept_on
from aggregator_agents.planning.problem import Problem
from aggregator_agents.planning.program import IntArray
from aggregator_agents.planning.terms import BoolArray

_K: Final = 1e-3
_FAR_KWH: Final = 1e9
_WHOLE: Final = 1e-6


@dataclass(frozen=True, eq=False)
class _Bends:
    """Where the price of energy in a step changes, (bend, step) each: at edge_kwh from `below` to `above`, which rises.

    Both come on top of what the energy itself costs [EUR/MWh].
    """

    edge_kwh: FloatArray
    below: FloatArray
    above: FloatArray

    @property
    def without(self) -> float:
        """What they cost where no energy is taken at all [EUR / 1000]."""
        return float((self.above * np.maximum(-self.edge_kwh, 0) - self.below * np.maximum(self.edge_kwh, 0)).sum())


@dataclass(frozen=True, eq=False)
class _Pieces:
    """What one vehicle can take, or go without, as pieces of energy in the order of their prices; (piece,) each.

    step : in which it is taken; after the last one for what is missed.
    """

    step: IntArray
    width_kwh: FloatArray
    price_eur_per_mwh: FloatArray

    def cheapest(self, wanted_kwh: float, steps: int) -> tuple[FloatArray, float]:
        """(step,) energy taken [kWh], and what it and missing the rest cost [EUR / 1000]."""
        before_kwh = np.cumsum(self.width_kwh) - self.width_kwh
        taken_kwh = np.clip(wanted_kwh - before_kwh, 0.0, self.width_kwh)
        energy_kwh = np.bincount(self.step, taken_kwh, minlength=steps + 1)[:steps].astype(np.float64)
        return energy_kwh, float(self.price_eur_per_mwh @ taken_kwh)

    def only(self, chosen: BoolArray) -> "_Pieces":
        """Those that are chosen."""
        return _Pieces(self.step[chosen], self.width_kwh[chosen], self.price_eur_per_mwh[chosen])


@dataclass(frozen=True, eq=False)
class MeritOrder:
    """A problem whose vehicles share nothing. open : (session, step) where each can take energy.

    Currents are (session, step) [A]; costs are those of the programme of `model` [EUR / 1000].
    """

    problem: Problem
    open: BoolArray

    @classmethod
    def of(cls, problem: Problem) -> Self | None:
        """None where more ties vehicles or steps than what one vehicle wants, and where one must be kept on."""
        if problem.peaks or problem.feeds_back.any() or (problem.min_a > problem.max_a).any():
            return None
        if kept_on(problem).any():
            return None
        open = (problem.share > 0) & (problem.takes_wh[:, None] > 0)
        if (open.sum(axis=0) > 1).any():
            return None
        # No row of `supply` can bind: beside this vehicle all other chargers fall back to what is safe.
        safe_a, room_a = float(problem.site.floor_a), problem.room_a.min(axis=0)
        spare_a, most_a = room_a - safe_a * len(problem.site.chargers), problem.max_a[:, None]
        fits = (most_a - safe_a <= np.maximum(spare_a, 0.0)) & ((most_a <= room_a) | (spare_a >= 0))
        return cls(problem, open) if fits[open].all() else None

    def relaxed(self) -> tuple[FloatArray, float]:
        """The cheapest currents, whole or not, and what they cost."""
        return self._cheapest({})

    def signalled(self, first_a: FloatArray) -> tuple[FloatArray, float]:
        """The same once the first signal of who is plugged in is decided. first_a : (session,)."""
        return self._cheapest({i: float(first_a[i]) for i in self._plugged_in})

    def whole(self) -> FloatArray:
        """The cheapest currents with a first signal of 0 or whole amps for who is plugged in; of equals the higher."""
        problem, first_a = self.problem, dict[int, float]()
        for i in self._plugged_in:
            most_a = min(problem.max_a[i], problem.wanted_wh[i] / problem.amp_wh[i, 0])
            costs = {a: self._fill(i, a)[1] for a in (0.0, *np.arange(problem.min_a[i], most_a + _WHOLE).tolist())}
            first_a[i] = min(costs, key=lambda amps: (costs[amps], -amps))
        return self._cheapest(first_a)[0]

    @cached_property
    def _plugged_in(self) -> list[int]:
        found: list[int] = np.flatnonzero(self.problem.present & self.open[:, 0]).tolist()
        return found

    def _cheapest(self, first_a: dict[int, float]) -> tuple[FloatArray, float]:
        found = [self._fill(i, first_a.get(i)) for i in range(len(self.open))]
        return np.array([amps for amps, _ in found]), self._bends.without + sum(cost for _, cost in found)

    def _fill(self, i: int, first_a: float | None) -> tuple[FloatArray, float]:
        """(step,) currents of one vehicle [A], and what they cost beside its going without any."""
        pieces, wanted_kwh, steps = self._pieces[i], _K * self.problem.wanted_wh[i], self.open.shape[1]
        amp_kwh = np.where(self.open[i], _K * self.problem.amp_wh[i], 1.0)
        if first_a is None:
            energy_kwh, cost = pieces.cheapest(wanted_kwh, steps)
            return energy_kwh / amp_kwh, cost
        now = pieces.step == 0
        energy_kwh, cost = pieces.only(~now).cheapest(wanted_kwh - first_a * amp_kwh[0], steps)
        amps: FloatArray = energy_kwh / amp_kwh
        amps[0] = first_a
        return amps, cost + pieces.only(now).cheapest(first_a * amp_kwh[0], steps)[1]

    @cached_property
    def _bends(self) -> _Bends:
        """Of the connection: what is not fed in, and what was sold."""
        problem, hours = self.problem, self.problem.grid.length_h
        other_kwh, zero, found = _K * problem.other_w * hours, np.zeros_like(hours), list[tuple[FloatArray, ...]]()
        if (other_kwh < 0).any():
            margin = np.maximum(problem.prices.buy_eur_per_mwh - problem.prices.sell_eur_per_mwh, 0.0)
            found.append((-other_kwh, -margin, zero))
        if (sold := problem.corridor) is not None:
            found.append((_K * sold.floor_w * hours - other_kwh, -sold.missed_eur_per_mwh, zero))
            found.append((_K * sold.ceiling_w * hours - other_kwh, zero, sold.missed_eur_per_mwh))
        edge, below, above = np.array(found).reshape(-1, 3, len(hours)).swapaxes(0, 1)
        return _Bends(np.clip(edge, -_FAR_KWH, _FAR_KWH), below, above)

    @cached_property
    def _pieces(self) -> list[_Pieces]:
        return [self._pieces_of(i) for i in range(len(self.open))]

    def _bends_of(self, i: int, steps: IntArray) -> _Bends:
        """Of one vehicle in its steps; a signal that stays on saves what to stop costs, up to its least current."""
        shared, problem = self._bends, self.problem
        edge, below, above = shared.edge_kwh[:, steps], shared.below[:, steps], shared.above[:, steps]
        if i in self._plugged_in and problem.signal_a[i] > 0:
            least_kwh = _K * problem.min_a[i] * problem.amp_wh[i, 0]
            now = steps == 0
            edge = np.vstack([edge, np.where(now, least_kwh, 0.0)])
            below = np.vstack([below, np.where(now, -1e3 * problem.value.switching_eur / least_kwh, 0.0)])
            above = np.vstack([above, np.zeros(len(steps))])
        return _Bends(edge, below, above)

    def _pieces_of(self, i: int) -> _Pieces:
        """The energy of every step, cut where its price rises, and what its driver may miss."""
        problem, steps = self.problem, np.flatnonzero(self.open[i])
        bends, most_kwh = self._bends_of(i, steps), _K * problem.max_a[i] * problem.amp_wh[i, steps]
        edges = np.vstack([np.zeros(len(steps)), np.clip(bends.edge_kwh, 0.0, most_kwh), most_kwh])
        edges.sort(axis=0)
        middle_kwh = (edges[1:] + edges[:-1]) / 2
        passed = middle_kwh[:, None] > bends.edge_kwh
        base = (problem.energy_eur_per_mwh + problem.hurry_eur_per_mwh)[i, steps]
        price = base + np.where(passed, bends.above, bends.below).sum(axis=1)
        missed, count = problem.missing_wh[i], self.open.shape[1]
        step = np.concatenate([np.tile(steps, len(price)), np.full(len(missed), count)])
        width_kwh = np.concatenate([np.diff(edges, axis=0).ravel(), _K * missed])
        prices = np.concatenate([price.ravel(), problem.missing_eur_per_mwh[i]])
        order = np.argsort(prices, kind="stable")
        return _Pieces(step[order], width_kwh[order], prices[order])
