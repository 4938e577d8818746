"""A whole connection: prices and other load in its plan, and blocks of what it can do instead."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator_agents.connection import Connection, NetworkTerms
from aggregator_agents.delay import AT_ONCE, RandomDelay
from aggregator_agents.fleet import PHASE_V, FloatArray, Session, Site, Vehicle
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.connection import blocks, net_w, nominated
from aggregator_agents.planning import Grid, Planner, Prices, Problem, Valuation
from aggregator_agents.premises import Load, Premises, PremisesTable
from aggregator_agents.retail import RetailPrices
from api_spec.flexibility import BlockTerms
from api_spec.ids import TariffId
from api_spec.period import MarketPeriod
from api_spec.tariffs import TariffPrices
from tests.unit.aggregator_agents.places import HOUR, NOON, site

HOURS = MarketPeriod(start=NOON, resolution=timedelta(hours=1), count=4)
HOUSE = Site.of("house", chargers=1, plugs_per_charger=1, fuse_a=25, other_a=3)
FEEDS = Vehicle(discharge_a=16, battery_wh=20_000)
PATIENT = Valuation(waiting_eur_per_mwh_hour=1e-3, wear_eur_per_mwh=60)
ASKING = Asking(share=0.9, floor_eur_per_mwh=Decimal(5))


def parked(vehicle: Vehicle = FEEDS, *, wants_wh: float = 0, stored_wh: float = 20_000) -> Session:
    return Session("a", "house-1-1", NOON, NOON + 4 * HOUR, wants_wh, vehicle, stored_wh=stored_wh, floor_wh=10_000)


def asked(*buy: float, sessions: tuple[Session, ...] = (parked(),), other_a: float = 3, sell: float = 0) -> Problem:
    prices = Prices(np.array(buy), np.full(4, sell))
    other = np.full((3, 4), other_a)
    return Problem(HOUSE, Grid.of(HOURS), sessions, PATIENT, prices, other_a=other, whole=False)


def offered(problem: Problem, *window: bool, cap: int = 250) -> tuple[BlockTerms, ...]:
    planned = Planner().plan(problem)
    return blocks(problem, planned, HOURS, window=window, asking=ASKING, price_cap=Decimal(cap))


def test_behind_the_meter_a_vehicle_carries_the_dear_hours_and_fills_up_in_cheap_ones() -> None:
    """3 A x 690 W = 2070 W of other load: nothing is bought at 300, all of it and what was fed back at 100 EUR/MWh."""
    problem = asked(300, 300, 100, 100)
    planned = Planner().plan(problem)

    assert nominated(problem, planned).power_w == (0, 0, 2070 + 4140, 2070)
    assert planned.shortfall_wh.sum() == pytest.approx(0, abs=0.1)


def test_what_a_vehicle_cannot_feed_back_is_bought() -> None:
    problem = asked(300, 300, 100, 100, sessions=(parked(Vehicle()),))
    assert nominated(problem, Planner().plan(problem)).power_w == (2070,) * 4


def test_what_the_sun_gives_is_charged_rather_than_given_away() -> None:
    """PV of 3 A on every phase, 6 kWh wanted at 100 EUR/MWh and 20 for feeding in: 2070 W in three hours, no import."""
    problem = asked(100, 100, 100, 100, sessions=(parked(Vehicle(), wants_wh=6_000),), other_a=-3, sell=20)
    net = net_w(problem, Planner().plan(problem))
    assert (net <= 1e-3).all()
    assert net.sum() == pytest.approx(-4 * 2070 + 6_000)


def test_blocks_are_of_the_connection_and_reach_below_zero_down_to_the_floor() -> None:
    """Planned is 0, 0, 6210, 2070 W; the third hour is asked for, at no more than 250 EUR/MWh.

    The 4140 Wh that were to be charged then wait for the fourth hour, and the 5860 Wh above the floor of 10 kWh are
    fed back: 10 kWh less, 10 kWh more in the hour after, of which 0.9 is offered. Of what is fed back 3790 Wh leave the
    house for nothing, at 100 EUR/MWh, and 5860 Wh wear the battery at 60: 0.7306 EUR, over 20 kWh moved, and 5 EUR/MWh.
    To feed back still more, energy would have to be bought at 300 in the first two hours.
    """
    made = offered(asked(300, 300, 100, 100), False, False, True, False)

    assert made[-1].power_w == pytest.approx((0, 0, -9000, 9000), abs=1)
    assert float(made[-1].price_eur_per_mwh) == pytest.approx(0.7306e6 / 20_000 + 5, abs=0.02)
    assert float(made[0].price_eur_per_mwh) == pytest.approx(5, abs=0.02), "only the charging waits"
    assert made[0].power_w == pytest.approx((0, 0, -2250, 2250), abs=1)
    assert [each.min_activation for each in made[1:]] == pytest.approx([1 / 2, 2 / 3, 3 / 4], abs=1e-3)
    assert {each.exclusive_group for each in made} == {"house 2026-01-15T12:00"}


def test_a_vehicle_that_cannot_feed_back_offers_no_more_than_it_charges() -> None:
    """11.04 kWh of the first hour come back evenly in the next three; nothing goes below the 2070 W of the rest."""
    made = offered(asked(100, 101, 102, 103, sessions=(parked(Vehicle(), wants_wh=11_040),)), True, False, False, False)
    assert made[-1].power_w == pytest.approx((-9936, 3312, 3312, 3312), abs=1)


def test_in_a_window_as_long_as_the_stay_there_are_blocks_of_its_parts() -> None:
    """Asked for are all four hours: of the first two, 11.04 kWh of the first wait for the last two, 5.52 kWh each."""
    made = offered(asked(100, 101, 102, 103, sessions=(parked(Vehicle(), wants_wh=11_040),)), True, True, True, True)
    assert made[-1].power_w == pytest.approx((-9936, 0, 4968, 4968), abs=1)


def test_nothing_is_offered_where_nothing_can_move_or_only_above_the_cap() -> None:
    assert offered(asked(300, 300, 100, 100, sessions=()), True, True, True, True) == ()
    full = asked(300, 300, 100, 100, sessions=(parked(Vehicle(), wants_wh=0),))
    assert offered(full, True, True, True, True) == ()
    dear = Planner().plan(asked(300, 300, 100, 100))
    made = blocks(
        asked(300, 300, 100, 100),
        dear,
        HOURS,
        window=(False, False, True, False),
        asking=Asking(floor_eur_per_mwh=Decimal(11)),
        price_cap=Decimal(10),
    )
    assert made == ()


def test_each_time_of_asking_has_blocks_of_its_own_and_one_of_all_is_accepted() -> None:
    """All is charged in the second and fourth hour, which are asked for: blocks without one, the other, or both."""
    problem = asked(300, 100, 300, 100, sessions=(parked(Vehicle(), wants_wh=20_000),))
    made = offered(problem, False, True, False, True)
    reduced = {tuple(power < 0 for power in each.power_w) for each in made}
    assert reduced == {(False, True, False, False), (False, False, False, True), (False, True, False, True)}
    assert len({each.exclusive_group for each in made}) == 1
    assert len({each.power_w for each in made}) == len(made)


@st.composite
def lots(draw: st.DrawFn) -> Problem:
    place = site(chargers=draw(st.integers(1, 3)), plugs=2, fuse_a=draw(st.integers(30, 63)), other_a=15)
    sessions = []
    for plug in draw(st.lists(st.sampled_from([each.id for each in place.plugs]), unique=True, min_size=1)):
        vehicle = Vehicle(
            phases=draw(st.integers(1, 3)),
            discharge_a=draw(st.sampled_from([0, 10, 16])),
            battery_wh=50_000,
            efficiency=draw(st.sampled_from([0.9, 1.0])),
        )
        wants, stored = draw(st.floats(0, 20_000)), draw(st.floats(20_000, 30_000))
        arrives, stays = draw(st.integers(0, 2)), draw(st.integers(1, 4))
        sessions.append(
            Session(
                plug, plug, NOON + arrives * HOUR, min(NOON + (arrives + stays) * HOUR, HOURS.end), wants, vehicle, 1.0,
                stored, 20_000,
            )
        )  # fmt: skip
    numbers = st.lists(st.floats(0, 400), min_size=4, max_size=4)
    buy = np.array(draw(numbers))
    prices = Prices(buy, buy * draw(st.floats(0, 1)))
    other = np.array([draw(st.lists(st.floats(-20, 15), min_size=4, max_size=4)) for _ in range(3)])
    return Problem(place, Grid.of(HOURS), tuple(sessions), Valuation(), prices, other_a=other, whole=False)


@given(lots(), st.integers(0, 3), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_whatever_is_accepted_the_connection_keeps_its_fuse_and_deeper_blocks_are_dearer(
    problem: Problem, begin: int, length: int
) -> None:
    """Any part of any block, both ways: three times the fuse of a phase bounds the sum.

    In a window of one hour there is one ladder; in longer ones there are ladders of its parts besides.
    """
    made = offered(problem, *(begin <= each < begin + length for each in range(4)), cap=900)
    base = np.array(nominated(problem, Planner().plan(problem)).power_w)
    most_w = 3 * PHASE_V * (problem.site.fuse_a - problem.site.margin_a)
    for each in made:
        for part in (each.min_activation, 1.0):
            changed: FloatArray = base + part * np.array(each.power_w)
            assert (np.abs(changed) <= most_w + 2).all()
    deeper = [(one, other) for one, other in pairwise(made) if min(one.power_w) > min(other.power_w)]
    assert length > 1 or all(one.price_eur_per_mwh <= other.price_eur_per_mwh for one, other in deeper)
    assert len(made) - len(deeper) <= max(length, 1), "a ladder for each part of the time that is asked for, at most"


def connection(**given: Any) -> Connection:
    table = PremisesTable(loads=(Load(profile="office", annual_kwh=8766, noise=0),))
    return Connection(HOUSE, Valuation(price_eur_per_mwh=7.0), Premises(given.pop("table", table), "house"), **given)


def test_a_connection_knows_what_energy_costs_on_each_step() -> None:
    """Noon UTC is 13 o'clock in Copenhagen. A tariff counts on top of buying; selling never earns more than buying."""
    retail = RetailPrices(
        buy_eur_per_mwh=tuple(200.0 if hour == 13 else 100.0 for hour in range(24)), sell_eur_per_mwh=80.0
    )
    prices = (Decimal(-50), Decimal(10), Decimal(10), Decimal(10))
    nothing = (Decimal(0),) * 4
    tariff = TariffPrices(
        tariff=TariffId("tar_1"),
        period=HOURS,
        energy_eur_per_mwh=prices,
        critical_eur_per_kw=nothing,
        peak_eur_per_kw_month=nothing,
    )
    with_both = connection(retail=retail, terms=NetworkTerms(tariff=tariff)).prices(Grid.of(HOURS))
    assert with_both.buy_eur_per_mwh.tolist() == [150, 110, 110, 110]
    assert with_both.sell_eur_per_mwh.tolist() == [80, 80, 80, 80]
    assert connection().prices(Grid.of(HOURS)).buy_eur_per_mwh.tolist() == [7] * 4


