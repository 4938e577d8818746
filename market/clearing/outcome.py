"""What the limits say: which bound, what was broken before, what stays unmet, and what would have been needed."""

from collections import defaultdict
from typing import Final

import numpy as np

from api_spec.result import LimitResult
from market.clearing.linearisation import Dispatch, Linearisation
from market.clearing.loop import Optimum
from market.clearing.problem import ClearingProblem
from market.clearing.quantities import UNITS
from market.errors import LimitCannotBeMet, MissingLimit
from market.network.model import BASE_VA, BoolArray, FloatArray

MET: Final = 5e-5
"""A limit counts as met within this [pu for voltages, else relative to the limit]: what whole watts can cost."""


def unmet_limits(problem: ClearingProblem, dispatch: Dispatch) -> BoolArray:
    """(period, limit) limits that a dispatch leaves broken."""
    broken: BoolArray = in_tolerance_units(problem, dispatch.excess) > MET
    return broken


def in_tolerance_units(problem: ClearingProblem, excess: FloatArray) -> FloatArray:
    """Excess in pu for voltages, else relative to the limit."""
    voltage = np.array([kind == "voltage" for kind in problem.limits.kind], dtype=np.bool_)
    measured: FloatArray = excess * np.where(voltage, problem.limits.scale, 1.0)
    return measured


def limit_results(problem: ClearingProblem, optimum: Optimum, after: Dispatch) -> tuple[LimitResult, ...]:
    """Every limit that was broken before, binds, or stays unmet; requested ones first, in the order of ids.

    after : the dispatch of whole watts that is published.
    """
    limits = problem.limits
    before = limits.excess(problem.baseline)
    unmet = unmet_limits(problem, after)
    asked = np.array([request is not None for request in limits.request], dtype=np.bool_)
    told = unmet | (optimum.shadow > 0) | ((in_tolerance_units(problem, before) > MET) & asked)
    parts: dict[tuple[int, int], list[int]] = defaultdict(list)
    for period, limit in np.argwhere(told):
        parts[int(period), int(limits.whole[limit])].append(int(limit))
    found = [_limit_result(problem, optimum, after, period, together) for (period, _), together in parts.items()]
    return tuple(sorted(found, key=lambda each: (each.request is None, each.request or "", *_named(each))))


def _named(limit: LimitResult) -> tuple[str, str, int, float]:
    return limit.kind, limit.element, limit.period, limit.limit


def _limit_result(
    problem: ClearingProblem, optimum: Optimum, after: Dispatch, period: int, together: list[int]
) -> LimitResult:
    """One limit in one period, told for the part of it that is worst after clearing."""
    limits = problem.limits
    limit = max(together, key=lambda part: float(after.excess[period, part]))
    shadow = sum(float(optimum.shadow[period, part]) for part in together)
    unmet = bool(unmet_limits(problem, after)[period, limit])
    return LimitResult(
        request=limits.request[limit],
        kind=limits.kind[limit],
        element=limits.element[limit],
        period=period,
        before=_plain(problem.baseline[period, limits.quantity[limit]]),
        after=_plain(after.values[period, limits.quantity[limit]]),
        limit=_plain(limits.bound[period, limit]),
        unit=UNITS[problem.quantities.place(limits.quantity[limit])[0]],
        shadow_price=_plain(shadow / limits.scale[limit]),
        unmet=_plain(after.excess[period, limit] * limits.scale[limit]) if unmet else 0.0,
    )


def refuse_the_impossible(problem: ClearingProblem, optimum: Optimum) -> None:
    """Raise LimitCannotBeMet where a limit without a maximum price stays broken with every useful offer accepted."""
    broken = unmet_limits(problem, optimum.dispatch) & np.isinf(problem.limits.max_price)
    if not broken.any():
        return
    missing = [_missing(problem, optimum.linearisation, int(t), int(k)) for t, k in np.argwhere(broken)]
    missing.sort(key=lambda each: (-each.needed_w, each.limit, each.start))
    raise LimitCannotBeMet(tuple(missing))


def _missing(problem: ClearingProblem, point: Linearisation, period: int, limit: int) -> MissingLimit:
    limits = problem.limits
    only = np.zeros_like(point.dispatch.excess, dtype=np.bool_)
    only[period, limit] = True
    row = point.rows(only)
    steepest = int(np.abs(row.by_p[0]).argmax())
    slope = float(row.by_p[0, steepest])
    family, _ = problem.quantities.place(limits.quantity[limit])
    return MissingLimit(
        request=limits.request[limit],
        limit=f"{limits.kind[limit]} limit of {limits.element[limit]}",
        start=problem.case.market_period.starts()[period],
        value=float(point.dispatch.values[period, limits.quantity[limit]]),
        bound=float(limits.bound[period, limit]),
        unit=UNITS[family],
        bus=problem.grid.bus_ids[steepest],
        needed_w=abs(float(row.excess[0]) / slope) * BASE_VA if slope != 0 else float("inf"),
        less=slope > 0,
    )


def _plain(value: float) -> float:
    """Nine significant digits: more than any of them means, and the same on every machine."""
    return float(f"{value:.9g}") + 0.0
