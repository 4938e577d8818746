"""Availability of reserved capacity: paid where it was offered, penalised where it was not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_spec.auction import Auction
from api_spec.period import MarketPeriod
from api_spec.product import Product
from api_spec.reservation import AvailabilityStatement, Obligation, ObligationPeriod, Reservation
from market.ledger.availability import availability_statements, availability_transfers
from market.ledger.past_delivery import PastDelivery, Record, availability_factor
from market.ledger.quality import Energies
from market.ledger.transfers import balances

NOW = datetime(2026, 2, 1, tzinfo=UTC)
START = datetime(2026, 1, 15, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)


def auction(penalty: str = "25", **product: Any) -> Auction:
    return Auction(
        id="res-1",
        dso="dso-1",
        state="published",
        network="street",
        product=Product(
            name="week",
            stage="reservation",
            price_cap_eur_per_mwh=Decimal(100),
            penalty_eur_per_mwh=Decimal(0),
            availability_penalty_eur_per_mwh=Decimal(penalty),
            **product,
        ),
        delivery=MarketPeriod(start=START, resolution=HOUR, count=3),
        gate_closure=START,
    )


def reservation(*power_w: int, price: str = "10", **change: Any) -> Reservation:
    terms = {
        "auction": "res-1",
        "offer": "r1",
        "participant": "agg",
        "network": "street",
        "bus": "far",
        "delivery": MarketPeriod(start=START, resolution=HOUR, count=len(power_w)),
        "power_w": power_w,
        "price_eur_per_mwh": (Decimal(price),) * len(power_w),
        "published_at": START,
    }
    return Reservation.model_validate({**terms, **change})


def asked(
    hour: int, reserved: int, offered: int, ordered: int = 0, *, by: str = "act-1", offer: str = "r1"
) -> Obligation:
    period = ObligationPeriod(start=START + hour * HOUR, reserved_w=reserved, offered_w=offered, ordered_w=ordered)
    return Obligation(reservation="res-1", offer=offer, activation=by, participant="agg", bus="far", periods=(period,))


def test_availability_by_hand() -> None:
    """5 MW at 10 EUR/MW/h for three hours. Hour 1: no auction, 50 EUR. Hour 2: all offered, 50 EUR, 2 MW called.

    Hour 3: 3 of 5 MW offered: 30 EUR less 2 MW x 25 EUR/MW/h = -20 EUR. Together 130 - 50 = 80 EUR.
    """
    mw = 10**6
    held = [asked(1, 5 * mw, 5 * mw, 2 * mw), asked(2, 5 * mw, 3 * mw)]

    (statement,) = availability_statements(auction(), [reservation(-5 * mw, -5 * mw, -5 * mw)], held, settled_at=NOW)

    assert [
        (each.reserved_w, each.requested_w, each.offered_w, each.available_w, each.ordered_w)
        for each in statement.lines
    ] == [
        (5 * mw, 0, 0, 5 * mw, 0),
        (5 * mw, 5 * mw, 5 * mw, 5 * mw, 2 * mw),
        (5 * mw, 5 * mw, 3 * mw, 3 * mw, 0),
    ]
    assert [each.net_eur for each in statement.lines] == [50, 50, -20]
    assert [statement.payment_eur, statement.penalty_eur, statement.net_eur] == [130, 50, 80]


def test_a_quarter_of_an_hour_is_a_quarter_of_the_price() -> None:
    """8 kW for 15 minutes at 10 EUR/MW/h: 0.02 EUR."""
    quarter = MarketPeriod(start=START, resolution=timedelta(minutes=15), count=1)

    (statement,) = availability_statements(auction(), [reservation(8000, delivery=quarter)], [], settled_at=NOW)

    assert (statement.net_eur, statement.lines[0].direction) == (Decimal("0.02"), "increase")


def test_the_auction_where_least_was_offered_decides() -> None:
    held = [asked(0, 5000, 4000, 1000, by="act-1"), asked(0, 5000, 1000, 500, by="act-2")]

    (statement,) = availability_statements(auction(), [reservation(-5000)], held, settled_at=NOW)

    (line,) = statement.lines
    assert (line.available_w, line.ordered_w) == (1000, 1000)


def test_periods_without_a_reservation_have_no_line() -> None:
    (statement,) = availability_statements(auction(), [reservation(-5000, 0, -5000)], [], settled_at=NOW)

    assert [each.start for each in statement.lines] == [START, START + 2 * HOUR]


DECEMBER = datetime(2025, 12, 10, tzinfo=UTC)


def past(*deliveries: tuple[datetime, int, int], zone: str = "UTC") -> Record:
    """When a delivery of the aggregator at the far end ended, what was ordered and what was delivered [Wh]."""
    return Record(zone, {("agg", "far"): [PastDelivery(at, Energies(*wh)) for at, *wh in deliveries]})


def scaled(record: Record, **product: Any) -> AvailabilityStatement:
    """5 MW at 10 EUR/MW/h, of which an auction asked and 3 MW were offered in the only hour: 30 EUR, less 50."""
    terms = auction(availability_by_delivery=True, **product)
    mw = 10**6
    (statement,) = availability_statements(
        terms, [reservation(-5 * mw)], [asked(0, 5 * mw, 3 * mw)], record=record, settled_at=NOW
    )
    return statement


@pytest.mark.parametrize(
    ("product", "factor", "payment"),
    [
        ({}, 0.75, "22.5"),
        ({"delivery_threshold": 0.8}, 0, "0"),
        ({"delivery_threshold": 0.75}, 0.75, "22.5"),
        ({"delivery_threshold": 0.5, "full_payment_from": 1.0}, 0.375, "11.25"),
    ],
)
def test_availability_is_scaled_by_last_months_delivery(product: dict[str, float], factor: float, payment: str) -> None:
    """Of 8 and 4 kWh in December, 7 and 2 were delivered: 9/12 of 30 EUR; by a scale from 50 to 100 %, half of that.

    January's and November's deliveries are no part of it, nor is the penalty scaled.
    """
    record = past(
        (DECEMBER, 8_000, 7_000),
        (DECEMBER + HOUR, 4_000, 2_000),
        (datetime(2025, 12, 1, tzinfo=UTC), 9_000, 0),
        (datetime(2026, 1, 2, tzinfo=UTC), 9_000, 0),
    )
    statement = scaled(record, **product)
    (line,) = statement.lines
    assert (line.payment_factor, line.payment_eur, line.penalty_eur) == (factor, Decimal(payment), Decimal(50))
    assert statement.net_eur == Decimal(payment) - 50


def test_what_was_not_ordered_last_month_costs_nothing() -> None:
    for record in (past(), past((DECEMBER, 0, 0)), past((datetime(2026, 1, 3, tzinfo=UTC), 8_000, 0))):
        assert (scaled(record).lines[0].payment_factor, scaled(record).payment_eur) == (1.0, Decimal(30))


def test_a_delivery_that_ends_at_local_midnight_belongs_to_the_month_that_ends_then() -> None:
    """The end of December in Berlin is 23:00 UTC; an hour later is January's."""
    midnight = datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert scaled(past((midnight, 8_000, 4_000), zone="Europe/Berlin")).payment_eur == 15
    assert scaled(past((midnight + HOUR, 8_000, 4_000), zone="Europe/Berlin")).payment_eur == 30
    assert scaled(past((midnight + HOUR, 8_000, 4_000), zone="UTC")).payment_eur == 15


