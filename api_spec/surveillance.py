"""What the operator sees of suppliers' power over prices: who cannot be done without, who uses it, who asks alike."""

from typing import Literal

from api_spec.ids import NetworkId, OrganisationId
from api_spec.period import Instant
from api_spec.units import Count, EurPerMwh, Fraction, Message, Money, NonNegative, Real


class SupplierFinding(Message):
    """How a participant's offers behave where its network needs them, over all auctions in which it offered.

    needed_periods : with a requested limit that the baseline breaks. pivotal_periods : of them, those in which more is
    left unmet when the auction is cleared without this participant; pivotal_auctions have at least one of them, and
    pivotal_index is the share of pivotal periods. contribution_eur : what clearing without it would cost more,
    limits left unmet at their maximum prices; nothing is counted of auctions that could not be cleared at all without
    it. promised_eur : of its awards.

    asked_eur_per_mwh : median of its mean asks, where it was pivotal and where not; offered : median share of its
    nominated energy that it offered to reduce in needed periods. ask_score, offer_score : rank-sum statistics of the
    two, standard normal where it behaves alike; positive = dearer, less, where it is pivotal.

    verdict : `conspicuous` asks more or offers less where it is pivotal, above a threshold that who behaves alike
    passes once in 740 reports; a reason to ask and no proof. `pivotal` could do so and does not, or has been seen too
    seldom to say.
    """

    network: NetworkId
    participant: OrganisationId
    auctions: Count
    needed_periods: Count
    pivotal_periods: Count
    pivotal_auctions: Count
    pivotal_index: Fraction
    contribution_eur: Money
    promised_eur: Money
    asked_pivotal_eur_per_mwh: EurPerMwh | None
    asked_otherwise_eur_per_mwh: EurPerMwh | None
    offered_pivotal: NonNegative | None
    offered_otherwise: NonNegative | None
    ask_score: Real
    offer_score: Real
    verdict: Literal["conspicuous", "pivotal", "inconspicuous"]


class SimilarityFinding(Message):
    """How alike two participants ask, over the auctions in which both offered.

    distance : median difference of their mean asks, as a share of the higher. correlation : rank correlation of the
    changes of their asks from auction to auction; absent where one of them never changes. verdict : conspicuous where
    asks are near each other and move together, which is a reason to ask and no proof: common costs move alike, too.
    """

    network: NetworkId
    first: OrganisationId
    second: OrganisationId
    auctions: Count
    distance: Fraction
    correlation: Real | None
    verdict: Literal["conspicuous", "inconspicuous", "too_few_auctions"]


class SurveillanceReport(Message):
    """Of a network and a time span, the most conspicuous first. auctions : that were looked at."""

    network: NetworkId
    since: Instant
    until: Instant
    auctions: Count
    suppliers: tuple[SupplierFinding, ...]
    similarities: tuple[SimilarityFinding, ...]
