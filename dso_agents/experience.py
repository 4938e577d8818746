"""What past auctions teach a DSO: how often it needed the market, how often that fell short, what it paid. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from api_spec.auction import Auction, PublishedResult


@dataclass(frozen=True)
class Experience:
    """Sums over periods of past activation auctions.

    periods : of all of them. needed : in which something was paid for a limit, or would have been. short : of these,
    in which a limit stayed unmet for lack of offers. bought_mwh, paid_eur : energy moved by awards, and its price.
    """

    periods: int = 0
    needed: int = 0
    short: int = 0
    bought_mwh: float = 0.0
    paid_eur: float = 0.0

    @classmethod
    def of(cls, past: Iterable[tuple[Auction, PublishedResult]]) -> Self:
        """Of the activation auctions among them."""
        periods = needed = short = 0
        bought_mwh = paid_eur = 0.0
        for auction, result in past:
            if auction.product.stage != "activation":
                continue
            periods += auction.delivery.count
            needed += len({each.period for each in result.limits if each.unmet > 0 or each.shadow_price > 0})
            short += len({each.period for each in result.limits if each.unmet > 0})
            for offer in result.offers:
                bought_mwh += sum(map(abs, offer.power_w)) * auction.delivery.hours / 1e6
                paid_eur += float(offer.payment_eur + offer.uplift_eur)
        return cls(periods, needed, short, bought_mwh, paid_eur)

    @property
    def scarcity(self) -> float:
        """Probability that offers fall short when they are needed; 1/2 before anything is known.

        (short + 1/2) / (needed + 1), the mean under Jeffreys' prior.
        """
        return (self.short + 0.5) / (self.needed + 1)

    @property
    def price_eur_per_mwh(self) -> float | None:
        """Mean price of what was bought on the day; None where nothing was."""
        return self.paid_eur / self.bought_mwh if self.bought_mwh > 0 else None
