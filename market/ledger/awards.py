"""Awards: what a published result means to the participants whose offers it accepted."""

from decimal import Decimal
from typing import Final

from api_spec.award import Award, OfferResult
from api_spec.case import Case
from api_spec.flexibility import FlexOffer
from api_spec.result import PriceParts, Result
from api_spec.units import PRICE_PLACES

_PRICE: Final = Decimal(1).scaleb(-PRICE_PLACES)


def awards_of(case: Case, result: Result) -> tuple[Award, ...]:
    """One award for every offer with some accepted power, in the order of offer ids.

    Its price is the nodal one, with uplift, where that is how sellers are paid; under other pricing rules every MWh of
    an award is worth the same, the mean of what its offer is paid.
    """
    offers = {offer.id: offer for offer in case.offers}
    return tuple(_award(case, result, offers[each.id], each) for each in result.offers if any(each.power_w))


def _award(case: Case, result: Result, offer: FlexOffer, outcome: OfferResult) -> Award:
    energy_mwh = sum(abs(w) for w in outcome.power_w) * Decimal(repr(case.market_period.hours)) / 10**6
    if result.pricing == "dlmp":
        # Consuming less earns the nodal price, consuming more pays it; uplift is spread over all of the energy.
        uplift, nodal = outcome.uplift_eur / energy_mwh, _nodal_price(result, offer)
        worth = [(-price if w > 0 else price) + uplift for w, price in zip(outcome.power_w, nodal, strict=True)]
    else:
        worth = [(outcome.payment_eur + outcome.uplift_eur) / energy_mwh] * len(outcome.power_w)
    return Award(
        offer=offer.id,
        participant=offer.participant,
        bus=offer.bus,
        phase=offer.phase,
        power_w=outcome.power_w,
        price_eur_per_mwh=tuple(
            price.quantize(_PRICE) if w else Decimal(0) for w, price in zip(outcome.power_w, worth, strict=True)
        ),
        payment_eur=outcome.payment_eur,
        uplift_eur=outcome.uplift_eur,
    )


def _nodal_price(result: Result, offer: FlexOffer) -> tuple[Decimal, ...]:
    """The price that an offer's power is paid: of its phase, or the mean of three where it is balanced over them."""
    at_bus = result.prices_eur_per_mwh[offer.bus]
    if isinstance(at_bus, PriceParts):
        return at_bus.total
    if offer.phase is not None:
        return at_bus[offer.phase].total
    return tuple(sum(each, Decimal(0)) / 3 for each in zip(*(part.total for part in at_bus.values()), strict=True))
