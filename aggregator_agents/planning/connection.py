"""Equations of a plan about power at the connection: what was sold, what is fed in, and peaks; see `model`."""

from typing import Final

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.planning.program import IntArray, Term
from aggregator_agents.planning.vehicles import Vehicles

_K: Final = 1e-3


def add_connection(model: Vehicles) -> None:
    """Power at the connection where something hangs on it: what was sold, what is fed in, a peak."""
    problem, program = model.problem, model.program
    corridor, other = problem.corridor, _K * problem.other_w
    feeds = np.zeros(problem.grid.count, dtype=np.bool_)
    feeds[model.v] = True
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
    p = np.full(problem.grid.count, -1)
    p[steps] = program.columns("p", model.when[steps], low=-np.inf)
    mine, back = needed[model.t], needed[model.v]
    in_kw = model.kwh[model.i, model.t] / problem.grid.length_h[model.t]
    out_kw = _K * model.out_wh[model.j, model.v] / problem.grid.length_h[model.v]
    charged: Term = (number[model.t[mine]], model.x[mine], in_kw[mine])
    fed: Term = (number[model.v[back]], model.y[back], -out_kw[back])
    total: Term = (np.arange(len(steps)), p[steps], -1.0)
    program.rows("power", model.when[steps], charged, fed, total, low=-other[steps], high=-other[steps])
    _add_corridor(model, p, np.flatnonzero(capped), np.flatnonzero(held))
    _add_export(model, p, np.flatnonzero(exports), margin)
    _add_peaks(model, p)


def _add_corridor(model: Vehicles, p: IntArray, capped: IntArray, held: IntArray) -> None:
    """Floor - u <= p <= ceiling + u, at the price of what is missed."""
    corridor, program, hours = model.problem.corridor, model.program, model.problem.grid.length_h
    if corridor is None:
        return
    above = program.columns("above", model.when[capped], cost=(corridor.missed_eur_per_mwh * hours)[capped])
    row = np.arange(len(capped))
    high = _K * corridor.ceiling_w[capped]
    program.rows("ceiling", model.when[capped], (row, p[capped], 1.0), (row, above, -1.0), high=high)
    below = program.columns("under", model.when[held], cost=(corridor.missed_eur_per_mwh * hours)[held])
    row = np.arange(len(held))
    program.rows("held", model.when[held], (row, p[held], 1.0), (row, below, 1.0), low=_K * corridor.floor_w[held])


def _add_export(model: Vehicles, p: IntArray, steps: IntArray, margin_eur_per_mwh: FloatArray) -> None:
    """E >= -p: what is fed in is sold for less than energy costs."""
    hours, row = model.problem.grid.length_h, np.arange(len(steps))
    e = model.program.columns("e", model.when[steps], cost=(margin_eur_per_mwh * hours)[steps])
    model.program.rows("export", model.when[steps], (row, p[steps], 1.0), (row, e, 1.0), low=0.0)


def _add_peaks(model: Vehicles, p: IntArray) -> None:
    """M >= p in every step that counts, and >= the highest until now."""
    for k, peak in enumerate(model.problem.peaks):
        steps = np.flatnonzero(peak.counts)
        m = model.program.columns("m", np.array([k]), cost=1e3 * peak.price_eur_per_kw, low=_K * peak.so_far_w)
        row = np.arange(len(steps))
        model.program.rows(
            "peak", model.when[steps] + k, (row, np.repeat(m, len(steps)), 1.0), (row, p[steps], -1.0), low=0.0
        )
