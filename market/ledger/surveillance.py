"""Suppliers' power over prices, after the fact: who is pivotal, whether it uses that, and who asks alike. Pure.

A supplier is pivotal in a period when the limits that a DSO asks for cannot be met as well without it. That is worked
out by clearing the same book without its offers, on the network; a residual supply index added up over a feeder would
count power that cannot reach the congestion. Whether asks and offers differ where it is pivotal is tested by ranks, as
nominations are (market.ledger.gaming).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Final, Literal

import numpy as np

from api_spec.surveillance import SimilarityFinding, SupplierFinding, SurveillanceReport
from api_spec.units import PRICE_PLACES
from market.ledger.gaming import LEAST, THRESHOLD, rank_sum

NEAR: Final = 0.02
"""Mean asks that are nearer than this are alike."""
TOGETHER: Final = 0.9
"""Rank correlation of changes from which on asks move together."""


@dataclass(frozen=True)
class Supplied:
    """One participant in one auction.

    ask_eur_per_mwh : mean of its offers' lowest asks, weighted by the energy they offer. offered : energy it offers to
    reduce in needed periods over what it nominated there; None where it nominated nothing. contribution_eur : what the
    auction would cost more without it.
    """

    ask_eur_per_mwh: float
    offered: float | None
    needed_periods: int
    pivotal_periods: int
    contribution_eur: Decimal
    promised_eur: Decimal


def report_of(
    network: str, books: Sequence[Mapping[str, Supplied]], *, since: datetime, until: datetime
) -> SurveillanceReport:
    """All participants and pairs of them, the most conspicuous first.

    books : by participant what it offered, of every auction in the order of time.
    """
    asks = [{name: own.ask_eur_per_mwh for name, own in book.items()} for book in books]
    names = sorted({name for each in asks for name in each})
    suppliers = [supplier_finding(network, name, [book[name] for book in books if name in book]) for name in names]
    pairs = [
        similarity_finding(network, one, other, [(own[one], own[other]) for own in asks if own.keys() >= {one, other}])
        for one, other in combinations(names, 2)
    ]
    return SurveillanceReport(
        network=network,
        since=since,
        until=until,
        auctions=len(books),
        suppliers=tuple(sorted(suppliers, key=lambda each: -max(each.ask_score, each.offer_score))),
        similarities=tuple(sorted(pairs, key=lambda each: (each.verdict != "conspicuous", each.distance))),
    )


def supplier_finding(network: str, participant: str, auctions: Sequence[Supplied]) -> SupplierFinding:
    """What a participant's offers look like over all its auctions."""
    pivotal = [each for each in auctions if each.pivotal_periods]
    other = [each for each in auctions if not each.pivotal_periods]
    asks, offered = ([list(of(group)) for group in (pivotal, other)] for of in (_asks, _offered))
    ask_score, offer_score = _score(*asks), -_score(*offered)
    needed, short = (sum(getattr(each, f"{name}_periods") for each in auctions) for name in ("needed", "pivotal"))
    uses_it = max(ask_score, offer_score) >= THRESHOLD
    return SupplierFinding(
        network=network,
        participant=participant,
        auctions=len(auctions),
        needed_periods=needed,
        pivotal_periods=short,
        pivotal_auctions=len(pivotal),
        pivotal_index=short / needed if needed else 0.0,
        contribution_eur=sum((each.contribution_eur for each in auctions), Decimal(0)),
        promised_eur=sum((each.promised_eur for each in auctions), Decimal(0)),
        asked_pivotal_eur_per_mwh=_price(asks[0]),
        asked_otherwise_eur_per_mwh=_price(asks[1]),
        offered_pivotal=_median(offered[0]),
        offered_otherwise=_median(offered[1]),
        ask_score=round(ask_score, 6),
        offer_score=round(offer_score, 6),
        verdict="conspicuous" if uses_it else "pivotal" if pivotal else "inconspicuous",
    )


def similarity_finding(network: str, first: str, second: str, asks: Sequence[tuple[float, float]]) -> SimilarityFinding:
    """How alike two participants ask; asks : of both, in the auctions in which both offered, in the order of time."""
    distance = float(np.median([abs(a - b) / max(abs(a), abs(b), 1e-9) for a, b in asks])) if asks else 1.0
    correlation = _moving_together(asks)
    together = distance <= NEAR and correlation is not None and correlation >= TOGETHER
    verdict: Literal["conspicuous", "inconspicuous", "too_few_auctions"] = (
        "too_few_auctions" if len(asks) < LEAST else "conspicuous" if together else "inconspicuous"
    )
    return SimilarityFinding(
        network=network,
        first=first,
        second=second,
        auctions=len(asks),
        distance=round(min(distance, 1.0), 6),
        correlation=None if correlation is None else round(correlation, 6),
        verdict=verdict,
    )


def _asks(auctions: Iterable[Supplied]) -> Iterable[float]:
    return (each.ask_eur_per_mwh for each in auctions)


def _offered(auctions: Iterable[Supplied]) -> Iterable[float]:
    return (each.offered for each in auctions if each.offered is not None)


def _score(pivotal: Sequence[float], other: Sequence[float]) -> float:
    return rank_sum(pivotal, other) if min(len(pivotal), len(other)) >= LEAST else 0.0


def _moving_together(asks: Sequence[tuple[float, float]]) -> float | None:
    changes = np.array([(later[0] - sooner[0], later[1] - sooner[1]) for sooner, later in pairwise(asks)])
    if len(changes) < 2 or not np.ptp(changes, axis=0).all():
        return None
    from scipy.stats import spearmanr  # noqa: PLC0415  (half a second to load, for every market that starts)

    return float(spearmanr(changes[:, 0], changes[:, 1]).statistic)


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 6) if values else None


def _price(values: Sequence[float]) -> Decimal | None:
    return Decimal(float(np.median(values))).quantize(Decimal(1).scaleb(-PRICE_PLACES)) if values else None
