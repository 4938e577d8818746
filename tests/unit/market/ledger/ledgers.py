"""Auctions, awards and inputs of settlement, made up by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from api_spec.auction import Auction
from api_spec.award import Award
from api_spec.dispute import Dispute
from api_spec.period import MarketPeriod
from api_spec.product import Product

START = datetime(2026, 1, 15, 16, tzinfo=UTC)
NOW = datetime(2026, 1, 17, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOT = ("agg-1", "lot")


def auction(count: int = 1, **product: Any) -> Auction:
    """Periods of one hour; a penalty of 110 EUR/MWh unless the product says otherwise."""
    terms = {"name": "day", "price_cap_eur_per_mwh": 1000, "penalty_eur_per_mwh": 110, **product}
    return Auction(
        id="auc-1",
        dso="dso-1",
        state="published",
        network="risoe",
        product=Product.model_validate(terms),
        delivery=MarketPeriod(start=START, resolution=HOUR, count=count),
        gate_closure=START,
    )


def award(*power_w: int, price: str = "100", uplift: str = "0", who: str = "agg-1", bus: str = "lot") -> Award:
    """Awarded power in each hour, all at one price."""
    return Award(
        offer=f"{who}-{bus}",
        participant=who,
        bus=bus,
        power_w=power_w,
        price_eur_per_mwh=(Decimal(price),) * len(power_w),
        payment_eur=Decimal(0),
        uplift_eur=Decimal(uplift),
    )


def accepted(dispute: str, *, who: str = "agg-1", **decision: Any) -> Dispute:
    """A dispute that an operator has accepted, about the first line at the lot."""
    line = {"bus": "lot", "start": START}
    return Dispute.model_validate(
        {
            "id": dispute,
            "auction": "auc-1",
            "participant": who,
            "version": 1,
            "lines": [line],
            "reason": "the meter was replaced",
            "state": "accepted",
            "opened_at": NOW,
            "decided_at": NOW,
            "decision": {"decision": "accepted", "memo": "seen", **decision},
        }
    )
