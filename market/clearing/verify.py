"""Checks a result from the case alone, without the optimiser: nothing is published that this refuses."""

from decimal import Decimal
from importlib.metadata import version
from typing import Final

import numpy as np

from api_spec.case import Case
from api_spec.grid import Phase
from api_spec.result import PriceParts, Result, Verification
from api_spec.units import MONEY_PLACES
from market.clearing.columns import NONE
from market.clearing.dispatch import Dispatch, dispatch_at
from market.clearing.linearisation import HARD_PRICE
from market.clearing.outcome import MET, in_tolerance_units
from market.clearing.prices import MICRO, PARTS, NodalPrices
from market.clearing.problem import ClearingProblem, problem_of
from market.clearing.terms import asked_eur_per_h
from market.errors import ResultRefused
from market.network.model import BASE_VA, PHASES, FloatArray, IntArray

ENGINE: Final = f"power-grid-model {version('power-grid-model')}"
_PRICE: Final = 2e-4  # of at least 20 EUR/MWh
_LEAST_PRICE: Final = 20.0
_MONEY: Final = Decimal(2).scaleb(-MONEY_PLACES)
_GAP: Final = 5e-4  # of what offers ask and earn


def verify(case: Case, result: Result, *, problem: ClearingProblem | None = None) -> Verification:
    """What an independent power flow says of the dispatch in `result`.

    Raises ResultRefused with the first thing that does not hold: offers exceeded, a limit broken that is not reported
    as unmet, parts that do not add up, an amount that does not follow from price and power, an acceptance that does not
    follow from its price, a cost that the dispatch does not have. problem : of this case, where it is at hand.
    """
    problem = problem or problem_of(case)
    power_w, q_var = _accepted(problem, result)
    _check_offered(problem, power_w, q_var)
    after = dispatch_at(problem, problem.change_of_offers(power_w, q_var))
    violation = _violation(problem, result, after)
    prices = _prices(problem, result)
    if result.coordination is None or result.coordination.rule == "joint":
        _check_acceptance(problem, power_w, prices)
    _check_amounts(problem, result, power_w, prices)
    _check_cost(problem, result, after)
    points = after.points(problem)
    return Verification(
        engine=ENGINE,
        max_violation_pu=float(f"{violation:.3g}"),
        mismatch_w=float(f"{points.mismatch_w:.3g}"),
        iterations=result.verification.iterations,
    )


def _accepted(problem: ClearingProblem, result: Result) -> tuple[IntArray, IntArray]:
    """(offer, period) accepted change [W] and [var]."""
    if [offer.id for offer in problem.offers] != [outcome.id for outcome in result.offers]:
        raise ResultRefused("the result does not answer exactly the offers of the case")
    shape = (len(result.offers), problem.periods)
    power_w, q_var = np.zeros(shape, dtype=np.intp), np.zeros(shape, dtype=np.intp)
    for number, outcome in enumerate(result.offers):
        if any(outcome.power_w):
            power_w[number] = outcome.power_w
        if outcome.q_var is not None:
            q_var[number] = outcome.q_var
    return power_w, q_var


def _check_offered(problem: ClearingProblem, power_w: IntArray, q_var: IntArray) -> None:
    """Refuses what was not offered, and what the rules of envelopes and blocks do not allow."""
    for table, unit, (low, high) in zip((power_w, q_var), ("W", "var"), _offered(problem), strict=True):
        outside = np.argwhere((table < low) | (table > high))
        if len(outside):
            o, t = outside[0].tolist()
            name = problem.offers[o].id
            span = f"{low[o, t]} to {high[o, t]} {unit} offered"
            raise ResultRefused(f"{name}: {table[o, t]} {unit} awarded in period {t}, {span}")
    fleets = problem.envelopes
    energy = np.cumsum(power_w[fleets.offer], axis=1) / BASE_VA
    leaves = np.maximum(fleets.low - energy, energy - fleets.high) * BASE_VA > 1
    if leaves.any():
        row, t = np.argwhere(leaves)[0].tolist()
        raise ResultRefused(f"{problem.offers[fleets.offer[row]].id}: running energy leaves its envelope in period {t}")
    _check_blocks(problem, power_w)


def _offered(problem: ClearingProblem) -> list[tuple[IntArray, IntArray]]:
    """(offer, period) least and greatest change that is offered [W], then [var]."""
    columns = problem.columns
    share, entry = columns.entries_of_shares()
    change = np.rint(columns.weight[entry] * columns.share_w[share]).astype(np.intp)
    reactive = columns.place[entry] >= problem.places.count
    found = []
    for chosen in (~reactive, reactive):
        low, high = (np.zeros((len(problem.offers), problem.periods), dtype=np.intp) for _ in range(2))
        at = columns.share_offer[share], columns.period[entry]
        for table, side in ((low, change < 0), (high, change > 0)):
            use = chosen & side
            np.add.at(table, (at[0][use], at[1][use]), change[use])
        found.append((low, high))
    return found


