"""Second derivatives of cost and limits are how their first derivatives change, in all periods at once."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pytest

from api_spec.case import Case
from market.clearing import linearisation
from market.clearing.dispatch import dispatch_at
from market.clearing.linearisation import Linearisation
from market.clearing.problem import ClearingProblem, problem_of
from market.network.model import FloatArray
from tests.small_cases import Document, chain, document, line, load, phase_line

STEP_MW: Final = {1: 1e-4, 3: 2e-6}
"""On the balanced and on the three-phase network."""

REQUESTS: Final[dict[str, Document]] = {
    "congestion": {"element": "l1", "limit_a": 1.0},
    "capacity": {"element": "l2", "import_limit_w": 1},
    "reactive": {"element": "l1", "limit_var": 1},
    "voltage": {"buses": ["b"], "min_pu": 0.9999, "max_pu": 1.1},
    "unbalance": {"buses": ["b"], "max_vuf": 1e-6},
}


def balanced(kind: str) -> Document:
    """Three buses behind the source, of which two are a ring with it; two periods, the second with half the load."""
    lines = [*chain("s", "a", "b"), line("ring", "s", "b", r_ohm=2.0), line("k", "a", "c")]
    loads = [load(bus, w, w / 2, q_var=(w / 4, w / 3)) for bus, w in (("a", 2e5), ("b", 3e5), ("c", 1e5))]
    return document(lines=lines, baseline=loads, energy=[50.0, 90.0], requests=[request(kind)])


def unbalanced(kind: str) -> Document:
    """Two buses in three phases, each phase loaded in its own way."""
    lines = [phase_line("l1", "s", "a", x_ohm=0.1), phase_line("l2", "a", "b", x_ohm=0.05)]
    loads = [
        load(bus, w, w / 2, phase=phase, q_var=(w / 5, w / 5))  # type: ignore[arg-type]
        for bus, per_phase in (("a", (3e3, 1e3, 2e3)), ("b", (1e3, 4e3, 2e3)))
        for phase, w in zip("abc", per_phase, strict=True)
    ]
    buses = [{"id": name, "nominal_v": 400.0, "min_pu": 0.5, "max_pu": 1.5} for name in ("s", "a", "b")]
    return document(lines=lines, baseline=loads, buses=buses, phases=3, energy=[50.0, 90.0], requests=[request(kind)])


def request(kind: str) -> Document:
    return {"id": "r", "kind": kind, "max_price_eur_per_mwh": 3000, **REQUESTS[kind]}


def nodal(problem: ClearingProblem, change: FloatArray, shadow: float) -> FloatArray:
    """(period, 2 places) nodal prices after a change, with every requested limit at this price where it is seen."""
    point = Linearisation(problem, dispatch_at(problem, change))
    rows = point.rows(np.broadcast_to(requested(problem), point.dispatch.excess.shape))
    return point.nodal(rows, np.full(len(rows), shadow))


def requested(problem: ClearingProblem) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([each is not None for each in problem.limits.request]) & np.isfinite(problem.limits.bound).all(
        axis=0
    )


CASES: Final = [
    *((balanced, kind) for kind in ("congestion", "capacity", "reactive", "voltage")),
    *((unbalanced, kind) for kind in REQUESTS),
]


@pytest.mark.parametrize("together", [1, 10_000], ids=["one by one", "at once"])
@pytest.mark.parametrize(("make", "kind"), CASES, ids=[f"{make.__name__} {kind}" for make, kind in CASES])
def test_curvature_is_how_nodal_prices_change(
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[str], Document],
    kind: str,
    together: int,
) -> None:
    """Losses at 50 and 90 EUR/MWh and one kind of limit; central differences of 100 W, or 2 W in one phase."""
    monkeypatch.setattr(linearisation, "_TOGETHER", together)
    problem = problem_of(Case.model_validate(make(kind)))
    count, periods = problem.places.count, problem.periods
    nothing = np.zeros((periods, 2 * count))
    point = Linearisation(problem, dispatch_at(problem, nothing))
    rows = point.rows(np.broadcast_to(requested(problem), point.dispatch.excess.shape))
    shadow = 40.0 / np.abs(rows.slope).max()
    source = set(problem.grid.source_terminals.tolist())
    places = np.array([each for each in range(problem.grid.terminals) if each not in source], dtype=np.intp)

    curvature = point.hessians(np.arange(periods), places, rows, np.full(len(rows), shadow))

    for number, place in enumerate(places.tolist()):
        step = np.zeros_like(nothing)
        step[:, place] = size = STEP_MW[problem.grid.phases]
        slope = (nodal(problem, step, shadow) - nodal(problem, -step, shadow))[:, places] / (2 * size)
        assert curvature[:, number] == pytest.approx(slope, rel=1e-4, abs=1e-4 * np.abs(curvature).max())
