"""Under a product with tolerances, offers stand on prequalified resources of their participant at their place."""

from collections.abc import Iterable
from typing import Final

from api_spec.auction import Auction
from api_spec.defects import Defect
from api_spec.flexibility import FlexOffer
from api_spec.prequalification import Prequalification
from market.errors import NotAdmitted
from market.orderbook.capacity import Way, name_of, together_w

_WAYS: Final[tuple[Way, Way]] = (-1, 1)
_POWER: Final[dict[str, tuple[str, str]]] = {
    "curve": ("/steps", "/steps"),
    "block": ("/power_w", "/power_w"),
    "envelope": ("/power_w_min", "/power_w_max"),
}
"""Where each kind of offer says how much it reduces and increases."""


def require_cover(
    offer: FlexOffer, auction: Auction, standing: Iterable[FlexOffer], prequalified: Iterable[Prequalification]
) -> None:
    """Raise NotAdmitted where an offer, with its participant's others at the place, exceeds what is prequalified there.

    standing : the participant's active offers in the auction; the one that is replaced does not count. prequalified :
    its applications for the auction's product, in any state.
    """
    beside = [each for each in standing if each.id != offer.id and (each.bus, each.phase) == (offer.bus, offer.phase)]
    resources = [
        each
        for each in prequalified
        if each.state in ("qualified", "conditional")
        and (each.network, each.bus, each.phase) == (auction.network, offer.bus, offer.phase)
    ]
    capacity = (sum(each.reducible_w for each in resources), sum(each.increasable_w for each in resources))
    found = []
    for way, most, place in zip(_WAYS, capacity, _POWER[offer.kind], strict=True):
        offered = max(together_w([*beside, offer], way, count=auction.delivery.count))
        alone = max(together_w([offer], way, count=auction.delivery.count))
        if alone and offered > most:
            found.append(Defect(place, f"{offered} W of {name_of(way)} are offered here, {most} W are prequalified"))
    if found:
        raise NotAdmitted(tuple(found))
