"""What standing ready costs: prices in auctions that reserve, and what a reservation leaves to be asked later. Pure.

    a = max(b, q r max(0, c - k) + m p)

a [EUR/MW/h] asked for availability; c [EUR/MWh] what a change costs the site, as it would ask for it on the day; k the
most that may be asked once it is reserved, q the probability of being called in a period, r the MWh that a call changes
for each that is reserved: 2 where all of it comes back; m the part that is expected not to be there on the day, p the
penalty for that; b the least, for being bound: what is reserved can neither be sold to others nor moved to hours that
turn out cheaper.

Only what the plan draws anyway is reserved. So drivers wait when they are called, and are paid for it then, by c or by
k; a pays for the rest. Reserves are priced by their opportunity cost, in expectation: Just and Weber, Energy Economics
30 (2008) 3198.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, TypeAlias

from pydantic import Field

from api_spec.flexibility import BlockTerms, EnvelopeTerms
from api_spec.ids import BusId
from api_spec.period import MarketPeriod
from api_spec.product import Direction, Product
from api_spec.reservation import Reservation
from api_spec.units import EurPerMwh, Fraction, Message

Offer: TypeAlias = BlockTerms | EnvelopeTerms


class StandingReady(Message):
    """What an aggregator asks for availability, see above.

    called : q. missing : m, as DSOs reckon by default (dso_agents.reserving). floor_eur_per_mwh : b [EUR/MW/h].
    """

    called: Fraction = 0.1
    missing: Fraction = 0.05
    floor_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] = Decimal(5)

    def price(self, energy_eur_per_mwh: Decimal, product: Product, *, changed: float = 2.0) -> Decimal:
        """A [EUR/MW/h]. energy_eur_per_mwh : c. product : what reserves. changed : r."""
        cap = product.activation_cap_eur_per_mwh
        loss = Decimal(0) if cap is None else max(Decimal(0), energy_eur_per_mwh - cap)
        missed = Decimal(str(self.missing)) * product.availability_penalty_eur_per_mwh
        expected = Decimal(str(self.called * changed)) * loss + missed
        return max(self.floor_eur_per_mwh, expected).quantize(Decimal("0.01"))

    def reserving(self, offers: Iterable[Offer], product: Product) -> tuple[Offer, ...]:
        """Offers of energy as offers of availability; without those that the product's cap does not pay for."""
        found = []
        for each in offers:
            reserve = _one_way(each, product.direction)
            if reserve is None:
                continue
            price = self.price(_scalar(each), product, changed=_changed(each, reserve))
            if price <= product.price_cap_eur_per_mwh:
                found.append(reserve.model_copy(update={"price_eur_per_mwh": price}))
        return tuple(found)


def most_asked(reservations: Iterable[Reservation], bus: BusId, delivery: MarketPeriod) -> Decimal | None:
    """The most that may be asked at a bus where something is reserved in a delivery; None = as much as for anything."""
    caps = [
        each.activation_cap_eur_per_mwh
        for each in reservations
        if each.bus == bus
        and each.activation_cap_eur_per_mwh is not None
        and any(
            power and start < delivery.end and start + each.delivery.resolution > delivery.start
            for start, power in zip(each.delivery.starts(), each.power_w, strict=True)
        )
    ]
    return min(caps, default=None)


def at_most(offers: Iterable[Offer], cap: Decimal) -> tuple[Offer, ...]:
    """The offers, none for more than the cap: what is reserved was paid for being offered like that."""
    return tuple(each.model_copy(update={"price_eur_per_mwh": min(_scalar(each), cap)}) for each in offers)


def _one_way(offer: Offer, direction: Direction) -> Offer | None:
    """Only what goes in the product's direction is reserved: what comes back is part of the call, not of the reserve.

    Blocks begin with a reduction, and hold none for increases.
    """
    if direction == "both":
        return offer
    if isinstance(offer, BlockTerms):
        reduced = tuple(min(each, 0) for each in offer.power_w)
        return offer.model_copy(update={"power_w": reduced}) if direction == "reduction" else None
    nothing = (0,) * len(offer.power_w_min)
    if direction == "reduction":
        held = _held(offer.power_w_min, offer.energy_wh_min)
        bounds = {"power_w_max": nothing, "energy_wh_max": nothing, "energy_wh_min": held}
    else:
        held = _held(offer.power_w_max, offer.energy_wh_max)
        bounds = {"power_w_min": nothing, "energy_wh_min": nothing, "energy_wh_max": held}
    return offer.model_copy(update=bounds)


def _changed(call: Offer, reserve: Offer) -> float:
    """MWh that a call changes for each that is reserved; of an envelope, all of it comes back."""
    if not (isinstance(call, BlockTerms) and isinstance(reserve, BlockTerms)):
        return 2.0
    return sum(map(abs, call.power_w)) / max(sum(map(abs, reserve.power_w)), 1)


def _held(power_w: Sequence[int], energy_wh: Sequence[int]) -> tuple[int, ...]:
    """Running energy that can be changed if nothing comes back before the last call [Wh], at the end of every period.

    Where power can change it is what it is; where none can, what was changed before stays so.
    """
    furthest, held = 0, list[int]()
    for power, energy in zip(power_w, energy_wh, strict=True):
        furthest = energy if power else max(furthest, energy, key=abs)
        held.append(furthest)
    return tuple(held)


def _scalar(offer: Offer) -> Decimal:
    """What it asks, at the dearest of its periods."""
    price = offer.price_eur_per_mwh
    return max(price) if isinstance(price, tuple) else price
