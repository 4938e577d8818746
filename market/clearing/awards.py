"""Accepted fractions to whole watts, payments, and the reason of every offer that was not accepted in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from api_spec.award import OfferResult, Reason
from api_spec.flexibility import CurveOffer, EnvelopeOffer
from api_spec.result import PriceParts
from api_spec.units import MONEY_PLACES, EurPerMwh, series
from market.clearing.prices import NodalPrices
from market.clearing.problem import ClearingProblem, Envelope
from market.network.model import BASE_VA, FloatArray, IntArray

_CENT_OF_A_CENT: Final = Decimal(1).scaleb(-MONEY_PLACES)
_NEARLY_WHOLE_W: Final = 1e-3


@dataclass(frozen=True, eq=False)
class Awards:
    """Accepted power in whole watts. column_w : (column,) magnitudes. offer_w : (offer, period) change, signed."""

    column_w: IntArray
    offer_w: IntArray

    def accepted_mw(self) -> FloatArray:
        """(column,) accepted power [MW], as the power flow takes it."""
        return self.column_w / BASE_VA


def whole_watts(problem: ClearingProblem, accepted_mw: FloatArray, prices: NodalPrices) -> Awards:
    """Round the optimum to whole watts without leaving what was offered.

    A column of curve steps that relieves a limit is rounded up: one watt too little would leave the limit broken. One
    that strains it is rounded down. Envelopes are rounded by their running energy, which so stays within its bounds.
    """
    columns = problem.columns
    accepted_w = accepted_mw * BASE_VA
    relief = -columns.sign * (prices.parts["congestion"] + prices.parts["voltage"])[columns.period, columns.bus]
    up, down = (np.ceil(accepted_w - _NEARLY_WHOLE_W), np.floor(accepted_w + _NEARLY_WHOLE_W))
    upper_w = np.array([share.sum() for share in columns.shares_w], dtype=np.float64)
    column_w = np.clip(np.where(relief > 0, up, down), 0.0, upper_w).astype(np.intp)
    for each in problem.envelopes:
        _round_running_energy(each, accepted_w, column_w)
    offer_w = np.zeros((len(problem.offers), problem.periods), dtype=np.intp)
    for column, whole in enumerate(column_w):
        shares = pro_rata(int(whole), columns.shares_w[column])
        np.add.at(offer_w, (columns.offers[column], columns.period[column]), int(columns.sign[column]) * shares)
    return Awards(column_w, offer_w)


def _round_running_energy(envelope: Envelope, accepted_w: FloatArray, column_w: IntArray) -> None:
    more = np.where(envelope.more >= 0, accepted_w[envelope.more], 0.0)
    less = np.where(envelope.less >= 0, accepted_w[envelope.less], 0.0)
    change = np.diff(np.floor(np.cumsum(more - less) + 0.5), prepend=0.0).astype(np.intp)
    for columns, magnitude in ((envelope.more, np.maximum(change, 0)), (envelope.less, np.maximum(-change, 0))):
        there = columns >= 0
        column_w[columns[there]] = magnitude[there]


def pro_rata(whole: int, shares: IntArray) -> IntArray:
    """Whole watts split in proportion to what each could give; the last watts go in the order of the offers' ids."""
    total = int(shares.sum())
    split = np.array([whole * int(share) // total for share in shares], dtype=np.intp)
    for at in range(len(shares)):
        if split.sum() == whole:
            break
        split[at] += 1
    return split


def offer_results(problem: ClearingProblem, awards: Awards, prices: dict[str, PriceParts]) -> tuple[OfferResult, ...]:
    """What every offer is told, in the order of ids."""
    return tuple(
        _offer_result(problem, offer, awards.offer_w[number], prices[offer.bus].total)
        for number, offer in enumerate(problem.offers)
    )


def _offer_result(
    problem: ClearingProblem, offer: CurveOffer | EnvelopeOffer, power_w: IntArray, price: Sequence[EurPerMwh]
) -> OfferResult:
    change = tuple(int(w) for w in power_w)
    to_mwh = Decimal(repr(problem.hours)) / Decimal(10**6)
    payment = sum((-p * w * to_mwh for p, w in zip(price, change, strict=True)), Decimal(0))
    asked = sum((asked_eur_per_h(offer, t, w) for t, w in enumerate(change)), Decimal(0)) * to_mwh
    return OfferResult(
        id=offer.id,
        power_w=change,
        payment_eur=in_money(payment),
        uplift_eur=in_money(max(in_money(asked) - in_money(payment), Decimal(0))),
        reason=_reason(problem, offer, change, price),
    )


def in_money(amount: Decimal) -> Decimal:
    """An amount rounded to 1e-4 EUR; never minus zero."""
    return amount.quantize(_CENT_OF_A_CENT) + 0


def asked_eur_per_h(offer: CurveOffer | EnvelopeOffer, period: int, change_w: int) -> Decimal:
    """What an offer asks for a change [W x EUR/MWh]: its cheapest steps in that direction first."""
    count = len(offer.power_w_min) if isinstance(offer, EnvelopeOffer) else len(offer.steps[0].power_w)
    if isinstance(offer, EnvelopeOffer):
        return series(offer.price_eur_per_mwh, count)[period] * abs(change_w)
    steps = sorted((series(step.price_eur_per_mwh, count)[period], step.power_w[period]) for step in offer.steps)
    left, total = abs(change_w), Decimal(0)
    for price, w in steps:
        if w * change_w > 0:
            taken = min(left, abs(w))
            total, left = total + price * taken, left - taken
    return total


def most_offered_w(offer: CurveOffer | EnvelopeOffer, period: int) -> tuple[int, int]:
    """Least and greatest change of consumption that an offer allows in a period [W]."""
    if isinstance(offer, EnvelopeOffer):
        return offer.power_w_min[period], offer.power_w_max[period]
    powers = [step.power_w[period] for step in offer.steps]
    return sum(w for w in powers if w < 0), sum(w for w in powers if w > 0)


def _reason(
    problem: ClearingProblem, offer: CurveOffer | EnvelopeOffer, change: tuple[int, ...], price: Sequence[EurPerMwh]
) -> Reason | None:
    """None where every period is accepted in full; envelopes are never "in full", their energy is what is used."""
    ranges = [most_offered_w(offer, t) for t in range(problem.periods)]
    in_full = all(w != 0 and w in span for w, span in zip(change, ranges, strict=True) if span != (0, 0))
    if isinstance(offer, CurveOffer) and in_full:
        return None
    # An offer that only lowers consumption earns the nodal price, one that only raises it the opposite; of one that
    # does both, the better of the two counts.
    worth = tuple(
        -p if low == 0 and high > 0 else p if high == 0 else max(p, -p)
        for p, (low, high) in zip(price, ranges, strict=True)
    )
    best = max(range(problem.periods), key=lambda t: worth[t])
    when = problem.case.market_period.starts()[best]
    at_best = f"the most it could have earned at {offer.bus} was {worth[best]:.2f} EUR/MWh at {when:%Y-%m-%d %H:%M} UTC"
    if any(change):
        return Reason(
            code="partly_needed",
            detail=f"more was not needed at its price; {at_best}",
            would_clear_at_eur_per_mwh=worth,
        )
    if worth[best] <= 0:
        detail = f"no limit made its change worth anything at {offer.bus}"
        return Reason(code="not_needed", detail=detail, would_clear_at_eur_per_mwh=worth)
    detail = f"asks at least {_lowest_ask(problem, offer):.2f} EUR/MWh; {at_best}"
    return Reason(code="too_expensive", detail=detail, would_clear_at_eur_per_mwh=worth)


def _lowest_ask(problem: ClearingProblem, offer: CurveOffer | EnvelopeOffer) -> Decimal:
    asks = [offer.price_eur_per_mwh] if isinstance(offer, EnvelopeOffer) else [s.price_eur_per_mwh for s in offer.steps]
    return min(min(series(ask, problem.periods)) for ask in asks)
