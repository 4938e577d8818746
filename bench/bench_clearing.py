"""Clearing 96 quarter-hours: case in, AC-exact verified result out.

(a) is the LinDistFlow programme of the same market as sparse matrices handed straight to HiGHS, (b) the same in Pyomo
with its persistent interface, both on one thread, from arrays to the solution. Losses are fixed there, so that its
cost is only about ours. Memory is the peak of a process of its own above its imports, the case included.
"""

from collections.abc import Iterator
from math import isclose
from typing import Final

from api_spec.case import Case
from bench.alone import clear_alone
from bench.lindistflow import Answer, solve_matrices
from bench.lindistflow_pyomo import solve_pyomo
from bench.linear_market import LinearMarket
from bench.measuring import Options, Row, best_of, progress, ratio
from market.clearing import clear

SIZES: Final = ((33, 100), (33, 1_000), (33, 10_000), (233, 100), (233, 1_000), (233, 10_000))


def run(options: Options) -> Iterator[Row]:
    for buses, offers in options.chosen(SIZES):
        progress(f"clearing: {buses} buses, {offers} offers")
        yield {
            "buses / offers": f"{buses} / {offers}",
            **_measured(options.case(buses, offers), with_pyomo=not options.quick or buses * offers <= 33_000),
        }


def _measured(case: Case, *, with_pyomo: bool) -> Row:
    linear = LinearMarket.of(case)
    a, answer = best_of(lambda: solve_matrices(linear))
    b = _in_pyomo(linear, answer) if with_pyomo else None
    ours, result = best_of(lambda: clear(case))
    return {
        "(a) s": str(a),
        "(b) s": "" if b is None else f"{b.seconds:.2f}",
        "ours s": str(ours),
        "ours / (a)": ratio(ours.seconds, a.seconds),
        "ours / (b)": "" if b is None else ratio(ours.seconds, b.seconds),
        "(a) EUR": f"{answer.objective_eur:.2f}",
        "ours EUR": f"{result.cost_eur:.2f}",
        "status": result.status,
        "iterations": str(result.verification.iterations),
        "peak MB": f"{clear_alone(case).peak_mb:.0f}",
        "rows x columns of (a)": f"{answer.rows} x {answer.columns}",
    }


def _in_pyomo(linear: LinearMarket, answer: Answer) -> Answer:
    """Anchor (b), which must find what (a) found."""
    _, pyomo = best_of(lambda: solve_pyomo(linear), most=1)
    if not isclose(pyomo.objective_eur, answer.objective_eur, rel_tol=1e-6, abs_tol=1e-6):
        raise RuntimeError(f"the anchors disagree: (a) {answer.objective_eur} EUR, (b) {pyomo.objective_eur} EUR")
    return pyomo
