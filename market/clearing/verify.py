"""Checks a result from the case alone, without the optimiser: nothing is published that this refuses."""

from decimal import Decimal
from importlib.metadata import version
from typing import Final

import numpy as np

from api_spec.award import OfferResult
from api_spec.case import Case
from api_spec.flexibility import CurveOffer, EnvelopeOffer
from api_spec.result import PriceParts, Result, Verification
from api_spec.units import MONEY_PLACES, series
from market.clearing.awards import asked_eur_per_h, most_offered_w
from market.clearing.linearisation import HARD_PRICE
from market.clearing.outcome import MET, in_tolerance_units
from market.clearing.problem import ClearingProblem, problem_of
from market.errors import ResultRefused
from market.network.model import BASE_VA, FloatArray
from market.network.operating_point import OperatingPoints

ENGINE: Final = f"power-grid-model {version('power-grid-model')}"
_PRICE: Final = 2e-4  # of at least 20 EUR/MWh
_LEAST_PRICE: Final = 20.0
_MONEY: Final = Decimal(2).scaleb(-MONEY_PLACES)


def verify(case: Case, result: Result) -> Verification:
    """What an independent power flow says of the dispatch in `result`.

    Raises ResultRefused with the first thing that does not hold: offers exceeded, a limit broken that is not reported
    as unmet, parts that do not add up, an amount that does not follow from price and power, a curve offer whose
    acceptance does not follow from its price.
    """
    problem = problem_of(case)
    change = _change(problem, result)
    points = problem.flow.solve(problem.p_w + change, problem.q_var)
    values = problem.quantities.values(points, change)
    violation = _violation(problem, result, values)
    _check_prices(problem, result)
    for offer, outcome in zip(problem.offers, result.offers, strict=True):
        price = result.prices_eur_per_mwh[offer.bus]
        assert isinstance(price, PriceParts), "balanced"
        _check_amounts(problem, offer, outcome, price)
        if isinstance(offer, CurveOffer):
            _check_acceptance(problem, offer, outcome, price)
    _check_cost(problem, result, points)
    return Verification(
        engine=ENGINE,
        max_violation_pu=float(f"{violation:.3g}"),
        mismatch_w=float(f"{points.mismatch_w:.3g}"),
        iterations=result.verification.iterations,
    )


def _change(problem: ClearingProblem, result: Result) -> FloatArray:
    """(period, bus) accepted change [W]; refuses what was not offered."""
    if [offer.id for offer in problem.offers] != [outcome.id for outcome in result.offers]:
        raise ResultRefused("the result does not answer exactly the offers of the case")
    change = np.zeros_like(problem.p_w)
    for offer, outcome in zip(problem.offers, result.offers, strict=True):
        for t, w in enumerate(outcome.power_w):
            low, high = most_offered_w(offer, t)
            if not low <= w <= high:
                raise ResultRefused(f"{offer.id}: {w} W awarded in period {t}, {low} to {high} W offered")
        if isinstance(offer, EnvelopeOffer):
            energy = np.cumsum(outcome.power_w) * problem.hours
            slack = np.minimum(energy - np.array(offer.energy_wh_min), np.array(offer.energy_wh_max) - energy)
            if slack.min() < -problem.hours:
                raise ResultRefused(f"{offer.id}: running energy leaves its envelope by {-slack.min():.1f} Wh")
        change[:, problem.grid.bus_at[offer.bus]] += outcome.power_w
    return change


def _violation(problem: ClearingProblem, result: Result, values: FloatArray) -> float:
    """Worst excess that is not reported as unmet."""
    limits = problem.limits
    excess = in_tolerance_units(problem, limits.excess(values))
    unmet = {(each.request, each.kind, each.element, each.period) for each in result.limits if each.unmet > 0}
    worst = 0.0
    for period, limit in np.argwhere(excess > 0):
        key = (limits.request[limit], limits.kind[limit], limits.element[limit], int(period))
        if key not in unmet:
            worst = max(worst, float(excess[period, limit]))
            if worst > MET:
                raise ResultRefused(f"{limits.kind[limit]} of {limits.element[limit]} is broken in period {period}")
    return worst


