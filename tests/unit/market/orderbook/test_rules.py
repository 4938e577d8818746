"""Admission and the state machine of an auction."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter

from api_spec.auction import Auction, AuctionState
from api_spec.flexibility import FlexOffer, FlexRequest
from api_spec.grid import Network
from api_spec.period import MarketPeriod
from api_spec.product import Product
from market.errors import BaselineMissing, GateClosed, GateStillOpen, NotAdmitted, WrongState
from market.orderbook.admission import admit_offer, admit_request
from market.orderbook.states import NEXT, moved, require_open
from tests.small_cases import Document, bus, chain, curve

GATE = datetime(2026, 1, 14, 20, tzinfo=UTC)
AUCTION = Auction(
    id="auc-1",
    dso="dso-1",
    state="open",
    network="small",
    product=Product(name="day", min_power_w=500, price_cap_eur_per_mwh=Decimal(800), penalty_eur_per_mwh=Decimal(100)),
    delivery=MarketPeriod(start=GATE + timedelta(hours=9), resolution=timedelta(minutes=15), count=2),
    gate_closure=GATE,
)
NETWORK = Network.model_validate(
    {"name": "small", "phases": 1, "source": {"bus": "s"}, "buses": [bus("s"), bus("far")], "lines": chain("s", "far")}
)
BLOCK = {
    "id": "o",
    "participant": "a",
    "bus": "far",
    "kind": "block",
    "power_w": [-900, 0],
    "price_eur_per_mwh": 1,
}
ENVELOPE = {
    "id": "o",
    "participant": "agg",
    "bus": "far",
    "kind": "envelope",
    "power_w_min": [-4000, 0],
    "power_w_max": [0, 4000],
    "energy_wh_min": [-1000, 0],
    "energy_wh_max": [0, 0],
    "price_eur_per_mwh": 50,
}


def offer(terms: Document) -> FlexOffer:
    read: TypeAdapter[Any] = TypeAdapter(FlexOffer)
    return read.validate_python(terms)  # type: ignore[no-any-return]


def request(terms: Document) -> FlexRequest:
    read: TypeAdapter[Any] = TypeAdapter(FlexRequest)
    return read.validate_python({"id": "r", "dso": "dso-1", **terms})  # type: ignore[no-any-return]


@pytest.mark.parametrize("terms", [curve("o", "far", (-500, 800.0), count=2), ENVELOPE])
def test_offers_that_fit_are_admitted(terms: Document) -> None:
    admit_offer(offer(terms), AUCTION, NETWORK, {"far"})


@pytest.mark.parametrize(
    ("terms", "pointer", "reason"),
    [
        (curve("o", "fra", (-500, 80.0), count=2), "/bus", 'did you mean "far"?'),
        (curve("o", "far", (-500, 80.0), count=3), "/steps/0/power_w", "counts 2"),
        (curve("o", "far", (-900, 80.0), (-499, 90.0), count=2), "/steps/1/power_w", "500 W or more"),
        (curve("o", "far", (-900, 800.01), count=2), "/steps/0/price_eur_per_mwh", "price cap is 800"),
        ({**curve("o", "far", (-900, 80.0), count=2), "phase": "a"}, "/phase", "no phases"),
        ({**ENVELOPE, "power_w_max": [0, 100]}, "/power_w_max", "500 W or more"),
        (
            {**BLOCK, "requires": "another"},
            "/requires",
            "cannot require one another",
        ),
        (
            {**BLOCK, "power_w": [-400, 0]},
            "/power_w",
            "500 W or more",
        ),
    ],
)
def test_offers_that_do_not_fit_are_refused_at_their_place(terms: Document, pointer: str, reason: str) -> None:
    with pytest.raises(NotAdmitted) as refusal:
        admit_offer(offer(terms), AUCTION, NETWORK, {"far"})
    assert refusal.value.defects[0].pointer == pointer
    assert reason in refusal.value.defects[0].reason


def test_an_offer_needs_a_nominated_baseline() -> None:
    with pytest.raises(BaselineMissing, match="nominate a baseline for bus far"):
        admit_offer(offer(ENVELOPE), AUCTION, NETWORK, {"near"})


def test_requests_are_held_against_the_network() -> None:
    admit_request(request({"kind": "congestion", "element": "l1", "limit_a": 5.0}), AUCTION, NETWORK)
    with pytest.raises(NotAdmitted, match="/element: no element"):
        admit_request(request({"kind": "congestion", "element": "l7", "limit_a": 5.0}), AUCTION, NETWORK)
    with pytest.raises(NotAdmitted, match="/kind: a balanced network has no unbalance"):
        admit_request(request({"kind": "unbalance", "buses": "all", "max_vuf": 0.02}), AUCTION, NETWORK)


def test_an_auction_takes_no_step_that_the_machine_does_not_have() -> None:
    for state, allowed in NEXT.items():
        auction = AUCTION.model_copy(update={"state": state})
        for wanted in NEXT:
            if wanted in allowed:
                assert moved(auction, wanted, now=GATE).state == wanted
            else:
                with pytest.raises(WrongState):
                    moved(auction, wanted, now=GATE)


def test_a_whole_life_carries_its_times() -> None:
    steps: list[AuctionState] = ["closed", "clearing", "published", "settled"]
    auction = AUCTION
    for hours, step in enumerate(steps):
        auction = moved(auction, step, now=GATE + timedelta(hours=hours))

    assert (auction.closed_at, auction.published_at) == (GATE, GATE + timedelta(hours=2))
    assert auction.settled_at == GATE + timedelta(hours=3)


def test_the_gate_closes_at_its_time_and_not_before() -> None:
    with pytest.raises(GateStillOpen):
        moved(AUCTION, "closed", now=GATE - timedelta(seconds=1))
    require_open(AUCTION, now=GATE - timedelta(microseconds=1))
    with pytest.raises(GateClosed):
        require_open(AUCTION, now=GATE)
    with pytest.raises(GateClosed):
        require_open(moved(AUCTION, "closed", now=GATE), now=GATE - timedelta(days=1))