def test_a_delayed_connection_sees_prices_change_later() -> None:
    """The tariff rises from 10 to 90 at 13:00; a quarter of an hour late, this step at 13:00 still costs 10."""
    nothing = (Decimal(0),) * 4
    tariff = TariffPrices(
        tariff=TariffId("tar_1"),
        period=HOURS,
        energy_eur_per_mwh=(Decimal(10), Decimal(90), Decimal(90), Decimal(90)),
        critical_eur_per_kw=nothing,
        peak_eur_per_kw_month=nothing,
    )
    late = connection(terms=NetworkTerms(tariff=tariff, delay=timedelta(minutes=15)))
    quarters = MarketPeriod(start=NOON + HOUR, resolution=timedelta(minutes=15), count=3)

    assert late.prices(Grid.of(quarters)).buy_eur_per_mwh.tolist() == [17, 97, 97]


def test_delays_differ_between_connections_and_days_and_stay_within_their_limit() -> None:
    within = timedelta(minutes=30)
    chance = RandomDelay(within, seed=1)
    drawn = [chance.at(f"home-{at}", NOON.date()) for at in range(200)]

    assert drawn == [chance.at(f"home-{at}", NOON.date()) for at in range(200)]
    assert timedelta(0) <= min(drawn) < timedelta(minutes=2)
    assert timedelta(minutes=28) < max(drawn) <= within
    assert chance.at("home-1", NOON.date()) != chance.at("home-1", NOON.date() + timedelta(days=1))
    assert AT_ONCE.at("home-1", NOON.date()) == timedelta(0)


def test_a_connection_expects_its_premises_in_amps() -> None:
    """An office of 8766 kWh a year draws 1 kW in the mean; on a working day at 13 o'clock local 2.26 of it."""
    other = connection().other_a(Grid.of(HOURS), issued=NOON)
    assert other is not None
    assert other.shape == (3, 4)
    assert other[:, 0] == pytest.approx([1000 * 2.255 / 690] * 3, rel=0.01)
    assert connection(table=PremisesTable()).other_a(Grid.of(HOURS), issued=NOON) is None
