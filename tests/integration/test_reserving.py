"""Reserved capacity through the workflow, on a real database: what happens where something goes wrong."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import Engine

from api_spec.auction import Auction, AuctionTerms
from api_spec.award import AcknowledgementTerms
from api_spec.case import Case, Injection
from api_spec.flexibility import AnyOfferTerms, AnyRequestTerms
from api_spec.metering import BaselineNomination, BusPower, Forecast, ReadingTerms
from api_spec.organisation import Organisation
from api_spec.period import MarketPeriod
from api_spec.prequalification import DecisionTerms, Prequalification, PrequalificationTerms
from api_spec.product import Product, Tolerances
from api_spec.quality import DeliveryQuality, ServiceAttributes
from api_spec.resource import ResourceTerms
from api_spec.result import Result
from market.clearing import clear
from market.clearing.options import Options
from market.errors import (
    AlreadyExists,
    DeliveriesUnsettled,
    DeliveryNotOver,
    NotAdmitted,
    NotFound,
    NotPublished,
    ObligationsOpen,
    PreconditionFailed,
    SolverFailed,
    WrongState,
)
from market.ledger.transfers import balances
from market.store import UnitOfWork, transact
from market.workflow import ordering, prequalifying
from market.workflow.acknowledging import acknowledge_award, acknowledged_awards
from market.workflow.clearing import clear_auction
from market.workflow.settling import due_settlements, settle_auction, submit_reading
from tests.street_network import STREET

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
DELIVERY = MarketPeriod(start=NOON + timedelta(days=7), resolution=timedelta(hours=1), count=2)
FIRST_GATE, SECOND_GATE = NOON + timedelta(days=1), DELIVERY.start - timedelta(hours=12)
RESERVE = Product(
    name="reserve",
    stage="reservation",
    direction="reduction",
    price_cap_eur_per_mwh=Decimal(100),
    penalty_eur_per_mwh=Decimal(0),
    availability_penalty_eur_per_mwh=Decimal(25),
)
DAY = Product(name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100))
LIMIT: TypeAdapter[AnyRequestTerms] = TypeAdapter(AnyRequestTerms)
OFFER: TypeAdapter[AnyOfferTerms] = TypeAdapter(AnyOfferTerms)


@pytest.fixture
def engine(migrated: Engine) -> Engine:
    """A street and its organisations, on both databases."""
    with UnitOfWork(migrated) as work:
        for name, role in (("dso", "dso"), ("next", "dso"), ("agg", "aggregator"), ("other", "aggregator")):
            who = Organisation.model_validate({"id": name, "name": name, "role": role})
            work.participants.add(who, client_id=name, secret_hash="#", now=NOON)
        ordering.register_network(STREET, dso="dso", now=NOON, work=work)
        work.commit()
    return migrated


def opened(engine: Engine, product: Product, gate: datetime, delivery: MarketPeriod = DELIVERY) -> Auction:
    """24 kW behind 20 kW in both hours; the aggregator offers 9 kW at 10 EUR/MWh."""
    with UnitOfWork(engine) as work:
        terms = AuctionTerms(network="street", product=product, delivery=delivery, gate_closure=gate)
        auction = ordering.open_auction(terms, dso="dso", now=NOON, work=work)
        load = Injection(bus="far", p_w=(14_000, 14_000), q_var=(0, 0))
        ordering.submit_forecast(auction.id, Forecast(injections=(load,)), dso="dso", now=NOON, work=work)
        baseline = BaselineNomination(buses=(BusPower(bus="far", power_w=(10_000, 10_000)),))
        ordering.nominate_baseline(auction.id, baseline, participant="agg", now=NOON, work=work)
        limit = {"kind": "capacity", "element": "l1", "import_limit_w": 20_000, "max_price_eur_per_mwh": 800}
        ordering.submit_request(auction.id, LIMIT.validate_python(limit), dso="dso", now=NOON, work=work)
        step = {"power_w": [-9000, -9000], "price_eur_per_mwh": 10}
        offer = OFFER.validate_python({"bus": "far", "kind": "curve", "steps": [step]})
        ordering.submit_offer(auction.id, offer, participant="agg", now=NOON, work=work)
        work.commit()
    return auction


def apply_for(resource: str, product: str, work: UnitOfWork) -> Prequalification:
    terms = PrequalificationTerms(product=product)
    checked = prequalifying.check(resource, terms, participant="agg", work=work)
    return prequalifying.apply_for(resource, terms, checked, participant="agg", now=NOON, work=work)


def record_delivery(auction: str, delivered_wh: int, work: UnitOfWork, *, version: int) -> None:
    """What came of one delivery of 8 kWh, as it was settled and corrected."""
    quality = DeliveryQuality(
        auction=auction,
        participant="agg",
        bus="far",
        version=version,
        recorded_at=NOON,
        ordered_wh=8_000,
        delivered_wh=delivered_wh,
        accuracy=delivered_wh / 8_000,
        resolution=timedelta(hours=1),
        by_market=ServiceAttributes(),
    )
    work.deliveries.record(quality, network="street", delivered_at=NOON)


def failing(case: Case, options: Options) -> Result:
    raise SolverFailed("numerically lost")


def test_an_auction_that_fails_still_shows_that_the_obligation_was_kept(engine: Engine) -> None:
    """4 kW reserved for two hours at 10 EUR/MW/h: 0.08 EUR, although nothing could be called."""
    reserving, activating = opened(engine, RESERVE, FIRST_GATE), opened(engine, DAY, SECOND_GATE)
    clear_auction(reserving.id, now=FIRST_GATE, engine=engine)

    assert clear_auction(activating.id, now=SECOND_GATE, engine=engine, clear=failing).state == "failed"

    with UnitOfWork(engine) as work:
        (obligation,) = work.reservations.obligations(activation=activating.id)
    assert [(each.offered_w, each.ordered_w) for each in obligation.periods] == [(4000, 0), (4000, 0)]
    settle_auction(reserving.id, now=DELIVERY.end, engine=engine)
    with UnitOfWork(engine) as work:
        (statement,) = work.reservations.statements(reserving.id)
        transfers = work.money.transfers(reserving.id)
    assert statement.net_eur == Decimal("0.08")
    assert balances(transfers) == {"dso:dso": Decimal("-0.08"), "participant:agg": Decimal("0.08")}
    assert [each.stage for each in transfers] == ["pending", "voided", "posted"]


def test_an_obligation_that_was_withdrawn_from_the_book_is_broken(engine: Engine) -> None:
    """8 kWh were reserved and not offered: 0.2 EUR at 25 EUR/MWh, and nothing earned."""
    reserving, activating = opened(engine, RESERVE, FIRST_GATE), opened(engine, DAY, SECOND_GATE)
    clear_auction(reserving.id, now=FIRST_GATE, engine=engine)
    with UnitOfWork(engine) as work:
        (receipt,) = work.orders.offers(activating.id)
        ordering.withdraw_offer(
            activating.id, receipt.offer.id, version=1, participant="agg", now=FIRST_GATE, work=work
        )
        work.commit()
    clear_auction(activating.id, now=SECOND_GATE, engine=engine)

    settle_auction(reserving.id, now=DELIVERY.end, engine=engine)

    with UnitOfWork(engine) as work:
        (statement,) = work.reservations.statements(reserving.id)
    assert (statement.payment_eur, statement.net_eur) == (Decimal(0), Decimal("-0.2"))


def test_availability_waits_for_the_end_and_for_auctions_that_call_on_it(engine: Engine) -> None:
    reserving, activating = opened(engine, RESERVE, FIRST_GATE), opened(engine, DAY, SECOND_GATE)
    clear_auction(reserving.id, now=FIRST_GATE, engine=engine)

    with pytest.raises(DeliveryNotOver):
        settle_auction(reserving.id, now=DELIVERY.start, engine=engine)
    with pytest.raises(ObligationsOpen, match=f"still called on in {activating.id}"):
        settle_auction(reserving.id, now=DELIVERY.end, engine=engine)
    with UnitOfWork(engine) as work:
        assert work.reservations.statements(reserving.id) == []
        assert work.auctions.get(reserving.id).state == "published"
    clear_auction(activating.id, now=DELIVERY.end, engine=engine)
    settled = settle_auction(reserving.id, now=DELIVERY.end, engine=engine)
    with UnitOfWork(engine) as work:
        transfers = work.money.transfers(reserving.id)
    assert settle_auction(reserving.id, now=DELIVERY.end + timedelta(hours=1), engine=engine) == settled
    with UnitOfWork(engine) as work:
        assert work.money.transfers(reserving.id) == transfers, "settled twice is settled once"


def test_availability_is_paid_by_what_was_delivered_the_month_before(engine: Engine) -> None:
    """In January 6 of 8 kWh that were called are delivered: 3/4 of 0.08 EUR for 4 kW in two hours of February."""
    product = RESERVE.model_copy(update={"availability_by_delivery": True})
    february = MarketPeriod(start=datetime(2026, 2, 4, 12, tzinfo=UTC), resolution=timedelta(hours=1), count=2)
    activating = opened(engine, DAY, SECOND_GATE).id
    reserving = opened(engine, product, FIRST_GATE, february).id
    clear_auction(reserving, now=FIRST_GATE, engine=engine)
    with pytest.raises(DeliveriesUnsettled, match=activating):
        settle_auction(reserving, now=february.end, engine=engine)
    clear_auction(activating, now=SECOND_GATE, engine=engine)
    with pytest.raises(DeliveriesUnsettled, match=activating):
        settle_auction(reserving, now=february.end, engine=engine)
    assert due_settlements(now=february.end, engine=engine) == []
    with UnitOfWork(engine) as work:
        reading = ReadingTerms(start=DELIVERY.start, buses=(BusPower(bus="far", power_w=(6_000, 8_000)),))
        submit_reading(activating, reading, participant="agg", now=DELIVERY.end, work=work)
        work.commit()
    settle_auction(activating, now=DELIVERY.end, engine=engine)
    assert due_settlements(now=february.end, engine=engine) == [reserving]

    settle_auction(reserving, now=february.end, engine=engine)

    with UnitOfWork(engine) as work:
        (statement,) = work.reservations.statements(reserving)
        ledger = balances(work.money.transfers(reserving))
    assert [each.payment_factor for each in statement.lines] == [0.75, 0.75]
    assert statement.net_eur == Decimal("0.06")
    assert ledger == {"dso:dso": Decimal("-0.06"), "participant:agg": Decimal("0.06")}


def test_a_clearing_that_is_repeated_after_a_crash_records_reservations_once(engine: Engine) -> None:
    def killed(case: Case, options: Options) -> Result:
        clear(case, options)
        raise KeyboardInterrupt

    reserving = opened(engine, RESERVE, FIRST_GATE)
    with pytest.raises(KeyboardInterrupt):
        clear_auction(reserving.id, now=FIRST_GATE, engine=engine, clear=killed)
    for _ in range(2):
        clear_auction(reserving.id, now=FIRST_GATE, engine=engine)

    with UnitOfWork(engine) as work:
        (kept,) = work.reservations.reservations(auction=reserving.id)
        assert work.reservations.during("street", DELIVERY) == [kept]
        before = MarketPeriod(start=DELIVERY.start - timedelta(hours=1), resolution=timedelta(hours=1), count=1)
        assert work.reservations.during("street", before) == [], "periods are half-open"


def test_awards_are_answered_after_publication_until_settlement(engine: Engine) -> None:
    accepted = AcknowledgementTerms(answer="accepted")
    reserving = opened(engine, RESERVE, FIRST_GATE)
    who = Organisation(id="dso", name="Grid", role="dso")

    def answer(offer: str, *, participant: str = "agg") -> Any:
        with UnitOfWork(engine) as work:
            found = acknowledge_award(
                reserving.id, offer, accepted, participant=participant, now=FIRST_GATE, work=work
            )  # fmt: skip
            work.commit()
        return found

    with UnitOfWork(engine) as work:
        (receipt,) = work.orders.offers(reserving.id)
        with pytest.raises(NotPublished):
            acknowledged_awards(reserving.id, who=who, work=work)
    name = receipt.offer.id
    with pytest.raises(NotPublished):
        answer(name)
    clear_auction(reserving.id, now=FIRST_GATE, engine=engine)
    with pytest.raises(NotFound):
        answer(name, participant="other")
    answer(name)
    with pytest.raises(AlreadyExists):
        answer(name)
    settle_auction(reserving.id, now=DELIVERY.end, engine=engine)
    with pytest.raises(WrongState, match="it cannot become acknowledged"):
        answer(name)
    with UnitOfWork(engine) as work:
        (seen,) = acknowledged_awards(reserving.id, who=who, work=work)
    assert seen.acknowledgement is not None and seen.acknowledgement.answer == "accepted"


def test_a_resource_and_its_applications_belong_to_their_organisations(engine: Engine) -> None:
    """One delivery of half of what was ordered leaves a reliability of (2 x 8 + 4) / (2 x 8 + 8) = 0.833."""
    terms = ResourceTerms(
        connection="9f86d081884c7d65",
        network="street",
        bus="far",
        capability="V1G",
        reducible_w=9_000,
        increasable_w=0,
    )
    mine: Any = {"participant": "agg", "now": NOON}
    past = opened(engine, DAY, SECOND_GATE)
    with UnitOfWork(engine) as work:
        prequalifying.register_product(
            DAY.model_copy(update={"tolerances": Tolerances(min_reliability=0.9)}), owner="dso", now=NOON, work=work
        )
        with pytest.raises(NotAdmitted, match="/network"):
            prequalifying.register_resource(terms.model_copy(update={"network": "n"}), work=work, **mine)
        resource = prequalifying.register_resource(terms, work=work, **mine)
        other = prequalifying.register_resource(terms, participant="other", now=NOON, work=work)
        with pytest.raises(AlreadyExists):
            prequalifying.register_resource(terms, work=work, **mine)
        with pytest.raises(NotFound):
            prequalifying.remove_resource(other.id, version=1, work=work, **mine)
        with pytest.raises(NotAdmitted, match='/product: no product "dya"'):
            apply_for(resource.id, "dya", work)
        with pytest.raises(NotFound):
            apply_for(other.id, "day", work)
        record_delivery(past.id, 4_000, work, version=1)
        refused = apply_for(resource.id, "day", work)
        assert refused.state == "refused"
        (finding,) = refused.findings
        assert finding.check == "reliability"
        assert finding.value == pytest.approx(20 / 24) and finding.bound == 0.9
        assert finding.detail == "reliability: the resource has 0.833333, the product asks for 0.9 or more"
        record_delivery(past.id, 8_000, work, version=2)
        applied = apply_for(resource.id, "day", work)
        assert applied.state == "applied", "a refused one can apply again, once a correction has mended its record"
        confirmed = DecisionTerms(answer="confirmed")
        with pytest.raises(NotFound):
            prequalifying.decide(applied.id, confirmed, version=1, dso="next", now=NOON, work=work)
        with pytest.raises(PreconditionFailed):
            prequalifying.decide(applied.id, confirmed, version=2, dso="dso", now=NOON, work=work)
        checked = prequalifying.check(other.id, PrequalificationTerms(product="day"), participant="other", work=work)
        changed = prequalifying.replace_resource(
            other.id, terms, version=1, participant="other", now=NOON, work=work
        )  # fmt: skip
        with pytest.raises(PreconditionFailed, match="it is at version 2 now"):
            prequalifying.apply_for(
                changed.id, PrequalificationTerms(product="day"), checked, participant="other", now=NOON, work=work
            )
        prequalifying.remove_resource(resource.id, version=1, work=work, **mine)
        assert work.resources.prequalification(applied.id).state == "withdrawn"
        again = prequalifying.register_resource(terms, work=work, **mine)
        assert again.id != resource.id, "a connection that was removed can be registered anew"


def test_offers_at_once_do_not_stand_on_the_same_watts(engine: Engine) -> None:
    """Eight offers of 2 kW at once on 9 kW: four are admitted, whichever come first."""
    product = DAY.model_copy(update={"tolerances": Tolerances()})
    lot = ResourceTerms(
        connection="9f86d081884c7d65", network="street", bus="far", capability="V1G", reducible_w=9_000, increasable_w=0
    )
    with UnitOfWork(engine) as work:
        prequalifying.register_product(product, owner="dso", now=NOON, work=work)
        resource = prequalifying.register_resource(lot, participant="agg", now=NOON, work=work)
        applied = apply_for(resource.id, "day", work)
        confirmed = DecisionTerms(answer="confirmed")
        prequalifying.decide(applied.id, confirmed, version=1, dso="dso", now=NOON, work=work)
        terms = AuctionTerms(network="street", product="day", delivery=DELIVERY, gate_closure=SECOND_GATE)
        auction = ordering.open_auction(terms, dso="dso", now=NOON, work=work).id
        baseline = BaselineNomination(buses=(BusPower(bus="far", power_w=(10_000, 10_000)),))
        ordering.nominate_baseline(auction, baseline, participant="agg", now=NOON, work=work)
        work.commit()
    step = {"power_w": [-2000, -2000], "price_eur_per_mwh": 10}
    offer = OFFER.validate_python({"bus": "far", "kind": "curve", "steps": [step]})

    def admitted(_: int) -> bool:
        def submit(work: UnitOfWork) -> None:
            ordering.submit_offer(auction, offer, participant="agg", now=NOON, work=work)

        try:
            transact(engine, submit)
        except NotAdmitted:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(admitted, range(8))) == 4
    with UnitOfWork(engine) as work:
        assert len(work.orders.offers(auction)) == 4
