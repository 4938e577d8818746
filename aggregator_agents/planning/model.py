"""The model of a plan: one function per family of equations.

    minimise    sum_it (buy_t + waiting_it) k_it x_it - sum_it (buy_t - wear) k_it y_it + sum_t (buy_t - sell_t) e_t h_t
                + sum_ig c_g s_ig + sum_t missed_t u_t h_t + sum_k peak_k m_k + kappa sum_i on (1 - z_i)
    energy i    sum_t k_it x_it + sum_g s_ig = wanted_i                                           that only charges
    battery it  b_it = b_i,t-1 + eta k_it x_it - k_it y_it / eta,  floor_i <= b_it <= capacity_i  that feeds back, too
                b_i at departure >= stored_i + eta (wanted_i - sum_g s_ig); less than stored where its driver wants less
    phase ft    sum_i a_if x_it <= fuse - margin - other_ft
    contact ft  sum_c w_cft <= fuse - margin - other_ft - chargers x safe
    charger cft sum_i in c a_if x_it <= min(charger, safe + w_cft)
    feed ft     sum_i a_if y_it <= what the fuse and the connection let out
    power t     p_t = sum_i k_it (x_it - y_it) / h_t + other_t
    corridor t  floor_t - u_t <= p_t <= ceiling_t + u_t
    export t    e_t >= -p_t,  e_t >= 0
    peak k, t   m_k >= p_t,  m_k >= highest until now
    signal i    I_min z_i <= x_i0 <= I_max z_i, whole amps                                        plugged in now
    bounds      0 <= x_it <= I_max, 0 <= y_it <= discharge_i, where i is plugged in, 0 elsewhere

x, y [A] charging and discharging current per phase of session i in step t while it is plugged in; k [Wh/A] energy of an
amp in that step; s [Wh] what the driver does not get, in parts that cost more and more; b [Wh] stored; w [A] what a
charger draws above what it falls back to without contact: see Site.spare_a; p [W] at the connection, of which e is fed
in; u [W] how far that is outside of what was sold; m [W] the highest import; z whether the first signal is on; a_if
whether i counts on phase f; h length of a step [h].

No limit of charging counts on what somebody feeds back or on PV, and no limit of feeding back on what somebody draws:
either can end sooner than a lease. Within, amps, kW, kWh and thousandths of a euro, which keeps numbers near one.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from zlib import crc32

import numpy as np

from aggregator_agents.fleet import LEAST_FED_A, FloatArray
from aggregator_agents.planning.problem import BoolArray, Problem
from aggregator_agents.planning.program import IntArray, Program, Term

_K: Final = 1e-3
_BELOW_FLOOR_EUR_PER_MWH_HOUR: Final = 2000.0
"""To be below the driver's floor; it only decides who is lifted to it first."""


@dataclass(frozen=True, eq=False)
class Branches:
    """The phases of chargers that vehicles use, one branch where the same vehicles use several phases.

    charger_a : (branch,) limit [A]. members : (branch, session). phases : (branch, phase).
    """

    charger_a: FloatArray
    number: IntArray
    members: BoolArray
    phases: BoolArray

    @classmethod
    def of(cls, problem: Problem) -> "Branches":
        """Those of a problem, in the order of the site's chargers."""
        at = defaultdict[str, list[int]](list)
        for i, session in enumerate(problem.sessions):
            at[problem.site.charger_of(session.plug).id].append(i)
        found = list[tuple[float, int, list[int], list[int]]]()
        for c, charger in enumerate(problem.site.chargers):
            sharing = defaultdict[tuple[int, ...], list[int]](list)
            for phase in range(3):
                using = tuple(i for i in at[charger.id] if problem.uses[i, phase])
                sharing[using].append(phase)
            found += [(charger.max_a, 3 * c + phases[0], list(who), phases) for who, phases in sharing.items() if who]
        members = np.zeros((len(found), len(problem.sessions)), dtype=np.bool_)
        phases = np.zeros((len(found), 3), dtype=np.bool_)
        for b, (_, _, who, on) in enumerate(found):
            members[b, who] = True
            phases[b, on] = True
        return cls(
            np.array([each[0] for each in found], dtype=np.float64),
            np.array([each[1] for each in found], dtype=np.int64),
            members,
            phases,
        )


