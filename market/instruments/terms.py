"""Contracts and offers read plainly: how much, how low, at which price."""

from collections.abc import Iterator
from decimal import Decimal

from api_spec.contracts import BilateralTerms, Contract, DimmingTerms, InterruptibleTerms, VariableCapacityTerms
from api_spec.flexibility import FlexOffer


def most_w(contract: Contract) -> int:
    """The largest change of consumption that a contract sells [W]; negative = less; 0 = none, it only limits."""
    terms = contract.terms
    if isinstance(terms, BilateralTerms):
        return terms.power_w
    if isinstance(terms, InterruptibleTerms):
        return -terms.non_firm_w
    if isinstance(terms, DimmingTerms):
        return min(0, terms.minimum_w - terms.rated_w)
    return 0 if terms.lowered_to_w is None else terms.lowered_to_w - terms.max_power_w


def floor_w(contract: Contract) -> int:
    """How low a contract lets the DSO bring consumption [W]."""
    terms = contract.terms
    if isinstance(terms, BilateralTerms):
        return terms.least_w
    if isinstance(terms, InterruptibleTerms):
        return terms.firm_w
    if isinstance(terms, DimmingTerms):
        return terms.minimum_w
    return terms.lowered_to_w or 0


def called_price(contract: Contract) -> Decimal:
    """What a contract pays for what is called [EUR per MWh of |change|]."""
    terms = contract.terms
    if isinstance(terms, BilateralTerms):
        return terms.activation_price_eur_per_mwh
    if isinstance(terms, VariableCapacityTerms):
        return terms.lowering_price_eur_per_mwh
    return terms.compensation_eur_per_mwh


def least_w(offer: FlexOffer) -> tuple[int, ...]:
    """Per period, the largest reduction that an offer allows [W], not positive."""
    return tuple(min(0, low) for low, _ in _bounds(offer))


def greatest_w(offer: FlexOffer) -> tuple[int, ...]:
    """Per period, the largest increase that an offer allows [W], not negative."""
    return tuple(max(0, high) for _, high in _bounds(offer))


def offered_w(offer: FlexOffer) -> tuple[int, ...]:
    """Per period, the largest change that the offer of a right allows [W]; it has one direction."""
    return tuple(low or high for low, high in zip(least_w(offer), greatest_w(offer), strict=True))


def is_last_resort(contract: Contract) -> bool:
    """Whether everything that is offered comes before what this contract lets the DSO do."""
    return isinstance(contract.terms, DimmingTerms) and contract.terms.last_resort


def _bounds(offer: FlexOffer) -> Iterator[tuple[int, int]]:
    if offer.kind == "envelope":
        return zip(offer.power_w_min, offer.power_w_max, strict=True)
    if offer.kind == "block":
        return ((w, w) for w in offer.power_w)
    steps = tuple(zip(*(step.power_w for step in offer.steps), strict=True))
    return ((sum(min(0, w) for w in each), sum(max(0, w) for w in each)) for each in steps)
