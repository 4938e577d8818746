"""The life of an auction through the workflow, on a real database: request to settled statement."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import Engine

from api_spec.auction import Auction, AuctionTerms
from api_spec.case import Case, Injection
from api_spec.flexibility import AnyOfferTerms, AnyRequestTerms
from api_spec.grid import Network
from api_spec.metering import BaselineNomination, BusPower, Forecast, ReadingTerms
from api_spec.organisation import Organisation, OrganisationTerms, Role
from api_spec.period import MarketPeriod
from api_spec.product import Product
from api_spec.result import Result
from market.clearing import Options, clear
from market.clock import SimulatedClock
from market.errors import (
    AlreadyExists,
    BaselineMissing,
    DeliveryNotOver,
    GateClosed,
    GateStillOpen,
    NotAdmitted,
    NotFound,
    PreconditionFailed,
    ReadingsMissing,
    TokenRefused,
)
from market.ledger.transfers import balances
from market.store import UnitOfWork, transact
from market.workflow import ordering
from market.workflow.clearing import clear_auction, due_auctions
from market.workflow.identity import authenticate, bootstrap_operator, register_organisation
from market.workflow.outcome import WITHHELD, visible_auction
from market.workflow.public import all_auctions, public_auction
from market.workflow.settling import settle_auction, submit_reading
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
LIMIT = {"kind": "capacity", "element": "l1", "import_limit_w": 20_000, "max_price_eur_per_mwh": 800}
OFFER = {
    "bus": "far",
    "kind": "curve",
    "steps": [{"power_w": [-9000, -9000], "price_eur_per_mwh": 120}],
}


def offer(**change: Any) -> AnyOfferTerms:
    read: TypeAdapter[AnyOfferTerms] = TypeAdapter(AnyOfferTerms)
    return read.validate_python({**OFFER, **change})


def request(**change: Any) -> AnyRequestTerms:
    read: TypeAdapter[AnyRequestTerms] = TypeAdapter(AnyRequestTerms)
    return read.validate_python({**LIMIT, **change})


@pytest.fixture
def engine(migrated: Engine) -> Engine:
    with UnitOfWork(migrated) as work:
        for name, role in (("dso", "dso"), ("agg", "aggregator"), ("other", "aggregator")):
            who = Organisation.model_validate({"id": name, "name": name, "role": role})
            work.participants.add(who, client_id=name, secret_hash="#", now=NOON)
        ordering.register_network(NETWORK, dso="dso", now=NOON, work=work)
        work.commit()
    return migrated


@pytest.fixture
def auction(engine: Engine) -> Auction:
    """14 kW forecast and 10 kW of chargers behind 20 kW: 4 kW too much in both hours."""
    with UnitOfWork(engine) as work:
        opened = ordering.open_auction(TERMS, dso="dso", now=NOON, work=work)
        load = Injection(bus="far", p_w=(14_000, 14_000), q_var=(0, 0))
        ordering.submit_forecast(opened.id, Forecast(injections=(load,)), dso="dso", now=NOON, work=work)
        baseline = BaselineNomination(buses=(BusPower(bus="far", power_w=(10_000, 10_000)),))
        ordering.nominate_baseline(opened.id, baseline, participant="agg", now=NOON, work=work)
        work.commit()
    return opened


def test_from_request_to_settled_statement(engine: Engine, auction: Auction) -> None:
    # the DSO asks, an aggregator offers
    with UnitOfWork(engine) as work:
        ordering.submit_request(auction.id, request(), dso="dso", now=NOON, work=work)
        ordering.submit_offer(auction.id, offer(), participant="agg", now=NOON, work=work)
        work.commit()

    # the gate closes, the market clears and publishes
    assert due_auctions(now=GATE, engine=engine) == [auction.id]
    published = clear_auction(auction.id, now=GATE, engine=engine)
    assert (published.state, published.closed_at) == ("published", GATE)
    with UnitOfWork(engine) as work:
        outcome = work.auctions.published(auction.id)
        (pending,) = work.money.transfers(auction.id)
    assert outcome is not None
    assert outcome.result.offers[0].power_w == (-4000, -4000)
    assert pending.amount_eur == Decimal("0.96"), "8 kWh at 120 EUR/MWh"

    # the chargers deliver all of it in the first hour, 3 of 4 kW in the second
    over = DELIVERY.end
    reading = ReadingTerms(start=DELIVERY.start, buses=(BusPower(bus="far", power_w=(6000, 7000)),))
    with UnitOfWork(engine) as work:
        submit_reading(auction.id, reading, participant="agg", now=over, work=work)
        work.commit()
    assert settle_auction(auction.id, now=over, engine=engine).state == "settled"

    # 7 kWh at 120, less 1 kWh at 100; the reservation is void; the ledger sums to zero
    with UnitOfWork(engine) as work:
        statement = work.money.statement(auction.id, "agg")
        transfers = work.money.transfers(auction.id)
    assert statement is not None
    assert (statement.payment_eur, statement.penalty_eur) == (Decimal("0.84"), Decimal("0.1"))
    assert balances(transfers) == {"dso:dso": Decimal("-0.74"), "participant:agg": Decimal("0.74")}
    assert [each.stage for each in transfers] == ["pending", "voided", "posted"]


def test_orders_are_refused_with_their_reason(engine: Engine, auction: Auction) -> None:
    with UnitOfWork(engine) as work:
        with pytest.raises(BaselineMissing):
            ordering.submit_offer(auction.id, offer(), participant="other", now=NOON, work=work)
        with pytest.raises(GateClosed):
            ordering.submit_offer(auction.id, offer(), participant="agg", now=GATE, work=work)
        with pytest.raises(NotFound):
            ordering.submit_request(auction.id, request(), dso="other-dso", now=NOON, work=work)
        with pytest.raises(NotAdmitted, match="/element"):
            ordering.submit_request(auction.id, request(element="l2"), dso="dso", now=NOON, work=work)
        short = BaselineNomination(buses=(BusPower(bus="far", power_w=(1,)),))
        with pytest.raises(NotAdmitted, match="/buses/0/power_w: has 1 entries"):
            ordering.nominate_baseline(auction.id, short, participant="agg", now=NOON, work=work)
        elsewhere = Forecast(injections=(Injection(bus="fra", p_w=(1, 1), q_var=(0, 0)),))
        with pytest.raises(NotAdmitted, match="/injections/0/bus"):
            ordering.submit_forecast(auction.id, elsewhere, dso="dso", now=NOON, work=work)
    with pytest.raises(GateStillOpen):
        clear_auction(auction.id, now=NOON, engine=engine)


def test_only_the_version_that_was_read_can_be_replaced_or_withdrawn(engine: Engine, auction: Auction) -> None:
    with UnitOfWork(engine) as work:
        first = ordering.submit_offer(auction.id, offer(), participant="agg", now=NOON, work=work)
        name = first.offer.id
        mine: Any = {"participant": "agg", "now": NOON, "work": work}
        ordering.replace_offer(auction.id, name, offer(), version=1, **mine)
        with pytest.raises(PreconditionFailed, match="version 2 now"):
            ordering.replace_offer(auction.id, name, offer(), version=1, **mine)
        with pytest.raises(NotFound):
            ordering.withdraw_offer(auction.id, name, version=2, participant="other", now=NOON, work=work)
        assert ordering.withdraw_offer(auction.id, name, version=2, **mine).state == "withdrawn"
        work.commit()

    clear_auction(auction.id, now=GATE, engine=engine)
    with UnitOfWork(engine) as work:
        outcome = work.auctions.published(auction.id)
    assert outcome is not None and outcome.case.offers == (), "what was withdrawn is not cleared"


def test_a_clearing_that_was_killed_is_taken_up_again_with_the_same_input(engine: Engine, auction: Auction) -> None:
    hashes: list[str] = []

    def killed(case: Case, _: Options) -> Result:
        hashes.append(clear(case).input_sha256)
        raise KeyboardInterrupt

    with UnitOfWork(engine) as work:
        ordering.submit_offer(auction.id, offer(), participant="agg", now=NOON, work=work)
        work.commit()
    with pytest.raises(KeyboardInterrupt):
        clear_auction(auction.id, now=GATE, engine=engine, clear=killed)
    with UnitOfWork(engine) as work, pytest.raises(GateClosed):
        ordering.submit_offer(auction.id, offer(), participant="agg", now=GATE - timedelta(hours=1), work=work)

    later = GATE + timedelta(minutes=1)
    assert due_auctions(now=later, engine=engine) == [auction.id]
    clear_auction(auction.id, now=later, engine=engine)
    with UnitOfWork(engine) as work:
        outcome = work.auctions.published(auction.id)
    assert outcome is not None and hashes == [outcome.result.input_sha256]


def test_two_clearings_at_once_are_one(engine: Engine, auction: Auction) -> None:
    cleared: list[Case] = []

    def slowly(case: Case, _: Options) -> Result:
        cleared.append(case)
        time.sleep(0.2)
        return clear(case)

    with ThreadPoolExecutor() as pool:
        both = [pool.submit(clear_auction, auction.id, now=GATE, engine=engine, clear=slowly) for _ in range(2)]
    first, second = (each.result() for each in both)

    assert first == second and first.state == "published"
    assert len(cleared) == 1


def test_an_auction_that_cannot_be_cleared_fails_with_the_reason_and_publishes_nothing(
    engine: Engine, auction: Auction
) -> None:
    with UnitOfWork(engine) as work:
        hard = request(max_price_eur_per_mwh=None)
        ordering.submit_request(auction.id, hard, dso="dso", now=NOON, work=work)
        work.commit()

    failed = clear_auction(auction.id, now=GATE, engine=engine)

    assert failed.state == "failed"
    assert failed.failure is not None and "4.0 kW less consumption at far would meet it" in failed.failure
    with UnitOfWork(engine) as work:
        assert work.auctions.published(auction.id) is None
        assert work.money.transfers(auction.id) == []


def test_why_clearing_failed_is_for_the_dso_and_operators(engine: Engine, auction: Auction) -> None:
    """4 kW are missing with no offer in the book; with one of 3 kW it would be 1: who reads that knows the offer."""
    with UnitOfWork(engine) as work:
        ordering.submit_request(auction.id, request(max_price_eur_per_mwh=None), dso="dso", now=NOON, work=work)
        work.commit()
    failed = clear_auction(auction.id, now=GATE, engine=engine)
    readers: dict[str, Role] = {"dso": "dso", "market": "operator", "agg": "aggregator", "next": "dso"}
    told = {
        name: visible_auction(failed, who=Organisation(id=name, name=name, role=role)).failure
        for name, role in readers.items()
    }
    with UnitOfWork(engine, reading=True) as work:
        told["page"] = public_auction(auction.id, work=work).auction.failure
        (listed,) = all_auctions(work=work)

    assert told["dso"] == told["market"] == failed.failure and "4.0 kW" in (failed.failure or "")
    assert {told["agg"], told["next"], told["page"], listed.failure} == {WITHHELD}


def test_a_bus_with_a_standing_offer_stays_in_the_baseline(engine: Engine, auction: Auction) -> None:
    def nominate(*buses: str) -> None:
        nomination = BaselineNomination(buses=tuple(BusPower(bus=each, power_w=(9_000, 9_000)) for each in buses))
        with UnitOfWork(engine) as work:
            ordering.nominate_baseline(auction.id, nomination, participant="agg", now=NOON, work=work)
            work.commit()

    with UnitOfWork(engine) as work:
        standing = ordering.submit_offer(auction.id, offer(), participant="agg", now=NOON, work=work)
        work.commit()
    nominate("far", "s")
    for without in ((), ("s",)):
        with pytest.raises(
            NotAdmitted, match=f'/buses: leaves out bus "far", where offer "{standing.offer.id}" stands'
        ):
            nominate(*without)
    with UnitOfWork(engine) as work:
        assert work.orders.nominated_buses(auction.id, "agg") == {"far", "s"}, "a refused one changes nothing"
        ordering.withdraw_offer(auction.id, standing.offer.id, version=1, participant="agg", now=NOON, work=work)
        work.commit()
    nominate("s")


def test_an_offer_and_a_baseline_without_its_bus_do_not_both_come_in(engine: Engine, auction: Auction) -> None:
    """Ten times at once: whichever comes first, the other one is refused."""
    whole = BaselineNomination(buses=(BusPower(bus="far", power_w=(10_000, 10_000)),))

    def admitted(order: Callable[[UnitOfWork], object]) -> bool:
        try:
            transact(engine, order)
        except (NotAdmitted, BaselineMissing):
            return False
        return True

    for _ in range(10):
        orders: list[Callable[[UnitOfWork], object]] = [
            lambda work: ordering.submit_offer(auction.id, offer(), participant="agg", now=NOON, work=work),
            lambda work: ordering.nominate_baseline(
                auction.id, BaselineNomination(buses=()), participant="agg", now=NOON, work=work
            ),
        ]
        with ThreadPoolExecutor() as pool:
            assert sum(pool.map(admitted, orders)) == 1
        with UnitOfWork(engine) as work:
            for each in work.orders.offers(auction.id, participant="agg"):
                if each.state == "active":
                    ordering.withdraw_offer(
                        auction.id, each.offer.id, version=each.version, participant="agg", now=NOON, work=work
                    )
            ordering.nominate_baseline(auction.id, whole, participant="agg", now=NOON, work=work)
            work.commit()


def test_settlement_waits_for_the_end_of_delivery_and_for_readings(engine: Engine, auction: Auction) -> None:
    with UnitOfWork(engine) as work:
        ordering.submit_request(auction.id, request(), dso="dso", now=NOON, work=work)
        ordering.submit_offer(auction.id, offer(), participant="agg", now=NOON, work=work)
        work.commit()
    clear_auction(auction.id, now=GATE, engine=engine)

    with pytest.raises(DeliveryNotOver):
        settle_auction(auction.id, now=DELIVERY.start, engine=engine)
    with pytest.raises(ReadingsMissing, match="agg has no meter reading at far for 2026-01-15 08:00 UTC"):
        settle_auction(auction.id, now=DELIVERY.end, engine=engine)
    early = ReadingTerms(start=DELIVERY.start, buses=(BusPower(bus="far", power_w=(1, 2)),))
    with UnitOfWork(engine) as work, pytest.raises(NotAdmitted, match="not over yet"):
        submit_reading(auction.id, early, participant="agg", now=DELIVERY.start + timedelta(hours=1), work=work)


def test_the_first_operator_is_made_once_and_secrets_are_checked(engine: Engine) -> None:
    clock = SimulatedClock(NOON)
    operator = bootstrap_operator("Market", engine=engine, clock=clock)
    with pytest.raises(AlreadyExists):
        bootstrap_operator("Market", engine=engine, clock=clock)
    with UnitOfWork(engine) as work:
        terms = OrganisationTerms(name="Homes", role="aggregator")
        homes = register_organisation(terms, clock=clock, work=work)
        work.commit()
    assert authenticate(homes.client_id, homes.client_secret, engine=engine).organisation.id == homes.organisation
    for client, secret in ((homes.client_id, operator.client_secret), ("nobody", "x")):
        with pytest.raises(TokenRefused, match="not valid"):
            authenticate(client, secret, engine=engine)
