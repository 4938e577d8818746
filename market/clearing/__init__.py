"""The market engine: from (network, baseline, requests, offers) to awards and nodal prices that are exact in AC.

`clear` is the whole of it, and reads like the story: problem_of (contract to arrays), optimise (the AC optimum),
nodal_prices, whole_watts, and verify, without which nothing leaves.
"""

import hashlib
from decimal import Decimal
from importlib.metadata import version

import numpy as np

from api_spec.case import Case
from api_spec.result import Result, SolverRecord, Status, Verification
from market.clearing.awards import Awards, in_money, offer_results, whole_watts
from market.clearing.linearisation import Dispatch, dispatches
from market.clearing.loop import DEFAULT, Optimum, Options, optimise
from market.clearing.outcome import limit_results, refuse_the_impossible, unmet_limits
from market.clearing.prices import nodal_prices, published
from market.clearing.problem import ClearingProblem, problem_of
from market.clearing.verify import ENGINE, verify

__all__ = ["Options", "clear", "verify"]


def clear(case: Case, options: Options = DEFAULT) -> Result:
    """Clear a case: the least-cost acceptance that satisfies AC power flow and limits, and the prices that support it.

    Raises NotSupported (a kind of offer or network that is not cleared yet), PowerFlowDiverged (the baseline has no AC
    solution), LimitCannotBeMet (a limit without maximum price), SolverFailed, ResultRefused (by `verify`).
    """
    problem = problem_of(case)
    optimum = optimise(problem, options)
    refuse_the_impossible(problem, optimum)
    prices = nodal_prices(problem, optimum)
    awards = whole_watts(problem, optimum.dispatch.accepted_mw, prices)
    after = dispatches(problem, awards.accepted_mw()[None])[0]
    by_bus = published(problem, prices)
    limits = limit_results(problem, optimum, after)
    unmet = any(limit.unmet > 0 for limit in limits)
    result = Result(
        case=case.name,
        input_sha256=hashlib.sha256(case.canonical_json().encode()).hexdigest(),
        status=_status(awards, unmet=unmet),
        cost_eur=in_money(_cost_eur(problem, optimum, after)),
        offers=offer_results(problem, awards, by_bus),
        prices_eur_per_mwh={**by_bus},
        limits=limits,
        verification=Verification(engine=ENGINE, max_violation_pu=0, mismatch_w=0, iterations=optimum.iterations),
        solver=_record(optimum),
    )
    return result.model_copy(update={"verification": verify(case, result)})


def _cost_eur(problem: ClearingProblem, optimum: Optimum, after: Dispatch) -> Decimal:
    """The objective at the published dispatch: energy, losses, offers, and unmet limits at their price."""
    broken = unmet_limits(problem, after)
    unmet = np.where(broken, after.excess, 0.0)
    return Decimal(repr(float((after.cost.sum() + (optimum.shadow * unmet).sum()) * problem.hours)))


def _status(awards: Awards, *, unmet: bool) -> Status:
    if unmet:
        return "partly_cleared"
    return "cleared" if awards.offer_w.any() else "nothing_needed"


def _record(optimum: Optimum) -> SolverRecord:
    parts = ("flexmarket", "highspy", "numpy", "power-grid-model", "pyomo", "scipy")
    return SolverRecord(
        versions={part: version(part) for part in parts},
        seconds={part: round(seconds, 4) for part, seconds in sorted(optimum.seconds.items())},
    )
