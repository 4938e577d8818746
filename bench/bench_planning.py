"""One charging plan of 96 quarter-hours, all vehicles plugged in: ours in whole amps now, beside a linear programme.

The bare one is the same site's plan without whole amps and without the rule that keeps the fuse when chargers lose
contact: energy, fuse and chargers only, in arrays handed straight to HiGHS, with HiGHS as it comes. Cold is the first
plan, warm the one a quarter of an hour later, when vehicles have drawn what was planned; all from objects to amps.
Division shares whole amps out among all plugs without a plan. EDF, LLF, round robin (acnportal) and the MPC (adacharge)
run in a Python of their own, which BENCH_ACN_PYTHON names, with adacharge's folder in BENCH_ADACHARGE:

    python3 -m venv rivals && rivals/bin/pip install acnportal cvxpy ecos "numpy<2"
    git clone https://github.com/caltech-netlab/adacharge
    BENCH_ACN_PYTHON=rivals/bin/python BENCH_ADACHARGE=adacharge python -m bench planning
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import highspy
import numpy as np
from scipy.sparse import coo_array

from aggregator_agents.fleet import Session, Site
from aggregator_agents.planning import AtPlug, Grid, Plan, Planner, Prices, Problem, Valuation
from aggregator_agents.planning.amps import Division, urgency
from bench.measuring import Options, Row, best_of, progress, ratio

SIZES: Final = (16, 54, 1000)
EVENING: Final = datetime(2026, 1, 15, 17, tzinfo=UTC)
QUARTER: Final = timedelta(minutes=15)
PERIODS: Final = 96
FUSE_A_PER_PLUG: Final = 63 / 16
ALGORITHMS: Final = ("EDF", "LLF", "round robin", "adacharge")
SLOW: Final = 200  # vehicles from which on the rivals take minutes


def run(options: Options) -> Iterator[Row]:
    for vehicles in SIZES:
        if options.quick and vehicles > SLOW:
            continue
        progress(f"planning: {vehicles} vehicles")
        site, sessions = _site(vehicles), _sessions(vehicles)
        yield _measured(site, sessions) | _rivals(site, sessions)


def _measured(site: Site, sessions: tuple[Session, ...]) -> Row:
    bare, objective = best_of(lambda: _solve_bare(_problem(site, sessions)), most=15)
    cold, first = best_of(lambda: Planner().plan(_problem(site, sessions)), most=15)
    warm_s = min(_warm_s(site, sessions) for _ in range(7))
    divided, _ = best_of(lambda: _divide(_problem(site, sessions)), most=15)
    assert first.cost_eur * 1e3 > objective * (1 - 1e-9), "whole amps cannot be cheaper than any amps"
    return {
        "vehicles": str(len(sessions)),
        "bare LP ms": _ms(bare.seconds),
        "plan cold ms": _ms(cold.seconds),
        "/ bare": ratio(cold.seconds, bare.seconds),
        "plan warm ms": _ms(warm_s),
        "warm / bare": ratio(warm_s, bare.seconds),
        "plan is": first.how,
        "division ms": _ms(divided.seconds),
    }


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:.0f}"


def _site(vehicles: int) -> Site:
    fuse_a = int(FUSE_A_PER_PLUG * vehicles)
    return Site.of("lot", chargers=vehicles // 2, plugs_per_charger=2, fuse_a=fuse_a)


def _sessions(vehicles: int) -> tuple[Session, ...]:
    """Arrived within four hours, leaving within a day, 5 to 40 kWh."""
    random = np.random.default_rng(vehicles)
    return tuple(
        Session(
            plug.id,
            plug.id,
            EVENING - float(random.uniform(0, 4)) * timedelta(hours=1),
            EVENING + int(random.integers(8, PERIODS)) * QUARTER,
            float(random.uniform(5e3, 4e4)),
        )
        for plug in _site(vehicles).plugs
    )


def _prices(periods_later: int = 0) -> np.ndarray:
    hours = (np.arange(PERIODS) + periods_later) / 4
    wave: np.ndarray = 150 + 80 * np.cos(2 * np.pi * hours / 12)
    return wave


def _problem(
    site: Site, sessions: tuple[Session, ...], *, periods_later: int = 0, at_plug: dict[str, AtPlug] | None = None
) -> Problem:
    grid = Grid(EVENING + periods_later * QUARTER, np.full(PERIODS, 0.25))
    known = at_plug or {each.id: AtPlug(phases=(0, 1, 2)) for each in sessions}
    return Problem(site, grid, sessions, Valuation(), Prices.bought(_prices(periods_later)), at_plug=known)


def _warm_s(site: Site, sessions: tuple[Session, ...]) -> float:
    """The second plan, after vehicles have drawn what the first one said."""
    planner = Planner()
    first: Plan = planner.plan(_problem(site, sessions))
    drawn_wh = first.power_w[:, 0] * first.grid.length_h[0]
    left = tuple(replace(each, energy_wh=each.energy_wh - own) for each, own in zip(sessions, drawn_wh, strict=True))
    charged = zip(sessions, drawn_wh.tolist(), strict=True)
    known = {each.id: AtPlug(first.setpoint_a[each.id], own, (0, 1, 2)) for each, own in charged}
    took, _ = best_of(lambda: planner.plan(_problem(site, left, periods_later=1, at_plug=known)), most=1)
    return took.seconds


def _divide(problem: Problem) -> dict[int, int]:
    division = Division(problem, 0, budget_w=np.inf)
    division.admit(np.argsort(-urgency(problem, problem.wanted_wh, 0), kind="stable").tolist())
    division.raise_lowest(problem.max_a.tolist())
    return division.amps


@dataclass(frozen=True)
class _Entries:
    """row, column, weight : (entry,)."""

    row: np.ndarray
    column: np.ndarray
    weight: np.ndarray


def _solve_bare(problem: Problem) -> float:
    """Minimise price x + shortfall s, with energy, three phases and chargers; returns the cost [EUR / 1000]."""
    count, periods = len(problem.sessions), problem.grid.count
    i, t = np.nonzero(problem.share > 0)
    kwh = (problem.watts_per_amp[:, None] * problem.share * problem.grid.length_h)[i, t] / 1e3
    x, s = np.arange(len(i)), len(i) + np.arange(count)
    number = {charger.id: c for c, charger in enumerate(problem.site.chargers)}
    charger = np.array([number[problem.site.charger_of(each.plug).id] for each in problem.sessions])
    phases = [count + f * periods + t for f in range(3)]
    chargers = count + 3 * periods + charger[i] * periods + t
    entries = _Entries(
        np.concatenate([i, np.arange(count), *phases, chargers]),
        np.concatenate([x, s, *[x] * 4]),
        np.concatenate([kwh, np.ones(count), np.ones(4 * len(x))]),
    )
    rows = count + 3 * periods + len(number) * periods
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(x) + count, rows
    shortfall = np.full(count, problem.value.shortfall_eur_per_mwh)
    lp.col_cost_ = np.concatenate([problem.energy_eur_per_mwh[i, t] * kwh, shortfall])
    lp.col_lower_ = np.zeros(len(x) + count)
    lp.col_upper_ = np.concatenate([problem.max_a[i], np.full(count, np.inf)])
    lp.row_lower_ = np.concatenate([problem.wanted_wh / 1e3, np.full(rows - count, -np.inf)])
    fuse, limit = np.full(3 * periods, float(problem.site.fuse_a)), np.full(len(number) * periods, 16.0)
    lp.row_upper_ = np.concatenate([np.full(count, np.inf), fuse, limit])
    shape = (rows, len(x) + count)
    matrix = coo_array((entries.weight, (entries.row.astype(np.int32), entries.column.astype(np.int32))), shape=shape)
    columns = matrix.tocsc()
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = columns.indptr, columns.indices, columns.data
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, option in {"output_flag": False, "threads": 1, "parallel": "off"}.items():
        highs.setOptionValue(name, option)
    highs.passModel(lp)
    highs.run()
    return float(highs.getInfo().objective_function_value)


def _rivals(site: Site, sessions: tuple[Session, ...]) -> Row:
    """Times in their own environment; a dash where it is not there."""
    python, folder = os.environ.get("BENCH_ACN_PYTHON"), os.environ.get("BENCH_ADACHARGE")
    if python is None or folder is None:
        progress("planning: without rivals: BENCH_ACN_PYTHON and BENCH_ADACHARGE are not set (see bench_planning.py)")
        return {f"{name} ms": "-" for name in ALGORITHMS}
    asked = {
        "chargers": [[plug.id for plug in charger.plugs] for charger in site.chargers],
        "fuse_a": site.fuse_a,
        "charger_a": 16,
        "periods": PERIODS,
        "minutes": 15,
        "prices": (_prices() / 1e3).tolist(),
        "sessions": [
            {"plug": each.plug, "energy_kwh": each.energy_wh / 1e3, "periods": (each.departs - EVENING) // QUARTER}
            for each in sessions
        ],
        "algorithms": ALGORITHMS,
        "repeats": 1 if len(sessions) > SLOW else 5,
    }
    script = Path(__file__).with_name("acn_rivals.py")
    done = subprocess.run(
        [python, str(script)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": folder},
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the rivals' environment does not work:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    progress(f"planning: rivals are {told['versions']}")
    return {f"{name} ms": _ms(told["seconds"][name]) for name in ALGORITHMS}