def _check_blocks(problem: ClearingProblem, power_w: IntArray) -> None:
    """One factor for a whole profile, one block of a group, none without the offer that it requires."""
    blocks = problem.blocks
    accepted = power_w[blocks.offer].any(axis=1)
    for number in np.flatnonzero(accepted).tolist():
        offer = problem.offers[blocks.offer[number]]
        assert offer.kind == "block", "by construction"
        profile, taken = np.array(offer.power_w, dtype=np.float64), power_w[blocks.offer[number]].astype(np.float64)
        there = profile != 0
        least = ((np.abs(taken) - 1)[there] / np.abs(profile)[there]).max()
        most = ((np.abs(taken) + 1)[there] / np.abs(profile)[there]).min()
        if least > most or most < offer.min_activation or (taken * profile < 0).any():
            raise ResultRefused(f"{offer.id}: not one factor of its profile, or less than its least activation")
        needed = int(blocks.requires[number])
        if needed != NONE and not power_w[needed].any():
            raise ResultRefused(f"{offer.id} is accepted without {problem.offers[needed].id}, which it requires")
    groups = blocks.group[accepted & (blocks.group != NONE)]
    if len(np.unique(groups)) < len(groups):
        raise ResultRefused("more than one block of an exclusive group is accepted")


def _violation(problem: ClearingProblem, result: Result, after: Dispatch) -> float:
    """Worst excess that is not reported as unmet."""
    limits = problem.limits
    excess = in_tolerance_units(problem, after.excess)
    unmet = {
        (each.request, each.kind, each.element, each.phase, each.period) for each in result.limits if each.unmet > 0
    }
    worst = 0.0
    for period, limit in np.argwhere(excess > 0).tolist():
        key = (limits.request[limit], limits.kind[limit], limits.element[limit], limits.phase[limit], period)
        if key not in unmet:
            worst = max(worst, float(excess[period, limit]))
            if worst > MET:
                raise ResultRefused(f"{limits.kind[limit]} of {limits.element[limit]} is broken in period {period}")
    return worst


def _prices(problem: ClearingProblem, result: Result) -> NodalPrices:
    """Published prices as whole millionths; refuses parts that do not add up, and buses without a price."""
    if set(result.prices_eur_per_mwh) != set(problem.grid.bus_ids):
        raise ResultRefused("there is not exactly one price for every bus")
    names = (*PARTS, "total")
    read = {name: np.zeros((problem.periods, problem.grid.terminals), dtype=np.intp) for name in names}
    known: dict[tuple[Decimal, ...], IntArray] = {}
    for terminal, (bus, phase) in enumerate(_terminals(problem)):
        price = result.prices_eur_per_mwh[bus]
        own = price if isinstance(price, PriceParts) else price[phase]  # type: ignore[index]
        for name in names:
            series = getattr(own, name)
            if series not in known:
                known[series] = np.array([int(each.scaleb(6)) for each in series], dtype=np.intp)
            read[name][:, terminal] = known[series]
    total = read.pop("total")
    prices = NodalPrices(read)
    apart = np.argwhere(prices.total != total)
    if len(apart):
        bus, phase = _terminals(problem)[int(apart[0, 1])]
        raise ResultRefused(f"the parts of the price at {' '.join(filter(None, (bus, phase)))} do not add up to it")
    return prices


def _terminals(problem: ClearingProblem) -> list[tuple[str, Phase | None]]:
    if problem.grid.phases == 1:
        return [(bus, None) for bus in problem.grid.bus_ids]
    return [(bus, phase) for bus in problem.grid.bus_ids for phase in PHASES]


def _check_amounts(problem: ClearingProblem, result: Result, power_w: IntArray, prices: NodalPrices) -> None:
    """Nobody is paid less than asked; under nodal prices, payments are what power earns there."""
    price, parts = prices.at_places(problem)
    to_mwh = Decimal(repr(problem.hours)) / Decimal(10**6)
    for number, outcome in enumerate(result.offers):
        paid = outcome.payment_eur + outcome.uplift_eur
        if not power_w[number].any() and outcome.q_var is None:
            if paid != 0:
                raise ResultRefused(f"{outcome.id}: paid {paid} EUR for nothing")
            continue
        if result.pricing == "dlmp":
            place = int(problem.offer_place[number])
            earned = sum(-p * w for p, w in zip(price[:, place].tolist(), outcome.power_w, strict=True))
            due = Decimal(earned) / MICRO / int(parts[place]) * to_mwh
            if abs(outcome.payment_eur - due) > _MONEY:
                raise ResultRefused(
                    f"{outcome.id}: paid {outcome.payment_eur} EUR where its power at its price is {due:.4f} EUR"
                )
        asked = asked_eur_per_h(problem.offers[number], outcome.power_w, outcome.q_var) * to_mwh
        if outcome.uplift_eur < 0 or paid < asked - _MONEY:
            raise ResultRefused(f"{outcome.id}: paid less than the {asked:.4f} EUR that it asked")


