"""The parametric offer curve: the plan, re-solved for growing reductions. Pure.

    C(q) = cost of the cheapest plan with  P_t <= (1 - q) B_t  in the window,  less the cost of the plan B

P, B [W] power of the site, q the part by which it is reduced. C is the optimal value of a linear program as a function
of its right-hand side, along a line: convex, with C(0) = 0, so the cost of an MWh, C(q) / (q x energy in the window),
never falls with q. What comes back later because of q is in P - B: a reduction and its payback are one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.planning import Corridor, Plan, Planner, Problem
from aggregator_agents.planning.terms import BoolArray
from api_spec.period import MarketPeriod

T = TypeVar("T")
_HALVINGS: Final = 3
_AT_ANY_PRICE: Final = 1e6
_ROUNDING_W: Final = 1.0
_ROUNDING_WH: Final = 1.0
_PER_MWH: Final = 1e-6


@dataclass(frozen=True)
class Reduction:
    """A reduction by a part of the window's power.

    change_w : (period,) of the plan [W], with payback. short_wh : what drivers go without because of it.
    """

    part: float
    change_w: FloatArray
    cost_eur: float
    short_wh: float

    def moved_mwh(self, period: MarketPeriod) -> float:
        """Energy that is changed, down and up together [MWh]."""
        return float(np.abs(self.change_w).sum()) * period.hours * _PER_MWH


def in_parts(
    window: BoolArray, offered: Callable[[BoolArray], Iterable[T]], *, suffices: Callable[[Sequence[T]], bool] = bool
) -> tuple[tuple[T, ...], ...]:
    """What is offered in a window; where that does not suffice, what is in those halves of it where it does.

    A vehicle that is at its plug for no longer than a DSO asks can wait for a part of that time only, and catches up in
    the rest of it: limits hold there, too, but clearing knows how much room they leave, and an aggregator does not.
    """
    found = tuple(offered(window))
    if suffices(found):
        return (found,)
    return tuple(_of_halves(window, offered, suffices, _HALVINGS)) or (found,)


def _of_halves(
    window: BoolArray,
    offered: Callable[[BoolArray], Iterable[T]],
    suffices: Callable[[Sequence[T]], bool],
    halvings: int,
) -> Iterator[tuple[T, ...]]:
    count = int(window.sum())
    if not halvings or count < 2:
        return
    early = window & (np.cumsum(window) <= count // 2)
    for half in (early, window & ~early):
        found = tuple(offered(half))
        if suffices(found):
            yield found
        else:
            yield from _of_halves(half, offered, suffices, halvings - 1)


def curve(asked: Problem, planned: Plan, window: BoolArray, *, steps: int) -> Iterator[Reduction]:
    """Reductions of the plan in the window, in `steps` equal parts up to all that vehicles draw there.

    planned : for what is `asked`, without a corridor. window : (period,). Ends early where the vehicles that are there
    cannot draw less.
    """
    base_w, count, planner = planned.total_w, asked.grid.count, Planner()
    if base_w[window].max(initial=0.0) <= _ROUNDING_W:
        return
    for step in range(1, steps + 1):
        part = step / steps
        ceiling_w = np.where(window, asked.other_w + base_w - part * np.maximum(base_w, 0.0), np.inf)
        corridor = Corridor(ceiling_w, np.full(count, -np.inf), np.full(count, _AT_ANY_PRICE))
        found = planner.plan(replace(asked, corridor=corridor))
        if found.missed_w.max() > _ROUNDING_W:
            return
        short_wh = float((found.shortfall_wh - planned.shortfall_wh).sum())
        yield Reduction(part, found.total_w - base_w, found.cost_eur - planned.cost_eur, short_wh)


def only_waits(reductions: Sequence[Reduction]) -> bool:
    """Whether the least of them costs drivers nothing but time."""
    return bool(reductions) and reductions[0].short_wh <= _ROUNDING_WH