def _check_prices(problem: ClearingProblem, result: Result) -> None:
    for bus, price in result.prices_eur_per_mwh.items():
        assert isinstance(price, PriceParts), "balanced"
        parts = zip(price.energy, price.losses, price.congestion, price.voltage, price.unbalance, strict=True)
        if any(sum(each) != total for each, total in zip(parts, price.total, strict=True)):
            raise ResultRefused(f"the parts of the price at {bus} do not add up to it")
    if set(result.prices_eur_per_mwh) != set(problem.grid.bus_ids):
        raise ResultRefused("there is not exactly one price for every bus")


def _check_amounts(
    problem: ClearingProblem, offer: CurveOffer | EnvelopeOffer, outcome: OfferResult, price: PriceParts
) -> None:
    to_mwh = Decimal(repr(problem.hours)) / Decimal(10**6)
    earned = sum((-p * w for p, w in zip(price.total, outcome.power_w, strict=True)), Decimal(0)) * to_mwh
    asked = sum((asked_eur_per_h(offer, t, w) for t, w in enumerate(outcome.power_w)), Decimal(0)) * to_mwh
    if abs(outcome.payment_eur - earned) > _MONEY:
        raise ResultRefused(
            f"{offer.id}: paid {outcome.payment_eur} EUR where its power at its price is {earned:.4f} EUR"
        )
    if outcome.uplift_eur < 0 or outcome.payment_eur + outcome.uplift_eur < asked - _MONEY:
        raise ResultRefused(f"{offer.id}: paid less than the {asked:.4f} EUR that it asked")


def _check_acceptance(problem: ClearingProblem, offer: CurveOffer, outcome: OfferResult, price: PriceParts) -> None:
    """Complementary slackness: accepted where the price is above the ask, not where it is below."""
    for direction in (-1, 1):
        for t, worth in enumerate(-direction * float(p) for p in price.total):
            steps = [
                (float(series(step.price_eur_per_mwh, problem.periods)[t]), abs(step.power_w[t]))
                for step in offer.steps
                if step.power_w[t] * direction > 0
            ]
            margin = _PRICE * max(_LEAST_PRICE, abs(worth))
            surely = sum(w for ask, w in steps if ask < worth - margin)
            possibly = sum(w for ask, w in steps if ask <= worth + margin)
            taken = max(outcome.power_w[t] * direction, 0)
            both = any(step.power_w[t] * direction < 0 for step in offer.steps)
            if abs(worth) < HARD_PRICE and not both and not surely - 1 <= taken <= possibly + 1:
                raise ResultRefused(
                    f"{offer.id}: {taken} W accepted in period {t} where a price of {worth:.4f} EUR/MWh takes "
                    f"{surely} to {possibly} W"
                )


def _check_cost(problem: ClearingProblem, result: Result, points: OperatingPoints) -> None:
    """Recompute what the dispatch costs, without the unmet limits; the published cost is never below it."""
    offered = sum(
        float(asked_eur_per_h(offer, t, w))
        for offer, outcome in zip(problem.offers, result.offers, strict=True)
        for t, w in enumerate(outcome.power_w)
    )
    energy = float(problem.energy_price @ points.source_w + problem.losses_price @ points.losses_w)
    cost = (offered + energy) * problem.hours / BASE_VA
    published = float(result.cost_eur)
    off = published - cost
    if off < -1e-3 - 1e-6 * abs(cost) or (result.status != "partly_cleared" and off > 1e-3 + 1e-6 * abs(cost)):
        raise ResultRefused(f"the published cost is {published:.4f} EUR, the dispatch costs {cost:.4f} EUR")
