"""Equations of a plan about one vehicle at a time: energy, battery, shortfall and signals; see `model`."""

from functools import cached_property
from typing import Final
from zlib import crc32

import numpy as np

from aggregator_agents.fleet import LEAST_FED_A, FloatArray
from aggregator_agents.planning.amps import kept_on
from aggregator_agents.planning.problem import Problem
from aggregator_agents.planning.program import IntArray, Program, Term
from aggregator_agents.planning.terms import BoolArray

_K: Final = 1e-3
_BELOW_FLOOR_EUR_PER_MWH_HOUR: Final = 2000.0
"""To be below the driver's floor; it only decides who is lifted to it first."""


class Vehicles:
    """The programme of a problem with the variables and equations of its vehicles.

    x, at : position of every charging current; i, t : its session and step; at (session, step) is -1 where there is
    none. y, y_at, j, v : the same of discharging currents. who, when : keys of sessions and steps.
    """

    def __init__(self, problem: Problem) -> None:
        """Adds what concerns one vehicle at a time."""
        self.problem = problem
        self.program = Program()
        # Keys of sessions and steps: entities far apart, minutes since the epoch in between.
        self.who = np.array([crc32(each.id.encode()) for each in problem.sessions], dtype=np.int64) << 20
        start = round(problem.grid.start.timestamp() / 60)
        self.when = (start + np.rint(60 * problem.grid.edges_h[:-1]).astype(np.int64)) % 100_000 * 8
        self._add_charging()
        self._add_discharging()
        self._add_shortfall()
        self._add_energy()
        self._add_batteries()
        self._add_signals()

    def currents(self, values: FloatArray, *, whole: bool) -> tuple[FloatArray, FloatArray]:
        """(session, step) charging and discharging current [A] of a solution; whole : those that are to be."""
        charging_a, feeding_a = np.zeros(self.at.shape), np.zeros(self.at.shape)
        charging_a[self.i, self.t] = np.maximum(values[self.x], 0.0)
        feeding_a[self.j, self.v] = np.maximum(values[self.y], 0.0)
        here = self.problem.present & whole
        charging_a[here, 0] = np.rint(charging_a[here, 0])
        feeding_a[here, 0] = np.rint(feeding_a[here, 0])
        return charging_a, feeding_a

    def _key(self, i: IntArray | int, t: IntArray) -> IntArray:
        return self.who[i] + self.when[t]

    def first(self, charging_a: FloatArray, feeding_a: FloatArray) -> tuple[IntArray, FloatArray]:
        """Variables of the first signals, and their values for some currents of the first step, (session,) each [A]."""
        columns = np.concatenate([self.at[self.z_of, 0], self.z, self.y_at[self.back_of, 0], self.back])
        x, y = charging_a[self.z_of], feeding_a[self.back_of]
        return columns, np.concatenate([x, x > 0, y, y > 0])

    @cached_property
    def kwh(self) -> FloatArray:
        """(session, step) energy of an amp [kWh]."""
        energy: FloatArray = _K * self.problem.amp_wh
        return energy

    @cached_property
    def open(self) -> BoolArray:
        """(session, step) where a vehicle can take energy."""
        takes = self.problem.takes_wh[:, None] > 0
        lasting: BoolArray = (self.problem.share > 0) & (takes | self.problem.feeds_back[:, None])
        return lasting

    def _add_charging(self) -> None:
        """X: current of a vehicle where it is plugged in, at the price of energy and of having waited for it."""
        problem = self.problem
        self.i, self.t = np.nonzero(self.open)
        self.at = np.full(self.open.shape, -1)
        cost = ((problem.energy_eur_per_mwh + problem.hurry_eur_per_mwh) * self.kwh)[self.i, self.t]
        can = np.where(self.kwh[self.i, self.t] > 0, problem.max_a[self.i], 0.0)
        self.at[self.i, self.t] = self.x = self.program.columns("x", self._key(self.i, self.t), cost=cost, high=can)

    def _add_discharging(self) -> None:
        """Y: current that is fed back: it saves what energy costs, and wears the battery; not now below the floor."""
        problem = self.problem
        can_a = np.array(
            [min(each.vehicle.discharge_a, most) for each, most in zip(problem.sessions, problem.max_a, strict=True)]
        )
        above = np.array([each.stored_wh > each.floor_wh for each in problem.sessions], dtype=np.bool_)
        feeds = self.open & (can_a > 0)[:, None]
        feeds[:, 0] &= above
        self.j, self.v = np.nonzero(feeds)
        self.out_wh = problem.watts_per_amp[:, None] * problem.share * problem.grid.length_h
        earns = problem.value.wear_eur_per_mwh - problem.prices.buy_eur_per_mwh
        cost = earns[self.v] * _K * self.out_wh[self.j, self.v]
        self.y = self.program.columns("y", self._key(self.j, self.v), cost=cost, high=can_a[self.j])
        self.y_at = np.full(self.open.shape, -1)
        self.y_at[self.j, self.v] = self.y

    def _add_shortfall(self) -> None:
        """S: what a driver does not get, in parts of rising price; see Problem.missing_eur_per_mwh."""
        high, cost = _K * self.problem.missing_wh, self.problem.missing_eur_per_mwh
        key = self.who[:, None] + np.arange(high.shape[1])
        self.s = self.program.columns("s", key.ravel(), cost=cost.ravel(), high=high.ravel()).reshape(high.shape)

    def _add_energy(self) -> None:
        """Sum_t k x + sum_g s = wanted, for vehicles that only charge."""
        problem = self.problem
        only = ~problem.feeds_back
        number, parts = np.cumsum(only) - 1, self.s[0].size
        mine = only[self.i]
        charged: Term = (number[self.i[mine]], self.x[mine], self.kwh[self.i, self.t][mine])
        missing: Term = (np.repeat(number[only], parts), self.s[only].ravel(), 1.0)
        wanted = _K * problem.wanted_wh[only]
        self.program.rows("energy", self.who[only], charged, missing, low=wanted, high=wanted)

    def _add_batteries(self) -> None:
        """What is stored after every step, between the driver's floor and what the battery holds, and enough at last.

        Who comes with less than the floor is lifted to it as soon as possible, and feeds nothing back before.
        """
        problem, program = self.problem, self.program
        self.b = np.full(self.open.shape, -1)
        for i in np.flatnonzero(problem.feeds_back).tolist():
            session, steps = problem.sessions[i], np.flatnonzero(self.open[i])
            count = len(steps)
            stored, floor = _K * session.stored_wh, _K * session.floor_wh
            full, efficiency = _K * problem.capacity_wh[i], session.vehicle.efficiency
            least = min(stored, floor, full)
            own = self.b[i, steps] = program.columns("b", self._key(i, steps), low=least, high=full)
            row, first = np.arange(count), np.zeros(count)
            first[:1] = stored
            y = self.y_at[i, steps]
            feeding = y >= 0
            after: Term = (row, own, 1.0)
            before: Term = (row[1:], own[:-1], -1.0)
            charged: Term = (row, self.at[i, steps], -efficiency * self.kwh[i, steps])
            fed: Term = (row[feeding], y[feeding], _K * self.out_wh[i, steps][feeding] / efficiency)
            program.rows("battery", self._key(i, steps), after, before, charged, fed, low=first, high=first)
            if floor > least:
                hours = problem.grid.length_h[steps]
                below = program.columns(
                    "below", self._key(i, steps), cost=_BELOW_FLOOR_EUR_PER_MWH_HOUR * hours, high=floor - least
                )
                program.rows("floor", self._key(i, steps), after, (row, below, 1.0), low=min(floor, full))
            wanted = _K * problem.target_wh[i]
            enough: Term = (np.zeros_like(self.s[i]), self.s[i], efficiency)
            if count:
                program.rows("enough", self.who[[i]], (np.zeros(1, dtype=np.int64), own[-1:], 1.0), enough, low=wanted)
            else:
                program.rows("enough", self.who[[i]], enough, low=wanted - stored)

    def _add_signals(self) -> None:
        """The first step: 0, or whole amps from I_min to I_max; never both ways; kappa (1 - z) for who is on.

        z = 1 for who was stopped before and is on again, see `kept_on`.
        """
        problem, program = self.problem, self.program
        self.z_of = np.flatnonzero(problem.present & (self.at[:, 0] >= 0))
        kappa = 1e3 * problem.value.switching_eur
        on = problem.signal_a[self.z_of] > 0
        kept = kept_on(problem)[self.z_of].astype(np.float64)
        self.z = program.columns("z", self.who[self.z_of], cost=np.where(on, -kappa, 0.0), low=kept, high=1.0)
        row, x = np.arange(len(self.z_of)), self.at[self.z_of, 0]
        program.rows("least", self.who[self.z_of], (row, x, 1.0), (row, self.z, -problem.min_a[self.z_of]), low=0.0)
        program.rows("most", self.who[self.z_of], (row, x, 1.0), (row, self.z, -problem.max_a[self.z_of]), high=0.0)
        program.whole(self.z)
        program.whole(x)
        feeding = self.y_at[self.z_of, 0] >= 0
        y = self.y_at[self.z_of[feeding], 0]
        vehicles = [problem.sessions[i].vehicle for i in self.z_of[feeding].tolist()]
        most = np.array([min(each.discharge_a, 1000) for each in vehicles], dtype=np.float64)
        least = np.full(len(vehicles), float(LEAST_FED_A))
        back_on = problem.signal_a[self.z_of[feeding]] < 0
        self.back_of = self.z_of[feeding]
        who = self.who[self.back_of]
        self.back = back = program.columns("back", who, cost=np.where(back_on, -kappa, 0.0), high=1.0)
        row = np.arange(len(y))
        program.rows("back least", who, (row, y, 1.0), (row, back, -least), low=0.0)
        program.rows("back most", who, (row, y, 1.0), (row, back, -most), high=0.0)
        program.rows("one way", who, (row, self.z[feeding], 1.0), (row, back, 1.0), high=1.0)
        program.whole(back)
        program.whole(y)
