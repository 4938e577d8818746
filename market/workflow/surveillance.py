"""The surveillance report, after the fact: every book of a span is cleared again without each of its participants."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

import numpy as np

from api_spec.auction import Auction
from api_spec.case import Case
from api_spec.defects import Defect
from api_spec.flexibility import FlexOffer
from api_spec.result import Result
from api_spec.surveillance import SurveillanceReport
from market.clearing import clear
from market.clearing.terms import lowest_ask, offered_range_w
from market.errors import LimitCannotBeMet, NotAdmitted
from market.ledger.baselines.history import FloatArray
from market.ledger.surveillance import Supplied, report_of
from market.store import UnitOfWork
from market.workflow.clearing import options_of

_MOST: Final = timedelta(days=31)
_TOLERANCE: Final = 1e-3
"""Of a limit: less than that is not left unmet."""

Unmet: TypeAlias = dict[int, float]
"""By period, what is missing of requested limits, each as a share of the limit."""


def surveillance_report(network: str, *, since: datetime, until: datetime, work: UnitOfWork) -> SurveillanceReport:
    """What the offers of a network's cleared auctions look like, by participant and by pairs of them.

    Counts auctions whose delivery lies within the span. Continuous trading is left out: it has no single book.
    Raises NotAdmitted for a span of more than 31 days: every auction is cleared once more for each participant.
    """
    looked_at = supplied(network, since=since, until=until, work=work)
    return report_of(network, [own for _, own in looked_at], since=since, until=until)


def supplied(
    network: str, *, since: datetime, until: datetime, work: UnitOfWork
) -> list[tuple[datetime, dict[str, Supplied]]]:
    """What the report is made from: the start of each delivery, and everybody who offered something for it.

    Raises NotAdmitted for a span of more than 31 days.
    """
    work.participants.network(network)
    if not timedelta(0) < until - since <= _MOST or since.year < 2000:
        raise NotAdmitted((Defect("/until", "must be after `since`, at most 31 days, in this century"),))
    published = work.auctions.published_on(network, since=since)
    books = [each for each in published if since <= each.delivery.start and each.product.trading == "auction"]
    return [
        (book.delivery.start, dict(_supplied(book, work)))
        for book in sorted(books, key=lambda each: each.delivery.start)
        if book.delivery.end <= until
    ]


def _supplied(book: Auction, work: UnitOfWork) -> Iterator[tuple[str, Supplied]]:
    """Every participant that offered something in an auction; what contracts let the DSO call is no offer of theirs."""
    published = work.auctions.published(book.id)
    if published is None:
        return
    rights = {right.offer.id for right in work.contracts.rights(book.id)}
    case, result = published.case, published.result
    needed = {each.period for each in result.limits if each.request is not None}
    left = _unmet(result)
    nominated = {own.participant: own.buses for own in work.orders.baselines(book.id)}
    offers: dict[str, list[FlexOffer]] = defaultdict(list)
    for offer in case.offers:
        if offer.id not in rights and _energy_wh(case, offer):
            offers[offer.participant].append(offer)
    for participant, own in sorted(offers.items()):
        without, cost_eur = _without(case, own, book)
        pivotal = {at for at in needed if without.get(at, 0.0) > left.get(at, 0.0) + _TOLERANCE}
        energy_wh = {offer.id: _energy_wh(case, offer) for offer in own}
        ask = sum(float(lowest_ask(offer)) * energy_wh[offer.id] for offer in own) / sum(energy_wh.values())
        usual_w: FloatArray = np.sum([each.power_w for each in nominated[participant]], axis=0, dtype=np.float64)
        promised = (each for each in result.offers if each.id in energy_wh)
        yield (
            participant,
            Supplied(
                ask_eur_per_mwh=ask,
                offered=_offered_share(own, usual_w, sorted(needed)),
                needed_periods=len(needed),
                pivotal_periods=len(pivotal),
                contribution_eur=max(Decimal(0), cost_eur - result.cost_eur),
                promised_eur=sum((each.payment_eur + each.uplift_eur for each in promised), Decimal(0)),
            ),
        )


def _without(case: Case, own: list[FlexOffer], book: Auction) -> tuple[Unmet, Decimal]:
    """What stays unmet without these offers, and what the auction then costs; nothing where it cannot be cleared."""
    gone = {offer.id for offer in own}
    others = tuple(offer for offer in case.offers if offer.id not in gone)
    try:
        result = clear(case.model_copy(update={"offers": others}), options_of(book.product))
    except LimitCannotBeMet as failure:
        return {case.market_period.index(each.start): 1.0 for each in failure.missing}, Decimal(0)
    return _unmet(result), result.cost_eur


def _unmet(result: Result) -> Unmet:
    missing: Unmet = defaultdict(float)
    for each in result.limits:
        if each.request is not None:
            missing[each.period] += each.unmet / max(abs(each.limit), _TOLERANCE)
    return missing


def _energy_wh(case: Case, offer: FlexOffer) -> float:
    """The most that an offer could reduce or, where it reduces nothing, add [Wh]."""
    low, high = offered_range_w(offer)
    return float(-low.sum() or high.sum()) * case.market_period.hours


def _offered_share(own: list[FlexOffer], usual_w: FloatArray, needed: list[int]) -> float | None:
    """Energy offered to reduce in needed periods, as a share of what was nominated there."""
    if not needed or usual_w[needed].sum() <= 0:
        return None
    offered_w = sum(-offered_range_w(each)[0][needed].sum() for each in own)
    return float(offered_w / usual_w[needed].sum())
