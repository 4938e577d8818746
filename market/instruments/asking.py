"""Where a right stands among the offers of a clearing: the price at which it is asked for there.

The contract's price pays; the ask only orders. It is the contract's price, above (for less consumption) or below (for
more) the price of energy where the auction has one: the DSO calls a right for its network, never to trade energy. A
right of last resort asks more than anything else in the book, and still less than leaving a limit unmet would cost.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from api_spec.auction import Auction
from api_spec.flexibility import FlexOffer, FlexRequest
from api_spec.units import PRICE_PLACES, series

_MARGIN: Final = Decimal("1.1")
"""Last resort asks a tenth and 1 EUR/MWh above the rest, and at most a tenth below what an unmet limit costs: more than
losses make one place dearer than another."""
_LEAST: Final = Decimal(1)
_TICK: Final = Decimal(1).scaleb(-PRICE_PLACES)


class Merit:
    """The merit order of one auction's book.

    energy : price of energy per period. dearest : the highest ask of any offer, or of a right that is not of last
    resort. unmet : the lowest price at which the DSO would rather leave a limit unmet; None where all are to be met.
    """

    def __init__(
        self,
        auction: Auction,
        requests: Sequence[FlexRequest],
        offers: Sequence[FlexOffer],
        contract_prices: Sequence[Decimal],
    ) -> None:
        """From what stands in the book. contract_prices : of the rights that are not of last resort."""
        self._energy = auction.energy_price_eur_per_mwh or (Decimal(0),) * auction.delivery.count
        contracted = [price + max(self._energy) for price in contract_prices]
        self._dearest = max([*(_highest_ask(offer) for offer in offers), *contracted], default=Decimal(0))
        caps = [each.max_price_eur_per_mwh for each in requests if each.kind != "losses"]
        self._unmet = min((cap for cap in caps if cap is not None), default=None)

    def asks(self, price: Decimal, *, increase: bool, last_resort: bool) -> tuple[Decimal, ...]:
        """Ask per period of a right that pays `price` per MWh of |change|."""
        if increase:
            return tuple(price - energy for energy in self._energy)
        return tuple(self._last(energy, price) if last_resort else energy + price for energy in self._energy)

    def _last(self, energy: Decimal, price: Decimal) -> Decimal:
        least = max(self._dearest, energy) * _MARGIN + _LEAST
        most = least if self._unmet is None else energy + self._unmet / _MARGIN
        return max(energy + price, min(least, most).quantize(_TICK))


def _highest_ask(offer: FlexOffer) -> Decimal:
    if offer.kind == "curve":
        return max(price for step in offer.steps for price in series(step.price_eur_per_mwh, 1))
    return max(series(offer.price_eur_per_mwh, 1))
