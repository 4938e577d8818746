"""What the limits say: which bound, what was broken before, what stays unmet, and what would have been needed."""

from collections import defaultdict
from typing import Final

import numpy as np

from api_spec.result import LimitResult, Need
from market.clearing.conflict import irreducible_conflict
from market.clearing.dispatch import Dispatch
from market.clearing.linearisation import Linearisation, Rows
from market.clearing.loop import Optimum
from market.clearing.problem import ClearingProblem
from market.clearing.quantities import UNITS
from market.errors import LimitCannotBeMet, MissingLimit, PowerFlowDiverged
from market.network.model import BASE_VA, PHASES, BoolArray, FloatArray

MET: Final = 5e-5
"""A limit counts as met within this [pu for voltages and unbalance, else relative to it]: what whole watts cost."""
_CHOSEN: Final = 1e-5  # excess [of the scale] from which on it is no rounding that the optimum leaves a limit unmet
_SECANTS: Final = 12


def unmet_limits(problem: ClearingProblem, dispatch: Dispatch) -> BoolArray:
    """(period, limit) limits that a dispatch leaves broken."""
    broken: BoolArray = in_tolerance_units(problem, dispatch.excess) > MET
    return broken


def left_unmet(problem: ClearingProblem, optimum: Optimum, after: Dispatch) -> BoolArray:
    """(period, limit) what stays unmet: what the published dispatch breaks, and what the optimum pays to leave.

    The latter even within the tolerance, which is there for whole watts: its price may be a hundredth of the cost.
    """
    capped = np.isfinite(problem.limits.max_price)
    chosen = (optimum.dispatch.excess > _CHOSEN) & (optimum.shadow > 0) & (after.excess > 0) & capped
    left: BoolArray = unmet_limits(problem, after) | chosen
    return left


def in_tolerance_units(problem: ClearingProblem, excess: FloatArray) -> FloatArray:
    """Excess in pu for voltages and unbalance, else relative to the limit."""
    per_unit = np.array([kind in ("voltage", "unbalance") for kind in problem.limits.kind], dtype=np.bool_)
    measured: FloatArray = excess * np.where(per_unit, problem.limits.scale, 1.0)
    return measured


def limit_results(problem: ClearingProblem, optimum: Optimum, after: Dispatch) -> tuple[LimitResult, ...]:
    """Every limit that was broken before, binds, or stays unmet; requested ones first, in the order of ids.

    after : the dispatch of whole watts that is published.
    """
    limits = problem.limits
    before = limits.excess(problem.baseline, slice(None))
    unmet = left_unmet(problem, optimum, after)
    asked = np.array([request is not None for request in limits.request], dtype=np.bool_)
    told = unmet | (optimum.shadow > 0) | ((in_tolerance_units(problem, before) > MET) & asked)
    parts: dict[tuple[int, int], list[int]] = defaultdict(list)
    for period, limit in np.argwhere(told).tolist():
        parts[period, int(limits.whole[limit])].append(limit)
    found = [_limit_result(problem, optimum, after, unmet, period, together) for (period, _), together in parts.items()]
    return tuple(sorted(found, key=lambda each: (each.request is None, each.request or "", *_named(each))))


def _named(limit: LimitResult) -> tuple[str, str, str, int, float]:
    return limit.kind, limit.element, limit.phase or "", limit.period, limit.limit


def _limit_result(
    problem: ClearingProblem,
    optimum: Optimum,
    after: Dispatch,
    unmet: BoolArray,
    period: int,
    together: list[int],
) -> LimitResult:
    """One limit in one period, told for the part of it that is worst after clearing."""
    limits = problem.limits
    limit = max(together, key=lambda part: float(after.excess[period, part]))
    shadow = sum(float(optimum.shadow[period, part]) for part in together)
    missing = bool(unmet[period, limit])
    return LimitResult(
        request=limits.request[limit],
        kind=limits.kind[limit],
        element=limits.element[limit],
        phase=limits.phase[limit],
        period=period,
        before=_plain(problem.baseline[period, limits.quantity[limit]]),
        after=_plain(after.values[period, limits.quantity[limit]]),
        limit=_plain(limits.bound[period, limit]),
        unit=UNITS[problem.quantities.place(int(limits.quantity[limit]))[0]],
        shadow_price=_plain(shadow / limits.scale[limit]),
        unmet=_plain(after.excess[period, limit] * limits.scale[limit]) if missing else 0.0,
        would_serve=_need(problem, optimum.linearisation, period, limit) if missing else None,
    )


