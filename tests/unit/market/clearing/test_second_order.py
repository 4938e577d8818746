"""Second derivatives of cost and limits are how their first derivatives change, in all periods at once."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pytest

from api_spec.case import Case
from market.clearing import linearisation, second_order
from market.clearing.dispatch import dispatch_at
from market.clearing.linearisation import Linearisation
from market.clearing.problem import ClearingProblem, problem_of
from market.clearing.second_order import curvature_of
from market.network.model import FloatArray, IntArray
from tests.small_cases import Document, chain, document, line, load, phase_line

SERVICES: Final = ("congestion", "capacity", "reactive", "voltage")
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


def feeders(kind: str) -> Document:
    """As balanced, with two feeders behind a busbar, of which one forks."""
    lines = [*chain("s", "h", "b"), line("k", "h", "a"), line("m", "a", "c"), line("n", "a", "d")]
    loads = [load(bus, w, w / 2, q_var=(w / 4, w / 3)) for bus, w in (("h", 5e4), ("b", 3e5), ("a", 2e5), ("d", 1e5))]
    return document(lines=lines, baseline=loads, energy=[50.0, 90.0], requests=[request(kind)])


def from_the_source(kind: str) -> Document:
    """Two feeders that meet at the source."""
    lines = [*chain("s", "a"), line("l2", "s", "b"), line("l3", "b", "c")]
    loads = [load(bus, w, w / 2, q_var=(w / 4, w / 3)) for bus, w in (("a", 2e5), ("b", 3e5), ("c", 1e5))]
    return document(lines=lines, baseline=loads, energy=[50.0, 90.0], requests=[request(kind)])


def unbalanced_feeders(kind: str) -> Document:
    """As unbalanced, with a third bus beside the second."""
    asked = unbalanced(kind)
    asked["network"]["buses"].append({"id": "c", "nominal_v": 400.0, "min_pu": 0.5, "max_pu": 1.5})
    asked["network"]["lines"].append(phase_line("l3", "a", "c", x_ohm=0.08))
    asked["baseline"] += [load("c", 2e3, 1e3, phase="b", q_var=(500.0, 300.0))]
    return asked


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


PARTS: Final[dict[Callable[[str], Document], int]] = {
    balanced: 1,
    feeders: 3,
    from_the_source: 2,
    unbalanced: 2,
    unbalanced_feeders: 3,
}
"""What is left of each network without its busbar, and that; where nothing forks, the busbar is the last bus."""
CASES: Final = [(make, kind) for make in PARTS for kind in (REQUESTS if "unbalanced" in make.__name__ else SERVICES)]


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
    monkeypatch.setattr(second_order, "_WORTH_IT", 1.0)
    problem = problem_of(Case.model_validate(make(kind)))
    count, periods = problem.places.count, problem.periods
    nothing = np.zeros((periods, 2 * count))
    point = Linearisation(problem, dispatch_at(problem, nothing))
    rows = point.rows(np.broadcast_to(requested(problem), point.dispatch.excess.shape))
    shadow = 40.0 / np.abs(rows.slope).max()
    places = away_from_the_source(problem)

    curvature = curvature_of(point, np.arange(periods), places, rows, np.full(len(rows), shadow))

    assert len(curvature.parts) == PARTS[make]
    matrix = curvature.dense()
    for number, place in enumerate(places.tolist()):
        step = np.zeros_like(nothing)
        step[:, place] = size = STEP_MW[problem.grid.phases]
        slope = (nodal(problem, step, shadow) - nodal(problem, -step, shadow))[:, places] / (2 * size)
        assert matrix[:, number] == pytest.approx(slope, rel=1e-4, abs=1e-4 * np.abs(matrix).max())


@pytest.mark.parametrize("make", PARTS)
def test_rough_curvature_is_right_in_the_middle_period_and_near_in_the_other(make: Callable[[str], Document]) -> None:
    """The other has half as much load, so that voltages answer to it by a few percent less."""
    problem = problem_of(Case.model_validate(make("voltage")))
    point = Linearisation(problem, dispatch_at(problem, np.zeros((2, 2 * problem.places.count))))
    rows = point.rows(np.broadcast_to(requested(problem), point.dispatch.excess.shape))
    places, shadow = away_from_the_source(problem), np.full(len(rows), 40.0 / np.abs(rows.slope).max())

    exact, rough = (
        curvature_of(point, np.arange(2), places, rows, shadow, rough=each).dense() for each in (False, True)
    )

    apart = np.abs(rough - exact).max(axis=(1, 2)) / np.abs(exact).max(axis=(1, 2))
    assert apart[1] < 1e-12
    assert 1e-6 < apart[0] < 0.15


def away_from_the_source(problem: ClearingProblem) -> IntArray:
    """(k,) terminals, and in three phases buses."""
    source = set(problem.grid.source_terminals.tolist())
    return np.array([each for each in range(problem.grid.terminals) if each not in source], dtype=np.intp)
