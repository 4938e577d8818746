"""A site under control, minute by minute, with emulated vehicles: what was sold is delivered, drivers are full."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from aggregator_agents.connection import Connection
from aggregator_agents.control import SiteControl
from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.emulation.cluster import EmulatedCluster
from aggregator_agents.emulation.vehicle import EXACT, Behaviour
from aggregator_agents.fleet import Session, Site
from aggregator_agents.order import Order
from aggregator_agents.planning import Valuation, plan
from aggregator_agents.premises import Premises, PremisesTable
from api_spec.auction import Auction
from api_spec.award import Award
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from api_spec.product import Product
from tests.unit.aggregator_agents.places import FULL_W, HOUR, NOON, quarters, site, vehicle

MINUTE = timedelta(minutes=1)
FAIR = Valuation(fairness=1.0)


def sold(
    delivery: MarketPeriod, baseline_w: Iterable[float], awarded_w: Iterable[int], *, contract: str | None = None
) -> Order:
    auction = Auction(
        id="auc",
        dso="dso",
        state="published",
        network="street",
        product=Product(name="day", price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(200)),
        delivery=delivery,
        gate_closure=delivery.start - HOUR,
    )
    powers = tuple(awarded_w)
    award = Award(
        offer="off",
        participant="agg",
        bus="lot",
        power_w=powers,
        price_eur_per_mwh=tuple(Decimal(100) if w else Decimal(0) for w in powers),
        payment_eur=Decimal(1),
        uplift_eur=Decimal(0),
        contract=contract,
    )
    return Order.of(auction, BusPower(bus="lot", power_w=tuple(round(w) for w in baseline_w)), [award])


class Running:
    """A site from noon on, with its chargers and who decides for them."""

    def __init__(self, place: Site, sessions: Iterable[Session], *, behaviour: Behaviour = EXACT) -> None:
        self.cluster = EmulatedCluster(place, since=NOON - HOUR, behaviour=behaviour)
        self.cluster.expect(sessions)
        self.cluster.advance(NOON)
        self.control = SiteControl(Connection(place, Valuation(), Premises(PremisesTable(), place.bus)))

    def run(self, *, minutes: int) -> None:
        for minute in range(minutes + 1):
            self.step(minute)

    def step(self, minute: int) -> None:
        now = NOON + minute * MINUTE
        self.cluster.advance(now)
        targets = self.control.decide(self.cluster.demands(), self.cluster, now)
        self.cluster.follow(SitePlan(target_a=targets))

    def metered_w(self, delivery: MarketPeriod) -> np.ndarray:
        return self.cluster.mean_w(delivery.start, delivery.resolution, delivery.count)


def test_without_a_market_a_vehicle_charges_at_once() -> None:
    running, delivery = Running(site(), [vehicle()]), quarters(8)
    running.run(minutes=120)

    assert running.metered_w(delivery) == pytest.approx([FULL_W] * 4 + [0.0] * 4, abs=20)
    (driver,) = running.cluster.outcomes()
    assert driver.delivered_wh == pytest.approx(driver.asked_wh)


@pytest.mark.parametrize(("contract", "kept"), [("con", True), (None, False)])
def test_a_called_right_comes_before_a_driver_who_needs_it_all(contract: str | None, kept: bool) -> None:
    """An hour at the plug for an hour's energy. Going without costs 2000 EUR/MWh: more than an offer earns."""
    running, delivery = Running(site(), [vehicle(stays_h=1)]), quarters(4)
    running.control.obey(sold(delivery, [FULL_W] * 4, [-5_520] * 4, contract=contract))
    running.run(minutes=60)

    assert bool(running.metered_w(delivery).max() <= 5_521) is kept


def test_what_was_sold_is_not_drawn_and_the_driver_is_full_in_the_end() -> None:
    delivery = quarters(12)
    running = Running(site(), [vehicle()])
    usual = plan(site(), [vehicle()], delivery, Valuation()).total_w
    running.control.obey(sold(delivery, usual, [-6_900, -6_900, 0, 0, 6_900, 6_900, *(0,) * 6]))
    running.run(minutes=180)

    metered = running.metered_w(delivery)
    assert metered == pytest.approx(np.array([4_140, 4_140, FULL_W, FULL_W, 6_900, 6_900, *[0] * 6]), abs=150)
    assert running.cluster.outcomes()[0].delivered_wh == pytest.approx(FULL_W, abs=2)


