"""From sessions to awards: what comes back because of a reduction stays out of a second congestion."""

from decimal import Decimal

import numpy as np
import pytest

from aggregator_agents.fleet import Session
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.deliverable import Outlook
from aggregator_agents.offering.ladder import Market, ladder
from aggregator_agents.offering.record import Record
from aggregator_agents.planning import Grid, Planner, Prices, Problem, Valuation
from api_spec.case import Case
from api_spec.flexibility import BlockTerms
from market.clearing import clear
from tests.small_cases import Document, block, case, line, load
from tests.unit.aggregator_agents.places import FULL_W, NOON, quarters, site, vehicle
from tests.unit.aggregator_agents.test_site_control import Running, sold

COUNT = 12
FIRST = [0, 1]
SECOND = [4, 5]
MARKET = Market(price_cap_eur_per_mwh=Decimal(900), penalty_eur_per_mwh=Decimal(100))


def deepest(session: Session, *windows: list[int]) -> BlockTerms:
    """The deepest rung of a driver who does what was said, when something is asked for in some quarter-hours."""
    period, place = quarters(COUNT), site()
    window = np.isin(np.arange(COUNT), [at for each in windows for at in each])
    prices = Prices.bought(np.zeros(COUNT))
    asked = Problem(place, Grid.of(period), (session.within(period),), Valuation(), prices, whole=False)
    planned = Planner().plan(asked)
    scenarios = Record.of([], zone="UTC").scenarios([session], now=NOON, count=2, random=np.random.default_rng(1))
    outlook = Outlook(place, period, scenarios, np.rint(planned.total_w), window)
    return ladder(asked, planned, outlook, asking=Asking(kind="blocks"), market=MARKET)[-1]


def test_what_comes_back_avoids_every_window_that_is_asked_for() -> None:
    """An hour of charging from noon: its first half comes back an hour later, or after that where that is asked for."""
    once, twice = deepest(vehicle(), FIRST), deepest(vehicle(), FIRST, SECOND)

    assert once.power_w == pytest.approx([-FULL_W, -FULL_W, 0, 0, FULL_W, FULL_W, 0, 0, 0, 0, 0, 0], abs=1)
    assert twice.power_w == pytest.approx([-FULL_W, -FULL_W, 0, 0, 0, 0, FULL_W, FULL_W, 0, 0, 0, 0], abs=1)
    assert twice.price_eur_per_mwh > once.price_eur_per_mwh, "it waits longer"


def test_clearing_prices_the_payback_so_that_it_cannot_cause_a_second_congestion() -> None:
    """The line has room for 5 kW more in quarters 4 and 5, where the cheaper block would come back with 11 kW."""
    early, late = deepest(vehicle(), FIRST), deepest(vehicle(), FIRST, SECOND)
    offers = [block("early", "far", early.power_w, 10.0), block("late", "far", late.power_w, 20.0)]
    base = [FULL_W] * 4 + [0.0] * (COUNT - 4)
    wide, narrow = (
        [6e3 if at in FIRST else room if at in SECOND else 2e4 for at in range(COUNT)] for room in (2e4, 5e3)
    )

    assert accepted(wide, base, offers) == {"early"}
    assert accepted(narrow, base, offers) == {"late"}


def accepted(limit_w: list[float], base_w: list[float], offers: list[Document]) -> set[str]:
    asked: Document = {"id": "r", "kind": "capacity", "element": "l1", "import_limit_w": limit_w}
    market: Case = case(
        lines=[line("l1", "s", "far", r_ohm=0.0, x_ohm=0.001)],
        baseline=[load("far", *base_w)],
        requests=[{**asked, "max_price_eur_per_mwh": 5000.0}],
        offers=offers,
    )
    return {each.id for each in clear(market).offers if any(each.power_w)}


def test_a_site_keeps_what_comes_back_out_of_the_second_window() -> None:
    """Minute by minute: nothing is drawn in the second window, and the driver is full after it."""
    delivery, rung = quarters(COUNT), deepest(vehicle(), FIRST, SECOND)
    running = Running(site(), [vehicle()])
    running.control.obey(sold(delivery, [FULL_W] * 4 + [0.0] * (COUNT - 4), rung.power_w))
    running.run(minutes=COUNT * 15)

    drawn_w = running.metered_w(delivery)
    assert drawn_w[FIRST + SECOND] == pytest.approx([0.0] * 4, abs=100), "but for seconds in which amps change"
    (driver,) = running.cluster.outcomes()
    assert driver.delivered_wh == pytest.approx(driver.asked_wh, abs=2)