def _only(point: Linearisation, period: int, limit: int) -> Rows:
    only = np.zeros_like(point.dispatch.excess, dtype=np.bool_)
    only[period, limit] = True
    return point.rows(only)


def _need(problem: ClearingProblem, point: Linearisation, period: int, limit: int) -> Need | None:
    """The change of consumption that would meet a limit, at the terminal that moves it most; found in AC power flow."""
    grid, places = problem.grid, problem.places
    slope = _only(point, period, limit).slope[0]
    active, reactive = slope[: grid.terminals], slope[places.count : places.count + grid.terminals]
    by_var = problem.limits.kind[limit] == "reactive"
    by = reactive if by_var else active
    steepest = int(np.abs(by).argmax())
    if by[steepest] == 0:
        return None
    change = _change_that_meets(problem, point, period, limit, steepest + (places.count if by_var else 0), by[steepest])
    if change is None:
        return None
    bus, phase = divmod(steepest, grid.phases)
    needed = _plain(change * BASE_VA)
    return Need(
        bus=grid.bus_ids[bus],
        phase=PHASES[phase] if grid.phases == 3 else None,
        change_w=None if by_var else needed,
        change_var=needed if by_var else None,
    )


def _change_that_meets(
    problem: ClearingProblem, point: Linearisation, period: int, limit: int, place: int, slope: float
) -> float | None:
    """How much more change at a place meets a limit [MW or Mvar]; None where it has no end (secant method)."""
    rows = np.array([period])
    here = point.dispatch.change[rows]

    def excess(more: float) -> float:
        moved = here.copy()
        moved[0, place] += more
        points = problem.flow.solve(*problem.consumption(moved, rows))
        values = problem.quantities.values(points, points.p_w - problem.p_w[rows])
        return float(problem.limits.excess(values, rows)[0, limit])

    last, beyond = 0.0, float(point.dispatch.excess[period, limit])
    more = -beyond / slope
    try:
        for _ in range(_SECANTS):
            now = excess(more)
            if abs(now) <= MET / 10 or now == beyond:
                break
            last, beyond, more = more, now, more - now * (more - last) / (now - beyond)
    except PowerFlowDiverged:
        return None
    return more if abs(now) <= MET else None


def refuse_the_impossible(problem: ClearingProblem, optimum: Optimum) -> None:
    """Raise LimitCannotBeMet where a limit without a maximum price stays broken with every useful offer accepted."""
    broken = unmet_limits(problem, optimum.dispatch) & np.isinf(problem.limits.max_price)
    if not broken.any():
        return
    missing = [_missing(problem, optimum.linearisation, t, k) for t, k in np.argwhere(broken).tolist()]
    missing.sort(key=lambda each: (-each.needed_w, each.limit, each.start))
    raise LimitCannotBeMet(tuple(missing), irreducible_conflict(problem, optimum))


def _missing(problem: ClearingProblem, point: Linearisation, period: int, limit: int) -> MissingLimit:
    limits, need = problem.limits, _need(problem, point, period, limit)
    return MissingLimit(
        request=limits.request[limit],
        limit=limit_name(problem, limit),
        start=problem.case.market_period.starts()[period],
        value=float(point.dispatch.values[period, limits.quantity[limit]]),
        bound=float(limits.bound[period, limit]),
        unit=UNITS[problem.quantities.place(int(limits.quantity[limit]))[0]],
        bus=need.bus + (f" phase {need.phase}" if need.phase else "") if need else "",
        needed_w=_needed(need),
        less=need is not None and (need.change_w or need.change_var or 0.0) < 0,
        reactive=need is not None and need.change_var is not None,
    )


def _needed(need: Need | None) -> float:
    """Size of what would meet a limit [W or var]; endless where nothing would."""
    if need is None:
        return float("inf")
    return abs(need.change_w if need.change_w is not None else need.change_var or 0.0)


def limit_name(problem: ClearingProblem, limit: int) -> str:
    """A limit as a person calls it."""
    limits = problem.limits
    phase = limits.phase[limit]
    return f"{limits.kind[limit]} limit of {limits.element[limit]}" + (f" phase {phase}" if phase else "")


def _plain(value: float) -> float:
    """Nine significant digits: more than any of them means, and the same on every machine."""
    return float(f"{value:.9g}") + 0.0
