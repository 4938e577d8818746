"""Times of acnportal's and adacharge's algorithms for one schedule of a site. Runs in an environment of their own.

    python acn_rivals.py < site.json

site.json : {"chargers": [[plug, ...], ...], "fuse_a": .., "charger_a": .., "periods": .., "minutes": .., "prices": [EUR
per kWh, ..], "sessions": [{"plug": .., "energy_kwh": .., "periods": ..}, ..], "algorithms": [name, ..], "repeats": ..}
Prints {"seconds": {name: best}, "versions": {..}}. Vehicles are on three phases, so that one constraint each stands for
the fuse and for a charger, with 690 V instead of 230 V.
"""

import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

THREE_PHASE_V = 690.0
PILOTS_A = [0.0, *map(float, range(6, 17))]


class Site:
    """What the algorithms ask of an interface."""

    current_time = 0

    def __init__(self, asked: dict[str, Any]) -> None:
        self.period = asked["minutes"]
        self._prices = np.array(asked["prices"])
        stations = [plug for charger in asked["chargers"] for plug in charger]
        limits = np.zeros((1 + len(asked["chargers"]), len(stations)))
        limits[0] = 1.0
        for number, charger in enumerate(asked["chargers"]):
            limits[1 + number, [stations.index(plug) for plug in charger]] = 1.0
        interface = importlib.import_module("acnportal.acnsim.interface")
        count = len(stations)
        self._infrastructure = interface.InfrastructureInfo(
            limits,
            np.array([asked["fuse_a"], *[asked["charger_a"]] * len(asked["chargers"])], dtype=float),
            np.zeros(count),
            np.full(count, THREE_PHASE_V),
            [f"limit {number}" for number in range(len(limits))],
            stations,
            np.full(count, 16.0),
            np.full(count, 6.0),
            [np.array(PILOTS_A)] * count,
            np.zeros(count, dtype=bool),
        )
        self.sessions = [
            interface.SessionInfo(each["plug"], each["plug"], each["energy_kwh"], 0.0, 0, each["periods"])
            for each in asked["sessions"]
        ]

    def infrastructure_info(self) -> Any:
        return self._infrastructure

    def remaining_amp_periods(self, session: Any) -> float:
        amp_periods: float = session.remaining_demand * 1000 / THREE_PHASE_V * 60 / self.period
        return amp_periods

    def max_pilot_signal(self, station: str) -> float:
        return 16.0

    def get_prices(self, length: int, start: int | None = None) -> Any:
        return self._prices[:length]

    def get_demand_charge(self, start: int | None = None) -> float:
        return 0.0

    def get_prev_peak(self) -> float:
        return 0.0


def sorting(kind: str, order: str) -> Callable[[], Any]:
    algorithms = importlib.import_module("acnportal.algorithms")
    return lambda: getattr(algorithms, kind)(getattr(algorithms, order))


def adacharge() -> Any:
    mpc = importlib.import_module("adacharge")
    objective = [
        mpc.ObjectiveComponent(mpc.total_energy, 2.0),
        mpc.ObjectiveComponent(mpc.tou_energy_cost),
        mpc.ObjectiveComponent(mpc.quick_charge, 1e-3),
    ]
    return mpc.AdaptiveSchedulingAlgorithm(objective, constraint_type="LINEAR", solver="ECOS", quantize=True)


def algorithm(name: str) -> Any:
    if name == "adacharge":
        return adacharge()
    kind = "RoundRobin" if name == "round robin" else "SortedSchedulingAlgo"
    orders = {
        "EDF": "earliest_deadline_first",
        "LLF": "least_laxity_first",
        "FCFS": "first_come_first_served",
        "round robin": "first_come_first_served",
    }
    return sorting(kind, orders[name])()


def best_s(name: str, site: Site, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        scheduler = algorithm(name)
        scheduler.register_interface(site)
        started = time.perf_counter()
        scheduler.schedule(list(site.sessions))
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    warnings.simplefilter("ignore")
    asked = json.load(sys.stdin)
    site = Site(asked)
    seconds = {name: best_s(name, site, asked["repeats"]) for name in asked["algorithms"]}
    versions = {}
    for package in ("acnportal", "cvxpy", "ecos", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    print(json.dumps({"seconds": seconds, "versions": versions}))


if __name__ == "__main__":
    main()
