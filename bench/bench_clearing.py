"""Clearing a day on the 33-bus feeder: 96 periods, AC-exact and verified."""

import json
import time
from itertools import repeat
from pathlib import Path

import numpy as np

from api_spec.case import Case
from market.clearing import clear

FEEDER = Path(__file__).parents[1] / "tests" / "reference" / "cases" / "case33bw-voltage.json"
PERIODS = 96
SHAPE = 0.65 + 0.35 * np.sin(np.linspace(0, 2 * np.pi, PERIODS)) ** 2


def day(offers: int) -> Case:
    """Loads follow a daily shape; offers of 16 periods are spread over buses and hours, seeded."""
    case = json.loads(FEEDER.read_text())
    random = np.random.default_rng(33)
    case["name"] = f"33 buses, {offers} offers"
    case["market_period"] = {"start": "2026-01-15T00:00:00+01:00", "resolution": "PT15M", "count": PERIODS}
    case["energy_price_eur_per_mwh"] = [50.0] * PERIODS
    for load in case["baseline"]:
        for name in ("p_w", "q_var"):
            load[name] = [round(load[name][0] * part) for part in SHAPE]
    case["offers"] = []
    for number, first in zip(range(offers), map(int, random.integers(0, PERIODS - 16, offers)), strict=True):
        power = [0] * PERIODS
        power[first : first + 16] = repeat(-int(random.integers(5_000, 60_000)), 16)
        step = {"power_w": power, "price_eur_per_mwh": round(float(random.uniform(55, 150)), 2)}
        bus = f"b{random.integers(1, 33)}"
        case["offers"].append({"id": f"o{number}", "participant": "agg", "bus": bus, "kind": "curve", "steps": [step]})
    return Case.model_validate(case)


def run() -> list[dict[str, str]]:
    rows = []
    for offers in (100, 1000):
        case = day(offers)
        started = time.perf_counter()
        result = clear(case)
        rows.append(
            {
                "case": case.name,
                "total s": f"{time.perf_counter() - started:.2f}",
                **{f"{part} s": f"{seconds:.2f}" for part, seconds in result.solver.seconds.items()},
                "iterations": str(result.verification.iterations),
                "status": result.status,
            }
        )
    return rows