class PlanModel:
    """The programme of a problem, and what its variables mean."""

    def __init__(self, problem: Problem) -> None:
        """Adds every family of equations; the shapes are those of the module's equations."""
        self.problem = problem
        self.program = Program()
        # Keys of sessions and steps: entities far apart, minutes since the epoch in between.
        self._who = np.array([crc32(each.id.encode()) for each in problem.sessions], dtype=np.int64) << 20
        start = round(problem.grid.start.timestamp() / 60)
        self._when = (start + np.rint(60 * problem.grid.edges_h[:-1]).astype(np.int64)) % 100_000 * 8
        self._add_charging()
        self._add_discharging()
        self._add_shortfall()
        self._add_energy()
        self._add_batteries()
        self._add_supply()
        self._add_feeding()
        self._add_power()
        self._add_signals()

    def currents(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(session, step) charging and discharging current [A] of a solution; whole where they are to be."""
        charging_a, feeding_a = np.zeros(self.at.shape), np.zeros(self.at.shape)
        charging_a[self.i, self.t] = np.maximum(values[self.x], 0.0)
        feeding_a[self.j, self.v] = np.maximum(values[self.y], 0.0)
        here = self.problem.present
        charging_a[here, 0] = np.rint(charging_a[here, 0])
        feeding_a[here, 0] = np.rint(feeding_a[here, 0])
        return charging_a, feeding_a

    def _key(self, i: IntArray | int, t: IntArray) -> IntArray:
        return self._who[i] + self._when[t]

    def _branch_key(self, branches: Branches, b: IntArray, t: IntArray) -> IntArray:
        return (branches.number[b] << 20) + self._when[t]

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
    def _open(self) -> BoolArray:
        """(session, step) where a vehicle can take energy."""
        takes = self.problem.takes_wh[:, None] > 0
        lasting: BoolArray = (self.problem.share > 0) & (takes | self.problem.feeds_back[:, None])
        return lasting

    def _add_charging(self) -> None:
        """X: current of a vehicle where it is plugged in, at the price of energy and of having waited for it."""
        problem = self.problem
        self.i, self.t = np.nonzero(self._open)
        self.at = np.full(self._open.shape, -1)
        cost = (problem.energy_eur_per_mwh * self.kwh)[self.i, self.t]
        can = np.where(self.kwh[self.i, self.t] > 0, problem.max_a[self.i], 0.0)
        self.at[self.i, self.t] = self.x = self.program.columns("x", self._key(self.i, self.t), cost=cost, high=can)

    def _add_discharging(self) -> None:
        """Y: current that is fed back: it saves what energy costs, and wears the battery; not now below the floor."""
        problem = self.problem
        can_a = np.array(
            [min(each.vehicle.discharge_a, most) for each, most in zip(problem.sessions, problem.max_a, strict=True)]
        )
        above = np.array([each.stored_wh > each.floor_wh for each in problem.sessions], dtype=np.bool_)
        feeds = self._open & (can_a > 0)[:, None]
        feeds[:, 0] &= above
        self.j, self.v = np.nonzero(feeds)
        self.out_wh = problem.watts_per_amp[:, None] * problem.share * problem.grid.length_h
        earns = problem.value.wear_eur_per_mwh - problem.prices.buy_eur_per_mwh
        cost = earns[self.v] * _K * self.out_wh[self.j, self.v]
        self.y = self.program.columns("y", self._key(self.j, self.v), cost=cost, high=can_a[self.j])
        self.y_at = np.full(self._open.shape, -1)
        self.y_at[self.j, self.v] = self.y

    def _add_shortfall(self) -> None:
        """S: what a driver does not get, in parts of rising price; see Problem.missing_eur_per_mwh."""
        high, cost = _K * self.problem.missing_wh, self.problem.missing_eur_per_mwh
        key = self._who[:, None] + np.arange(high.shape[1])
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
        self.program.rows("energy", self._who[only], charged, missing, low=wanted, high=wanted)

    def _add_batteries(self) -> None:
        """What is stored after every step, between the driver's floor and what the battery holds, and enough at last.

        Who comes with less than the floor is lifted to it as soon as possible, and feeds nothing back before.
        """
        problem, program = self.problem, self.program
        self.b = np.full(self._open.shape, -1)
        for i in np.flatnonzero(problem.feeds_back).tolist():
            session, steps = problem.sessions[i], np.flatnonzero(self._open[i])
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
                program.rows("enough", self._who[[i]], (np.zeros(1, dtype=np.int64), own[-1:], 1.0), enough, low=wanted)
            else:
                program.rows("enough", self._who[[i]], enough, low=wanted - stored)

    def _add_supply(self) -> None:
        """Phases, chargers, and what chargers draw above safe: sum over chargers of max(safe, drawn) <= room.

        Only rows that can bind: branches that cannot draw more than safe, and steps in which all can have all they
        take, need none; nor does a phase on which the same vehicles count as on another that has less room.
        """
        problem = self.problem
        branches = Branches.of(problem)
        safe_a = float(problem.site.floor_a)
        take_a = np.where(self._open, problem.max_a[:, None], 0.0)
        together_a = branches.members.astype(np.float64) @ take_a
        most_a = np.minimum(together_a, branches.charger_a[:, None])
        above_a = np.maximum(most_a - safe_a, 0.0)
        spare_a = problem.room_a - safe_a * len(problem.site.chargers)
        patterns, room_of, spare_of = _distinct(branches.phases, problem.room_a, spare_a)
        counts = patterns.T.astype(np.float64)
        scarce = counts @ above_a > np.maximum(spare_of, 0.0)
        if safe_a > 0:
            self._add_contact(branches, patterns, scarce, spare_of, above_a, safe_a)
            self._add_phases(branches, patterns, (counts @ most_a > room_of) & (spare_of < 0), room_of)
            counted = (patterns.astype(np.int64) @ scarce.astype(np.int64) > 0) & (above_a > 0)
        else:
            self._add_phases(branches, patterns, scarce, room_of)
            counted = np.zeros(together_a.shape, dtype=np.bool_)
        self._add_chargers(branches, ~counted & (together_a > branches.charger_a[:, None]))

    def _add_contact(
        self,
        branches: Branches,
        patterns: BoolArray,
        scarce: BoolArray,
        spare_a: FloatArray,
        above_a: FloatArray,
        safe_a: float,
    ) -> None:
        """Charger and contact: sum a x - w <= safe, w <= charger - safe; sum_c w <= spare, on every scarce phase."""
        counted = (patterns.astype(np.int64) @ scarce.astype(np.int64) > 0) & (above_a > 0)
        b, t = np.nonzero(counted)
        w_at = np.full(counted.shape, -1)
        w_at[b, t] = w = self.program.columns(
            "w", self._branch_key(branches, b, t), high=branches.charger_a[b] - safe_a
        )
        number = np.full(counted.shape, -1)
        number[b, t] = np.arange(len(b))
        drawn = self._drawn(branches.members, number)
        self.program.rows("contact", self._branch_key(branches, b, t), drawn, (np.arange(len(b)), w, -1.0), high=safe_a)
        f, step = np.nonzero(scarce)
        rows, columns = list[IntArray](), list[IntArray]()
        for row, (phase, at) in enumerate(zip(f.tolist(), step.tolist(), strict=True)):
            mine = w_at[patterns[:, phase], at]
            columns.append(mine[mine >= 0])
            rows.append(np.full(len(columns[-1]), row))
        if rows:
            entries = np.concatenate(rows), np.concatenate(columns), 1.0
            self.program.rows("spare", self._when[step] + f, entries, high=np.maximum(spare_a[f, step], 0.0))

    def _add_phases(self, branches: Branches, patterns: BoolArray, binding: BoolArray, room_a: FloatArray) -> None:
        """Sum_i a x <= room on the phases and steps of `binding`."""
        members = (patterns.T.astype(np.int64) @ branches.members.astype(np.int64)) > 0
        f, t = np.nonzero(binding)
        number = np.full(binding.shape, -1)
        number[f, t] = np.arange(len(f))
        self.program.rows("phase", self._when[t] + f, self._drawn(members, number), high=np.maximum(room_a[f, t], 0.0))

    def _add_chargers(self, branches: Branches, binding: BoolArray) -> None:
        """Sum of the vehicles at a charger <= its limit, for branches and steps of `binding`."""
        b, t = np.nonzero(binding)
        number = np.full(binding.shape, -1)
        number[b, t] = np.arange(len(b))
        self.program.rows(
            "charger",
            self._branch_key(branches, b, t),
            self._drawn(branches.members, number),
            high=branches.charger_a[b],
        )

    def _drawn(self, members: BoolArray, number: IntArray) -> Term:
        """Entries of sum over members of x in the rows that `number` (group, step) gives, -1 for none."""
        group, i = np.nonzero(members)
        row, column = number[group], self.at[i]
        there = (row >= 0) & (column >= 0)
        return row[there], column[there], 1.0

    def _add_feeding(self) -> None:
        """What is fed back on a phase, and by a charger, keeps to the fuse, the connection and the charger."""
        if not len(self.y):
            return
        problem = self.problem
        branches = Branches.of(problem)
        limit_a = np.concatenate([problem.feed_a, np.repeat(branches.charger_a[:, None], problem.grid.count, axis=1)])
        members = np.concatenate([problem.uses.T, branches.members])
        group, i = np.nonzero(members)
        row = np.arange(limit_a.size).reshape(limit_a.shape)[group]
        column = self.y_at[i]
        there = column >= 0
        self.program.rows("feed", np.arange(limit_a.size), (row[there], column[there], 1.0), high=limit_a.ravel())

    def _add_power(self) -> None:
        """Power at the connection where something hangs on it: what was sold, what is fed in, a peak."""
        problem, program = self.problem, self.program
        corridor, other = problem.corridor, _K * problem.other_w
        feeds = np.zeros(problem.grid.count, dtype=np.bool_)
        feeds[self.v] = True
        margin = problem.prices.buy_eur_per_mwh - problem.prices.sell_eur_per_mwh
        exports = (feeds | (other < 0)) & (margin > 0)
        least = np.where(feeds, -np.inf, other)
        capped = np.zeros(problem.grid.count, dtype=np.bool_) if corridor is None else np.isfinite(corridor.ceiling_w)
        held = np.zeros_like(capped) if corridor is None else _K * corridor.floor_w > least
        needed = exports | capped | held
        for peak in problem.peaks:
            needed |= peak.counts
        steps = np.flatnonzero(needed)
        number = np.full(problem.grid.count, -1)
        number[steps] = np.arange(len(steps))
        self.p = np.full(problem.grid.count, -1)
        self.p[steps] = program.columns("p", self._when[steps], low=-np.inf)
        mine, back = needed[self.t], needed[self.v]
        in_kw = self.kwh[self.i, self.t] / problem.grid.length_h[self.t]
        out_kw = _K * self.out_wh[self.j, self.v] / problem.grid.length_h[self.v]
        charged: Term = (number[self.t[mine]], self.x[mine], in_kw[mine])
        fed: Term = (number[self.v[back]], self.y[back], -out_kw[back])
        total: Term = (np.arange(len(steps)), self.p[steps], -1.0)
        program.rows("power", self._when[steps], charged, fed, total, low=-other[steps], high=-other[steps])
        self._add_corridor(np.flatnonzero(capped), np.flatnonzero(held))
        self._add_export(np.flatnonzero(exports), margin)
        self._add_peaks()

    def _add_corridor(self, capped: IntArray, held: IntArray) -> None:
        """Floor - u <= p <= ceiling + u, at the price of what is missed."""
        corridor, program, hours = self.problem.corridor, self.program, self.problem.grid.length_h
        if corridor is None:
            return
        above = program.columns("above", self._when[capped], cost=(corridor.missed_eur_per_mwh * hours)[capped])
        row = np.arange(len(capped))
        high = _K * corridor.ceiling_w[capped]
        program.rows("ceiling", self._when[capped], (row, self.p[capped], 1.0), (row, above, -1.0), high=high)
        below = program.columns("under", self._when[held], cost=(corridor.missed_eur_per_mwh * hours)[held])
        row = np.arange(len(held))
        program.rows(
            "held", self._when[held], (row, self.p[held], 1.0), (row, below, 1.0), low=_K * corridor.floor_w[held]
        )

    def _add_export(self, steps: IntArray, margin_eur_per_mwh: FloatArray) -> None:
        """E >= -p: what is fed in is sold for less than energy costs."""
        hours, row = self.problem.grid.length_h, np.arange(len(steps))
        e = self.program.columns("e", self._when[steps], cost=(margin_eur_per_mwh * hours)[steps])
        self.program.rows("export", self._when[steps], (row, self.p[steps], 1.0), (row, e, 1.0), low=0.0)

    def _add_peaks(self) -> None:
        """M >= p in every step that counts, and >= the highest until now."""
        for k, peak in enumerate(self.problem.peaks):
            steps = np.flatnonzero(peak.counts)
            m = self.program.columns("m", np.array([k]), cost=1e3 * peak.price_eur_per_kw, low=_K * peak.so_far_w)
            row = np.arange(len(steps))
            self.program.rows(
                "peak", self._when[steps] + k, (row, np.repeat(m, len(steps)), 1.0), (row, self.p[steps], -1.0), low=0.0
            )

    def _add_signals(self) -> None:
        """The first step: 0, or whole amps from I_min to I_max; never both ways; kappa (1 - z) for who is on."""
        problem, program = self.problem, self.program
        self.z_of = np.flatnonzero(problem.present & (self.at[:, 0] >= 0))
        kappa = 1e3 * problem.value.switching_eur
        on = problem.signal_a[self.z_of] > 0
        self.z = program.columns("z", self._who[self.z_of], cost=np.where(on, -kappa, 0.0), high=1.0)
        row, x = np.arange(len(self.z_of)), self.at[self.z_of, 0]
        program.rows("least", self._who[self.z_of], (row, x, 1.0), (row, self.z, -problem.min_a[self.z_of]), low=0.0)
        program.rows("most", self._who[self.z_of], (row, x, 1.0), (row, self.z, -problem.max_a[self.z_of]), high=0.0)
        program.whole(self.z)
        program.whole(x)
        feeding = self.y_at[self.z_of, 0] >= 0
        y = self.y_at[self.z_of[feeding], 0]
        vehicles = [problem.sessions[i].vehicle for i in self.z_of[feeding].tolist()]
        most = np.array([min(each.discharge_a, 1000) for each in vehicles], dtype=np.float64)
        least = np.full(len(vehicles), float(LEAST_FED_A))
        back_on = problem.signal_a[self.z_of[feeding]] < 0
        self.back_of = self.z_of[feeding]
        who = self._who[self.back_of]
        self.back = back = program.columns("back", who, cost=np.where(back_on, -kappa, 0.0), high=1.0)
        row = np.arange(len(y))
        program.rows("back least", who, (row, y, 1.0), (row, back, -least), low=0.0)
        program.rows("back most", who, (row, y, 1.0), (row, back, -most), high=0.0)
        program.rows("one way", who, (row, self.z[feeding], 1.0), (row, back, 1.0), high=1.0)
        program.whole(back)
        program.whole(y)


def _distinct(phases: BoolArray, room_a: FloatArray, spare_a: FloatArray) -> tuple[BoolArray, FloatArray, FloatArray]:
    """(branch, pattern), (pattern, step) room and spare: phases with the same branches are one, with the least room."""
    patterns, number = np.unique(phases, axis=1, return_inverse=True)
    number = number.reshape(-1)
    least = [[kind[number == k].min(axis=0) for k in range(patterns.shape[1])] for kind in (room_a, spare_a)]
    return patterns, np.array(least[0]), np.array(least[1])