def _check_acceptance(problem: ClearingProblem, power_w: IntArray, prices: NodalPrices) -> None:
    """Complementary slackness of curve offers: accepted where the price is above the ask, not where it is below."""
    columns = problem.columns
    entry = np.searchsorted(columns.column, columns.share_column)
    curve = np.array([offer.kind == "curve" for offer in problem.offers], dtype=np.bool_)
    own = np.flatnonzero(curve[columns.share_offer] & (columns.place[entry] < problem.places.count))
    entry, offer, period = entry[own], columns.share_offer[own], columns.period[entry[own]]
    sign = columns.weight[entry].astype(np.intp)
    price, parts = prices.at_places(problem)
    worth = -sign * price[period, columns.place[entry]] / parts[columns.place[entry]] / MICRO
    margin = _PRICE * np.maximum(_LEAST_PRICE, np.abs(worth))
    ask, size = columns.ask[columns.share_column[own]], columns.share_w[own]
    surely, possibly, there = (np.zeros((2, *power_w.shape), dtype=np.intp) for _ in range(3))
    at = ((sign > 0).astype(np.intp), offer, period)
    np.add.at(surely, at, np.where(ask < worth - margin, size, 0))
    np.add.at(possibly, at, np.where(ask <= worth + margin, size, 0))
    there[at] = np.where(np.abs(worth) < HARD_PRICE, 1, 0)
    one_way = there.sum(axis=0) == 1
    for up, taken in ((0, np.maximum(-power_w, 0)), (1, np.maximum(power_w, 0))):
        wrong = (taken < surely[up] - 1) | (taken > possibly[up] + 1)
        found = np.argwhere(wrong & one_way & (there[up] > 0))
        if len(found):
            o, t = found[0].tolist()
            p = price[t, problem.offer_place[o]] / parts[problem.offer_place[o]] / MICRO
            raise ResultRefused(
                f"{problem.offers[o].id}: {taken[o, t]} W accepted in period {t} where a price of {p:.4f} EUR/MWh "
                f"takes {surely[up, o, t]} to {possibly[up, o, t]} W"
            )


def duality_gap_eur(
    problem: ClearingProblem, power_w: IntArray, prices: NodalPrices, energy_price: FloatArray
) -> float:
    """How much more all divisible offers together could at most earn at the published prices than they do [EUR].

    Weak duality: with any prices of running energies : (envelope, period) [EUR/h per MW] this bounds it from above.
    """
    columns, fleets = problem.columns, problem.envelopes
    price, parts = prices.at_places(problem)
    nodal = np.concatenate([price / parts / MICRO, np.zeros_like(price, dtype=np.float64)], axis=1)
    single = np.ones(len(columns), dtype=np.bool_)
    single[problem.blocks.column] = False
    entry = np.searchsorted(columns.column, np.arange(len(columns)))
    single &= columns.place[entry] < problem.places.count
    reduced = columns.ask + columns.worth(nodal)
    worth = np.cumsum(energy_price[:, ::-1], axis=1)[:, ::-1]
    own = np.flatnonzero(fleets.of_column != NONE)
    reduced[own] -= columns.weight[entry[own]] * worth[fleets.of_column[own], columns.period[entry[own]]]
    most = float((columns.upper_mw * np.maximum(-reduced, 0.0))[single].sum())
    bounds = np.where(energy_price > 0, fleets.low, np.where(energy_price < 0, fleets.high, 0.0))
    most -= float((energy_price * bounds).sum())
    taken = np.setdiff1d(np.arange(len(problem.offers)), problem.blocks.offer)
    place = problem.offer_place[taken]
    earned = float((-(price[:, place] / parts[place]).T / MICRO * power_w[taken]).sum()) / BASE_VA
    asked = sum(
        float(asked_eur_per_h(problem.offers[o], tuple(power_w[o].tolist()), None)) for o in taken if power_w[o].any()
    )
    return (most - (earned - asked / BASE_VA)) * problem.hours


def check_gap(gap_eur: float, turnover_eur: float) -> None:
    """Refuse a result whose acceptance the prices do not support."""
    if gap_eur > 1e-3 + _GAP * turnover_eur:
        raise ResultRefused(f"offers could earn {gap_eur:.4f} EUR more at the published prices than they do")


def _check_cost(problem: ClearingProblem, result: Result, after: Dispatch) -> None:
    """Recompute what the dispatch costs, without the unmet limits; the published cost is never below it."""
    offered = sum(
        float(asked_eur_per_h(offer, outcome.power_w, outcome.q_var))
        for offer, outcome in zip(problem.offers, result.offers, strict=True)
        if any(outcome.power_w) or outcome.q_var is not None
    )
    cost = (offered / BASE_VA + float(after.cost.sum())) * problem.hours
    published = float(result.cost_eur)
    off = published - cost
    if off < -1e-3 - 1e-6 * abs(cost) or (result.status != "partly_cleared" and off > 1e-3 + 1e-6 * abs(cost)):
        raise ResultRefused(f"the published cost is {published:.4f} EUR, the dispatch costs {cost:.4f} EUR")