def test_each_period_goes_by_the_month_before_its_own() -> None:
    """Three hours from 23:00 on the last of January: one by December (1/2), two by January (1/4)."""
    begins = datetime(2026, 1, 31, 23, tzinfo=UTC)
    reserved = reservation(-(10**6), -(10**6), -(10**6), delivery=MarketPeriod(start=begins, resolution=HOUR, count=3))
    record = past((DECEMBER, 8_000, 4_000), (begins, 8_000, 2_000))
    terms = auction(availability_by_delivery=True)
    (statement,) = availability_statements(terms, [reserved], [], record=record, settled_at=NOW)
    assert [each.payment_eur for each in statement.lines] == [5, Decimal("2.5"), Decimal("2.5")]


def test_only_reservations_are_scaled() -> None:
    with pytest.raises(ValueError, match="availability_by_delivery"):
        Product.model_validate(
            {"name": "day", "price_cap_eur_per_mwh": 1, "penalty_eur_per_mwh": 1, "availability_by_delivery": True}
        )


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)).map(sorted), max_size=5), st.data())
def test_delivering_more_never_earns_less(deliveries: list[list[int]], data: st.DataObject) -> None:
    threshold: Any = data.draw(st.sampled_from([{}, {"delivery_threshold": 0.5, "full_payment_from": 0.9}]))
    product = auction(availability_by_delivery=True, **threshold).product
    known = [Energies(ordered, delivered) for delivered, ordered in deliveries]
    more = [Energies(each.ordered_wh, data.draw(st.integers(each.delivered_wh, each.ordered_wh))) for each in known]
    assert 0 <= availability_factor(known, product) <= availability_factor(more, product) <= 1


powers = st.integers(1, 10**8)


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), powers, st.integers(0, 10**8), st.booleans()), max_size=6),
    st.decimals(0, 100, places=3),
)
def test_the_ledger_posts_what_the_statements_say_and_offering_more_never_earns_less(
    rows: list[tuple[str, int, int, bool]], price: Decimal
) -> None:
    reserved = [
        reservation(-w, offer=f"r{at}", participant=who, price=str(price)) for at, (who, w, _, _) in enumerate(rows)
    ]
    held = [asked(0, w, min(w, offered), offer=f"r{at}") for at, (_, w, offered, held) in enumerate(rows) if held]
    more = [asked(0, w, w, offer=f"r{at}") for at, (_, w, _, held) in enumerate(rows) if held]

    statements = availability_statements(auction(), reserved, held, settled_at=NOW)
    better = availability_statements(auction(), reserved, more, settled_at=NOW)
    ledger = balances(availability_transfers(auction(), statements, at=NOW))

    assert sum(ledger.values()) == 0
    assert all(each.amount_eur >= 0 for each in availability_transfers(auction(), statements, at=NOW))
    assert {who: ledger[f"participant:{who}"] for who in {row[0] for row in rows}} == {
        each.participant: each.net_eur for each in statements
    }
    for less, most in zip(statements, better, strict=True):
        assert most.net_eur >= less.net_eur
        for line in less.lines:
            assert line.ordered_w >= 0 and line.offered_w <= line.available_w <= line.reserved_w
