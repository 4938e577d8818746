"""What the pages read of the market: public facts only, so that no page can show what its reader may not see."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from api_spec.auction import Auction, BookEntry, PublishedResult, RequestReceipt
from api_spec.ids import AuctionId


@dataclass(frozen=True)
class SettlementTotals:
    """Sums over all participants of a settled auction. ordered_wh, delivered_wh : of |change|."""

    participants: int
    ordered_wh: float
    delivered_wh: float
    payment_eur: Decimal
    penalty_eur: Decimal
    net_eur: Decimal
    ledger_sum_eur: Decimal


class MarketReads(Protocol):
    """The public side of the market. Each raises a FlexmarketError where there is nothing of that name (yet)."""

    def auctions(self) -> Sequence[Auction]:
        """All auctions, the newest delivery first."""
        ...

    def auction(self, auction: AuctionId) -> Auction:
        """One auction."""
        ...

    def requests(self, auction: AuctionId) -> Sequence[RequestReceipt]:
        """Its requests; what a DSO would pay is not shown even where it is given."""
        ...

    def result(self, auction: AuctionId) -> PublishedResult:
        """Its published result, without offers."""
        ...

    def book(self, auction: AuctionId) -> Sequence[BookEntry]:
        """Its order book after publication, without owners."""
        ...

    def totals(self, auction: AuctionId) -> SettlementTotals:
        """Totals of its settlement."""
        ...