def test_vehicles_that_draw_less_than_they_are_told_are_told_more() -> None:
    """Of 16 A they draw 15.36 (11 kW less 440 W); the energy of an award upward comes out as it was sold."""
    delivery = quarters(8)
    sessions = [vehicle("lot-1-1", stays_h=8, wants_wh=2e4), vehicle("lot-2-1", stays_h=8, wants_wh=2e4)]
    running = Running(site(chargers=2), sessions, behaviour=Behaviour())
    running.control.obey(sold(delivery, [0.0] * 8, [9_000] * 8))
    running.run(minutes=120)

    assert running.metered_w(delivery)[1:] == pytest.approx(np.full(7, 9_000), rel=0.03)


def test_a_vehicle_that_stays_away_leaves_its_energy_to_nobody() -> None:
    running = Running(site(), [])
    running.control.expected = (vehicle(),)
    running.run(minutes=30)

    assert running.cluster.metered_wh(NOON, NOON + HOUR / 2) == 0
    assert {each.setpoint_w for each in running.control.log} == {0.0}


def test_setpoints_are_logged_with_what_the_meter_counted() -> None:
    running = Running(site(), [vehicle()], behaviour=EXACT.model_copy(update={"accuracy": 0.9}))
    running.run(minutes=20)

    assert [each.at for each in running.control.log] == [NOON + k * MINUTE for k in range(20)]
    last = running.control.log[-1]
    assert last.setpoint_w == FULL_W
    assert last.metered_w == pytest.approx(0.9 * FULL_W)


def test_a_plan_is_made_anew_when_a_driver_says_something_else() -> None:
    """At 12:10 the driver says departure is at 13:00 instead of 16:00; within the next cycle the plan ends then."""
    running, delivery = Running(site(), [vehicle(wants_wh=3 * FULL_W)]), quarters(16)
    said: dict[str, Session] = {}
    place = running.control.connection
    running.control = SiteControl(place, amended=lambda all: [said.get(each.id, each) for each in all])
    running.control.obey(sold(delivery, [FULL_W] * 16, [0] * 16))
    running.run(minutes=10)
    assert running.control.plan is not None
    assert running.control.plan.sessions[0].departs == NOON + 4 * HOUR

    said[vehicle().id] = replace(running.control.plan.sessions[0], departs=NOON + HOUR, energy_wh=FULL_W / 2)
    now = NOON + 11 * MINUTE
    running.cluster.advance(now)
    running.control.decide(running.cluster.demands(), running.cluster, now)
    assert running.control.plan.sessions[0].departs == NOON + HOUR
    assert running.control.plan.power_w[0].sum() > 0
    assert running.control.plan.power_w[0][running.control.plan.grid.edges_h[:-1] >= 50 / 60].sum() == 0


def test_a_vehicle_that_was_stopped_for_another_is_not_stopped_again() -> None:
    """11 A for one of two: a large demand gives way to one small one, and not to the next."""
    large = vehicle("lot-1-1", wants_wh=30_000, stays_h=4)
    small = [vehicle("lot-2-1", wants_wh=2_500, stays_h=0.75, after_h=hour) for hour in (0.5, 1.75)]
    small = [replace(each, id=f"{each.id} {number}") for number, each in enumerate(small)]
    running = Running(site(chargers=2, fuse_a=11), [large, *small])
    running.control = SiteControl(Connection(running.cluster.plant.site, FAIR, Premises(PremisesTable(), "lot")))
    running.control.expected = (large, *small)

    signals = list[int]()
    for minute in range(165):
        running.step(minute)
        signals.append(running.cluster.readings()[0].signal_a)

    switched_off = [at for at, (was, now) in enumerate(pairwise(signals)) if was > 0 and now == 0]
    assert len(switched_off) == 1 and 30 <= switched_off[0] <= 60
    assert running.cluster.outcomes()[1].delivered_wh > 2_000
