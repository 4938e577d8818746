"""Several workers and readers settle and correct one auction at once, on both databases: nothing is paid twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import Engine

from api_spec.auction import AuctionTerms
from api_spec.case import Injection
from api_spec.dispute import Acceptance, Dispute, DisputeTerms, LineAdjustment, LineId
from api_spec.flexibility import AnyOfferTerms, AnyRequestTerms
from api_spec.grid import Network
from api_spec.metering import BaselineNomination, BusPower, Forecast, ReadingTerms
from api_spec.organisation import Organisation
from api_spec.period import MarketPeriod
from api_spec.product import Product
from market.errors import DisputeDecided
from market.ledger.transfers import balances
from market.store import UnitOfWork, transact
from market.workflow import ordering
from market.workflow.clearing import clear_auction
from market.workflow.disputing import decide_dispute, open_dispute
from market.workflow.settling import (
    COLLECTED_FOR,
    due_corrections,
    due_settlements,
    settle_auction,
    submit_reading,
    take_corrections,
)
from tests.small_cases import bus, line

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
GATE = NOON + timedelta(hours=8)
DELIVERY = MarketPeriod(start=NOON + timedelta(hours=20), resolution=timedelta(hours=1), count=2)
NETWORK = Network.model_validate(
    {
        "name": "street",
        "phases": 1,
        "source": {"bus": "s"},
        "buses": [bus("s"), bus("far")],
        "lines": [line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
    }
)
TERMS = AuctionTerms(
    network="street",
    product=Product(name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100)),
    delivery=DELIVERY,
    gate_closure=GATE,
)
LIMIT: AnyRequestTerms = TypeAdapter(AnyRequestTerms).validate_python(
    {"kind": "capacity", "element": "l1", "import_limit_w": 20_000, "max_price_eur_per_mwh": 800}
)
OFFER: AnyOfferTerms = TypeAdapter(AnyOfferTerms).validate_python(
    {"bus": "far", "kind": "curve", "steps": [{"power_w": [-9000, -9000], "price_eur_per_mwh": 120}]}
)


@pytest.fixture
def auction(migrated: Engine) -> str:
    """4 kW were sold in both hours at 120 EUR/MWh; all but 1 kWh was delivered and metered."""
    with UnitOfWork(migrated) as work:
        for name, role in (("dso", "dso"), ("agg", "aggregator")):
            who = Organisation.model_validate({"id": name, "name": name, "role": role})
            work.participants.add(who, client_id=name, secret_hash="#", now=NOON)
        ordering.register_network(NETWORK, dso="dso", now=NOON, work=work)
        opened = ordering.open_auction(TERMS, dso="dso", now=NOON, work=work).id
        load = Injection(bus="far", p_w=(14_000, 14_000), q_var=(0, 0))
        ordering.submit_forecast(opened, Forecast(injections=(load,)), dso="dso", now=NOON, work=work)
        baseline = BaselineNomination(buses=(BusPower(bus="far", power_w=(10_000, 10_000)),))
        ordering.nominate_baseline(opened, baseline, participant="agg", now=NOON, work=work)
        ordering.submit_request(opened, LIMIT, dso="dso", now=NOON, work=work)
        ordering.submit_offer(opened, OFFER, participant="agg", now=NOON, work=work)
        work.commit()
    clear_auction(opened, now=GATE, engine=migrated)
    read(migrated, opened, 6000, 7000)
    return opened


def read(engine: Engine, auction: str, *power_w: int) -> None:
    terms = ReadingTerms(start=DELIVERY.start, buses=(BusPower(bus="far", power_w=power_w),))
    transact(engine, lambda work: submit_reading(auction, terms, participant="agg", now=DELIVERY.end, work=work))


def at_once(*steps: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(steps)) as pool:
        return [each.result() for each in [pool.submit(step) for step in steps]]


def assert_books_agree(engine: Engine, auction: str, *, versions: int) -> None:
    """The ledger holds what the newest statement says, each entry once, and sums to zero."""
    with UnitOfWork(engine) as work:
        statement, transfers = work.money.statement(auction, "agg"), work.money.transfers(auction)
        assert [each.version for each in work.money.dso_statements(auction)] == list(range(1, versions + 1))
    assert statement is not None
    ledger = balances(transfers)
    assert sum(ledger.values()) == 0
    assert ledger["participant:agg"] == statement.net_eur
    assert [each.stage for each in transfers].count("voided") == 1


def test_an_auction_is_settled_once(migrated: Engine, auction: str) -> None:
    assert due_settlements(now=DELIVERY.end, engine=migrated) == [auction]

    settled = at_once(*[lambda: settle_auction(auction, now=DELIVERY.end, engine=migrated)] * 6)

    assert {each.state for each in settled} == {"settled"}
    assert due_settlements(now=DELIVERY.end, engine=migrated) == []
    assert_books_agree(migrated, auction, versions=1)


def test_what_came_late_is_corrected_once(migrated: Engine, auction: str) -> None:
    settle_auction(auction, now=DELIVERY.end, engine=migrated)
    later = DELIVERY.end + COLLECTED_FOR
    assert due_corrections(now=later, engine=migrated) == []
    read(migrated, auction, 6000, 6000)
    assert due_corrections(now=later, engine=migrated) == [auction]

    corrected = at_once(*[lambda: take_corrections(auction, now=DELIVERY.end, engine=migrated)] * 6)

    assert {each.version for each in corrected} == {2}
    assert due_corrections(now=later, engine=migrated) == []
    assert {each.net_eur for each in corrected} == {Decimal("0.96")}
    assert_books_agree(migrated, auction, versions=2)


def test_readings_that_come_while_it_is_corrected_are_in_this_correction_or_the_next(
    migrated: Engine, auction: str
) -> None:
    settle_auction(auction, now=DELIVERY.end, engine=migrated)

    def correct() -> None:
        take_corrections(auction, now=DELIVERY.end, engine=migrated)

    at_once(*(step for w in (9000, 8000, 6500) for step in (lambda w=w: read(migrated, auction, w), correct)))
    correct()
    with UnitOfWork(migrated) as work:
        newest = work.orders.readings(auction, participant="agg")[-1]
        statement, versions = work.money.statement(auction, "agg"), len(work.money.dso_statements(auction))
    assert statement is not None
    assert statement.lines[0].metered_w == newest.buses[0].power_w[0]
    assert_books_agree(migrated, auction, versions=versions)


def test_a_dispute_is_decided_once(migrated: Engine, auction: str) -> None:
    settle_auction(auction, now=DELIVERY.end, engine=migrated)
    claim = DisputeTerms(version=1, lines=(LineId(bus="far", start=DELIVERY.start),), reason="the meter stood still")
    dispute = transact(
        migrated, lambda work: open_dispute(auction, claim, participant="agg", now=DELIVERY.end, work=work)
    )
    extra = LineAdjustment(bus="far", start=DELIVERY.start, amount_eur=Decimal("0.05"))
    decision = Acceptance(decision="accepted", memo="goodwill", adjustments=(extra,))

    def decide() -> Dispute | None:
        try:
            return transact(
                migrated,
                lambda work: decide_dispute(auction, dispute.id, decision, now=DELIVERY.end, work=work),
            )
        except DisputeDecided:
            return None

    assert len([each for each in at_once(*[decide] * 4) if each]) == 1
    assert take_corrections(auction, now=DELIVERY.end, engine=migrated).net_eur == Decimal("0.79")
    assert_books_agree(migrated, auction, versions=2)
