"""A simulated day through the real market, from requests to settled statements, and where its time goes.

Scenarios as they ship: 96 periods, set-points every minute. Seconds of wall time: plans of agents (HiGHS and what is
built for it), the rest of what agents do on the market and at their chargers (emulated vehicles included), the market's
answers over HTTP with its database, clearing, AC power flow of what was drawn, and tables. CPU: of all of it.
"""

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from aggregator_agents.planning import Planner
from bench.measuring import Options, Row, progress
from market.logs import configure
from market.simulation import SCENARIOS
from market.simulation.run import simulate
from market.simulation.scenario import read_scenario

DAYS: Final = (("risoe-thirty", "30", 5), ("rural-hundred", "100", 15), ("risoe-day", "54", None))
"""Scenario, its vehicles, and the seconds that it may take at most."""
PARTS: Final = ("agents on the market", "dispatch and chargers", "HTTP and store", "clearing", "physics", "archive")


def run(options: Options) -> Iterator[Row]:
    if options.sizes is not None:
        return
    configure("console", "warning")
    for name, vehicles, most_s in DAYS[:1] if options.quick else DAYS:
        progress(f"day: {name}")
        # What is loaded and compiled once is no part of a day.
        times = [_timed(name) for _ in range(1 if options.quick else 2)]
        yield _row(name, vehicles, most_s, min(times, key=lambda each: each["wall"]))


def _timed(name: str) -> dict[str, float]:
    scenario = read_scenario(SCENARIOS / f"{name}.toml")
    with tempfile.TemporaryDirectory(prefix="flexmarket-day-") as folder, _plans_timed() as planned:
        began, cpu = time.perf_counter(), time.process_time()
        asyncio.run(simulate(scenario, folder=Path(folder)))
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        parts: dict[str, float] = json.loads((Path(folder) / "timing.json").read_text(encoding="utf-8"))["total"]
    return {**parts, "wall": wall, "CPU": used, "plans": planned[0]}


@contextlib.contextmanager
def _plans_timed() -> Iterator[list[float]]:
    """Seconds that plans take while the block runs."""
    spent, plan = [0.0], Planner.plan

    def timed(self: Planner, *asked: Any, **more: Any) -> Any:
        began = time.perf_counter()
        try:
            return plan(self, *asked, **more)
        finally:
            spent[0] += time.perf_counter() - began

    Planner.plan = timed  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        Planner.plan = plan  # type: ignore[method-assign]


def _row(name: str, vehicles: str, most_s: int | None, took: dict[str, float]) -> Row:
    agents = took["agents on the market"] + took["dispatch and chargers"] - took["plans"]
    shown = {"plans": took["plans"], "agents, chargers": agents, **{part: took.get(part, 0.0) for part in PARTS[2:]}}
    other = took["wall"] - sum(shown.values())
    return {
        "scenario": name,
        "vehicles": vehicles,
        "seconds": f"{took['wall']:.1f}",
        "at most": "" if most_s is None else str(most_s),
        "CPU": f"{took['CPU']:.1f}",
        **{part: f"{seconds:.2f}" for part, seconds in shown.items()},
        "other": f"{other:.2f}",
    }
