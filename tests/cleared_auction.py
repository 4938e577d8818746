"""An auction that was cleared, made up by hand: three buses, four quarter-hours, one full transformer.

b7 and b12 lie behind the transformer. It was 120 A over at 18:15 and is full afterwards. The offer at 40 EUR/MWh is in
front of the transformer, helps nothing and is not accepted; 55 is accepted whole, 90 in part.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from api_spec.auction import Auction, BookEntry, PublishedResult, RequestReceipt
from api_spec.flexibility import CongestionRequest
from api_spec.period import MarketPeriod
from api_spec.product import Product
from api_spec.result import LimitResult, PriceParts, Verification

START = datetime(2026, 1, 15, 17, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def auction(state: str = "published") -> Auction:
    """One hour from 18:00 local time."""
    published = state in ("published", "settled")
    return Auction.model_validate(
        {
            "network": "risoe",
            "product": Product(name="day-ahead", price_cap_eur_per_mwh=Decimal(3000), penalty_eur_per_mwh=Decimal(200)),
            "delivery": MarketPeriod(start=START, resolution=QUARTER, count=4),
            "gate_closure": START - timedelta(hours=12),
            "id": "auction-7f3a",
            "dso": "dso-1",
            "state": state,
            "closed_at": None if state == "open" else START - timedelta(hours=12),
            "published_at": START - timedelta(hours=11) if published else None,
            "failure": "trafo at 17:15 needs 12 kW less" if state == "failed" else None,
        }
    )


def requests() -> tuple[RequestReceipt, ...]:
    """Keep the transformer at 400 A at 18:15 and 18:30, at up to 2917 EUR/MWh."""
    request = CongestionRequest(
        id="r1",
        dso="dso-1",
        kind="congestion",
        element="trafo",
        limit_a=400.0,
        max_price_eur_per_mwh=Decimal(2917),
        active=(False, True, True, False),
    )
    return (RequestReceipt(auction="auction-7f3a", request=request, received_at=START - timedelta(hours=20)),)


def result() -> PublishedResult:
    """30 EUR/MWh for energy; 60 more for congestion behind the transformer while it is full."""
    return PublishedResult(
        auction="auction-7f3a",
        version=1,
        published_at=START - timedelta(hours=11),
        status="cleared",
        input_sha256="0" * 64,
        cost_eur=Decimal("12.3456"),
        prices_eur_per_mwh={"b12": parts(60), "b7": parts(60), "front": parts(0)},
        limits=tuple(
            LimitResult(
                request="r1",
                kind="congestion",
                element="trafo",
                period=period,
                before=before,
                after=400.0,
                limit=400.0,
                unit="A",
                shadow_price=2.5,
                unmet=0.0,
            )
            for period, before in ((1, 520.0), (2, 470.0))
        ),
        verification=Verification(
            engine="power-grid-model 1.10.0", max_violation_pu=1e-7, mismatch_w=0.002, iterations=4
        ),
        offers=(),
    )


def parts(congestion: int) -> PriceParts:
    """Energy 30 throughout, congestion in the two middle periods."""
    zero = (Decimal(0),) * 4
    middle = (Decimal(0), Decimal(congestion), Decimal(congestion), Decimal(0))
    energy = (Decimal(30),) * 4
    total = tuple(map(sum, zip(energy, middle, strict=True)))
    return PriceParts(total=total, energy=energy, losses=zero, congestion=middle, voltage=zero, unbalance=zero)


def book() -> tuple[BookEntry, ...]:
    """Three offers to reduce in the middle periods, one of which recharges afterwards."""
    return (
        entry("front", 40, [0, -30_000, -30_000, 0], [0, 0, 0, 0]),
        entry("b7", 55, [0, -40_000, -40_000, 0], [0, -40_000, -40_000, 0]),
        entry("b12", 90, [0, -60_000, -60_000, 60_000], [0, -35_000, -8_000, 43_000], kind="envelope"),
    )


def entry(bus: str, ask: int, offered: list[int], accepted: list[int], *, kind: str = "curve") -> BookEntry:
    """One offer of the book."""
    return BookEntry.model_validate(
        {"bus": bus, "kind": kind, "offered_w": offered, "accepted_w": accepted, "lowest_ask_eur_per_mwh": ask}
    )
