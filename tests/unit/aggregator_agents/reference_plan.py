"""The model of a plan once more, term by term from charging.md, for another solver interface: what a plan may cost."""

from collections import defaultdict

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_array

from aggregator_agents.fleet import LEAST_FED_A
from aggregator_agents.planning import Problem

KEY = tuple[object, ...]


class Reference:
    """Variables by name, rows as sums of them; [A], [kWh], [kW], [EUR / 1000]."""

    def __init__(self, problem: Problem) -> None:
        self.of = problem
        self.names: dict[KEY, int] = {}
        self.cost: list[float] = []
        self.low: list[float] = []
        self.high: list[float] = []
        self.whole: list[int] = []
        self.rows: list[tuple[dict[int, float], float, float]] = []
        self.constant = 0.0
        self._vehicles()
        self._supply()
        self._connection()

    def var(self, *name: object, cost: float = 0.0, low: float = 0.0, high: float = np.inf, whole: bool = False) -> int:
        self.names[name] = len(self.cost)
        self.cost.append(cost)
        self.low.append(low)
        self.high.append(high)
        self.whole.append(int(whole))
        return self.names[name]

    def row(self, terms: dict[int, float], *, low: float = -np.inf, high: float = np.inf) -> None:
        self.rows.append((terms, low, high))

    def solve(self) -> float:
        """The least cost [EUR], compared with no vehicles at all."""
        matrix = lil_array((len(self.rows), len(self.cost)))
        for number, (terms, _, _) in enumerate(self.rows):
            for column, weight in terms.items():
                matrix[number, column] = weight
        low, high = (np.array([each[k] for each in self.rows]) for k in (1, 2))
        found = milp(
            self.cost,
            integrality=self.whole,
            bounds=Bounds(self.low, self.high),
            constraints=LinearConstraint(matrix.tocsc(), low, high),
            options={"mip_rel_gap": 1e-9},
        )
        assert found.success, found.message
        return float(found.fun + self.constant) / 1e3

    def _steps(self, i: int) -> list[int]:
        return np.flatnonzero(self.of.share[i] > 0).tolist()

    def _vehicles(self) -> None:
        of = self.of
        for i, session in enumerate(of.sessions):
            vehicle, efficiency = session.vehicle, session.vehicle.efficiency
            energy: dict[int, float] = {}
            before, stored = None, session.stored_wh / 1e3
            for t in self._steps(i):
                kwh = of.amp_wh[i, t] / 1e3
                out = of.watts_per_amp[i] * of.share[i, t] * of.grid.length_h[t] / 1e3
                price = of.energy_eur_per_mwh[i, t] + of.hurry_eur_per_mwh[i, t]
                x = self.var("x", i, t, cost=float(price) * kwh, high=float(of.max_a[i]) if kwh else 0.0)
                energy[x] = kwh
                if not vehicle.discharge_a:
                    continue
                earns = of.value.wear_eur_per_mwh - of.prices.buy_eur_per_mwh[t]
                y = self.var("y", i, t, cost=float(earns * out), high=min(vehicle.discharge_a, of.max_a[i]))
                b = self.var("b", i, t, low=session.floor_wh / 1e3, high=of.capacity_wh[i] / 1e3)
                terms = {b: 1.0, x: -efficiency * kwh, y: out / efficiency}
                self.row(terms | ({} if before is None else {before: -1.0}), low=stored, high=stored)
                before, stored = b, 0.0
            missing = [
                self.var("s", i, g, cost=float(price), high=float(width) / 1e3)
                for g, (width, price) in enumerate(zip(of.missing_wh[i], of.missing_eur_per_mwh[i], strict=True))
            ]
            wanted = session.energy_wh / 1e3
            if before is None:
                self.row(energy | dict.fromkeys(missing, 1.0), low=max(0.0, wanted), high=max(0.0, wanted))
            else:
                target = session.stored_wh / 1e3 + (efficiency * wanted if wanted > 0 else wanted)
                self.row({before: 1.0} | dict.fromkeys(missing, efficiency), low=target)
            if of.present[i]:
                self._signal(i)

    def _signal(self, i: int) -> None:
        """0 or whole amps from the minimum, one way at a time, and what stopping costs."""
        of, kappa = self.of, 1e3 * self.of.value.switching_eur
        ways = [("x", of.signal_a[i] > 0, of.min_a[i], of.max_a[i])]
        discharge_a = of.sessions[i].vehicle.discharge_a
        if discharge_a:
            ways.append(("y", of.signal_a[i] < 0, LEAST_FED_A, discharge_a))
        used = {}
        for way, on, least, most in ways:
            z = self.var("z", way, i, cost=-kappa if on else 0.0, high=1.0, whole=True)
            self.constant += kappa if on else 0.0
            amps = self.names[way, i, 0]
            self.whole[amps] = 1
            self.row({amps: 1.0, z: -float(least)}, low=0.0)
            self.row({amps: 1.0, z: -float(most)}, high=0.0)
            used[z] = 1.0
        self.row(used, high=1.0)

    def _supply(self) -> None:
        """Sum over chargers of max(safe, drawn) within the room of every phase; and every charger's own limit."""
        of = self.of
        for t in range(of.grid.count):
            for phase in range(3):
                together: dict[int, float] = defaultdict(float)
                fed: dict[int, float] = {}
                room_a = of.room_a[phase, t]
                for charger in of.site.chargers:
                    own, own_fed = {}, {}
                    for i, session in enumerate(of.sessions):
                        if of.site.charger_of(session.plug) is charger and of.uses[i, phase] and of.share[i, t] > 0:
                            own[self.names["x", i, t]] = 1.0
                            if session.vehicle.discharge_a:
                                own_fed[self.names["y", i, t]] = 1.0
                    # Where not even what all fall back to fits beside the rest, it may not be exceeded either.
                    beyond = room_a < of.site.floor_a * len(of.site.chargers)
                    if beyond:
                        self.row(own, high=of.site.floor_a or np.inf)
                    at_least = self.var("max", charger.id, phase, t, low=0.0 if beyond else of.site.floor_a)
                    self.row(own | {at_least: -1.0}, high=0.0)
                    self.row(own, high=charger.max_a)
                    self.row(own_fed, high=charger.max_a)
                    fed |= own_fed
                    together[at_least] = 1.0
                self.row(dict(together), high=max(0.0, room_a))
                self.row(fed, high=of.feed_a[phase, t])

    def _connection(self) -> None:
        of = self.of
        power: list[dict[int, float]] = [{} for _ in range(of.grid.count)]
        for name, column in self.names.items():
            if name[0] in ("x", "y"):
                _, i, t = name
                assert isinstance(i, int) and isinstance(t, int)
                wh = of.amp_wh[i, t] if name[0] == "x" else -of.watts_per_amp[i] * of.share[i, t] * of.grid.length_h[t]
                power[t][column] = float(wh) / 1e3 / of.grid.length_h[t]
        other = of.other_w / 1e3
        for t, (terms, hours) in enumerate(zip(power, of.grid.length_h, strict=True)):
            margin = of.prices.buy_eur_per_mwh[t] - of.prices.sell_eur_per_mwh[t]
            export = self.var("e", t, cost=float(margin * hours))
            self.row(terms | {export: 1.0}, low=-other[t])
            self.constant -= margin * hours * max(0.0, -other[t])
            if of.corridor is not None:
                missed = float(of.corridor.missed_eur_per_mwh[t] * hours)
                u = self.var("u", t, cost=missed)
                self.row(terms | {u: -1.0}, high=of.corridor.ceiling_w[t] / 1e3 - other[t])
                self.row(terms | {u: 1.0}, low=of.corridor.floor_w[t] / 1e3 - other[t])
        for k, peak in enumerate(of.peaks):
            counted = np.flatnonzero(peak.counts).tolist()
            m = self.var("m", k, cost=1e3 * peak.price_eur_per_kw, low=peak.so_far_w / 1e3)
            for t in counted:
                self.row(power[t] | {m: -1.0}, high=-other[t])
            without = max([peak.so_far_w / 1e3, *other[counted]])
            self.constant -= 1e3 * peak.price_eur_per_kw * without
