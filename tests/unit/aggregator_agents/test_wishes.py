"""Wishes: what is possible is known by hand, a refusal says what would be, and what was said is in the plan."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator_agents.drivers.desk import PowerPlan, StayView, outlook
from aggregator_agents.drivers.form import (
    NoSuchTime,
    NotAConsumption,
    NotANumber,
    NotATime,
    Slip,
    Typed,
    read_form,
    typed_of,
)
from aggregator_agents.drivers.wishes import (
    AHEAD,
    PRIORITY,
    Allowance,
    DepartureGone,
    DepartureTooFar,
    MoreThanItTakes,
    MoreThanPossible,
    NoPriorityLeft,
    Objection,
    Reach,
    Stay,
    Wish,
    allowance,
    objections,
    sessions_with_wishes,
)
from aggregator_agents.fleet import Session, Vehicle
from aggregator_agents.planning import Valuation, plan
from tests.unit.aggregator_agents.parking import COPENHAGEN
from tests.unit.aggregator_agents.places import HOUR, NOON, quarters, site, vehicle

FREE = Allowance(2)
ONE_PHASE = Reach(NOON, most_w=3_680.0, delivered_wh=1_000.0)


def objected(
    wish: Wish, reach: Reach = ONE_PHASE, left: Allowance = FREE, *, has_priority: bool = False
) -> tuple[Objection, ...]:
    return objections(wish, reach, left, has_priority=has_priority)


def wish(*, after_h: float = 2, kwh: float = 5, priority: bool = False) -> Wish:
    return Wish(departs=NOON + after_h * HOUR, energy_wh=1000 * kwh, priority=priority)


def test_a_wish_that_is_possible_meets_no_objection() -> None:
    """1 kWh is there, 2 h at 3.68 kW give 7.36 more: 8.3 are possible."""
    assert objected(wish(kwh=8.3)) == ()


def test_more_than_possible_says_how_much_is_and_when_the_rest_can_be_there() -> None:
    """8.36 kWh are possible, in steps of 0.1: 8.3. 12.04 kWh need 11.04 more: 3 h at 3.68 kW."""
    assert objected(wish(kwh=12.04)) == (MoreThanPossible(NOON + 2 * HOUR, 8_300.0, NOON + 3 * HOUR),)


def test_what_was_offered_in_place_of_a_refused_amount_is_still_taken_minutes_later() -> None:
    (refused,) = objected(wish(kwh=12))
    assert isinstance(refused, MoreThanPossible)
    later = Reach(NOON + timedelta(minutes=4), ONE_PHASE.most_w, ONE_PHASE.delivered_wh)
    assert objected(wish(kwh=refused.most_wh / 1000), later) == ()


def test_a_departure_lies_ahead_and_within_a_week() -> None:
    assert objected(wish(after_h=0, kwh=1)) == (DepartureGone(NOON),)
    assert objected(wish(after_h=7 * 24, kwh=1)) == ()
    assert objected(wish(after_h=7 * 24 + 0.01, kwh=1)) == (DepartureTooFar(NOON + AHEAD),)


def test_a_full_battery_takes_no_more_however_long_it_stays() -> None:
    """40 of 50 kWh were in it at arrival, at 80 % efficiency 12.5 kWh at the plug fill it."""
    battery = Vehicle(battery_wh=50_000, efficiency=0.8)
    session = Session("s", "lot-1-1", NOON, NOON + HOUR, 1.0, battery, stored_wh=40_000)
    reach = StayView(session, most_w=11_040, drawn_w=0, delivered_wh=0).reach(NOON)

    assert objected(wish(after_h=100, kwh=12.5), reach) == ()
    assert objected(wish(after_h=100, kwh=13), reach) == (MoreThanItTakes(12_500.0),)


def test_priority_is_refused_when_none_is_left_and_costs_nothing_in_a_stay_that_has_it() -> None:
    none = Allowance(0, NOON + HOUR)
    assert objected(wish(priority=True), left=none) == (NoPriorityLeft(NOON + HOUR),)
    assert objected(wish(priority=True), left=none, has_priority=True) == ()
    assert objected(wish(priority=False), left=none) == ()


def test_each_thing_said_is_objected_to_once() -> None:
    everything = Wish(departs=NOON, energy_wh=1e8, priority=True)
    found = objected(everything, left=Allowance(0, NOON + HOUR))
    assert [type(each) for each in found] == [DepartureGone, MoreThanItTakes, NoPriorityLeft]


def test_a_priority_is_given_back_when_it_is_a_week_old() -> None:
    """Used 6 and 2 days ago, two a week: none is left until the older one is 7 days old, tomorrow."""
    day, week = timedelta(days=1), timedelta(days=7)
    used = [NOON - 2 * day, NOON - 6 * day]

    assert allowance(used, NOON, most=2, within=week) == Allowance(0, NOON + day)
    assert allowance(used, NOON + day, most=2, within=week) == Allowance(1)
    assert allowance([], NOON, most=0, within=week) == Allowance(0, None)


@given(after_h=st.floats(0.1, 167), kwh=st.floats(0, 300), most_w=st.floats(1_000, 22_000), given_wh=st.floats(0, 5e4))
def test_a_wish_is_taken_exactly_where_plug_and_vehicle_can_do_it(
    after_h: float, kwh: float, most_w: float, given_wh: float
) -> None:
    """Up to the five minutes of grace; and what is offered instead can be done."""
    reach, said = Reach(NOON, most_w, given_wh), wish(after_h=after_h, kwh=kwh)
    found = objected(said, reach)
    if found == ():
        assert said.energy_wh <= reach.possible_wh(said.departs + timedelta(minutes=5))
    else:
        (refused,) = found
        assert isinstance(refused, MoreThanPossible | MoreThanItTakes)
        assert refused.most_wh < said.energy_wh
        assert objected(said.model_copy(update={"energy_wh": refused.most_wh}), reach) == ()


def test_sessions_carry_what_their_drivers_said_and_no_others() -> None:
    mine, other = vehicle("lot-1-1"), vehicle("lot-1-2")
    said = Wish(departs=NOON + 2 * HOUR, energy_wh=5_000, priority=True)

    changed, same = sessions_with_wishes([mine, other], {Stay("lot-1-1", mine.id): said})

    assert (changed.departs, changed.energy_wh, changed.priority) == (NOON + 2 * HOUR, 5_000, PRIORITY)
    assert same is other


def test_the_same_number_of_a_transaction_at_another_plug_is_another_stay() -> None:
    session = Session("1", "lot-1-2", NOON, NOON + HOUR, 1000.0)
    assert sessions_with_wishes([session], {Stay("lot-1-1", "1"): wish()}) == (session,)


def test_a_plan_keeps_to_a_departure_that_was_said() -> None:
    """11.04 kWh in four hours by announcement; said: 5.52 kWh, leaving after half an hour, which is just possible."""
    session = vehicle()
    said = {Stay(session.plug, session.id): Wish(departs=NOON + 0.5 * HOUR, energy_wh=5_520)}
    period = quarters(16)
    planned = plan(site(), sessions_with_wishes([session], said), period, Valuation())

    assert planned.power_w[0, :2] * period.hours == pytest.approx([2_760, 2_760])
    assert planned.power_w[0, 2:] == pytest.approx(0)
    assert planned.shortfall_wh == pytest.approx(0)


# what was typed


def read(time: str, amount: str, unit: str = "kwh", per_100km: str = "") -> Wish | tuple[Slip, ...]:
    typed = Typed("2026-01-15", time, amount, unit, per_100km)
    return read_form(typed, zone=COPENHAGEN, efficiency=0.9)


def test_a_local_time_and_an_amount_are_a_wish() -> None:
    assert read(time="17:00", amount="20") == Wish(departs=NOON + 4 * HOUR, energy_wh=20_000)
    assert read(time="17.00", amount="12,5") == Wish(departs=NOON + 4 * HOUR, energy_wh=12_500)


def test_a_distance_is_energy_at_the_plug() -> None:
    """100 km at 18 kWh/100 km are 18 kWh in the battery, 20 kWh at the plug of a charger with 90 %."""
    found = read(time="17:00", amount="100", unit="km", per_100km="18")
    assert isinstance(found, Wish)
    assert found.energy_wh == pytest.approx(20_000)
    shown = typed_of(found.departs, found.energy_wh, found.wh_per_km, zone=COPENHAGEN, efficiency=0.9)
    assert (shown.time, shown.amount, shown.unit, shown.per_100km) == ("17:00", "100", "km", "18")


def test_each_slip_is_told() -> None:
    assert read(time="25:00", amount="much", unit="km", per_100km="2") == (NotATime(), NotANumber(), NotAConsumption())
    assert read(time="17:00", amount="-4") == (NotANumber(),)
    assert read_form(Typed(day="15/1", time="17:00", amount="4"), zone=COPENHAGEN, efficiency=1) == (NotATime(),)


def test_a_time_that_clocks_jump_over_does_not_exist_and_one_that_comes_twice_is_the_first() -> None:
    """On 29 March 2026 02:30 is skipped; on 25 October 02:30 comes at 00:30 and 01:30 UTC."""
    skipped = Typed(day="2026-03-29", time="02:30", amount="4")
    twice = Typed(day="2026-10-25", time="02:30", amount="4")

    assert read_form(skipped, zone=COPENHAGEN, efficiency=1) == (NoSuchTime(datetime(2026, 3, 29).date()),)
    assert read_form(twice, zone=COPENHAGEN, efficiency=1) == Wish(
        departs=datetime(2026, 10, 25, 0, 30, tzinfo=ZoneInfo("UTC")), energy_wh=4_000
    )


# what a plan means


def stay(*, power_w: tuple[float, ...], delivered_wh: float = 0.0, wants_wh: float = 8_000.0) -> StayView:
    """Steps of an hour from noon; leaves in four hours."""
    session = vehicle(wants_wh=wants_wh)
    edges = tuple(NOON + hours * HOUR for hours in range(len(power_w) + 1))
    return StayView(session, 11_040, 0, delivered_wh, PowerPlan(NOON, edges, power_w))


def test_the_outlook_says_when_the_energy_is_there() -> None:
    """2 kWh are there; a pause, then 4 kW: 6 more kWh take an hour and a half, until 14:30."""
    found = outlook(stay(power_w=(0, 4_000, 4_000, 0), delivered_wh=2_000), NOON)
    assert found is not None
    assert (found.ready_at, found.resumes_at) == (NOON + 2.5 * HOUR, NOON + HOUR)
    assert found.by_departure_wh == pytest.approx(8_000)


def test_the_outlook_is_honest_about_what_will_be_missing() -> None:
    found = outlook(stay(power_w=(1_000,) * 6), NOON + 0.5 * HOUR)
    assert found is not None
    assert found.ready_at is None
    assert found.by_departure_wh == pytest.approx(3_500)


def test_of_a_plan_that_ends_before_the_departure_nothing_is_claimed() -> None:
    assert outlook(stay(power_w=(1_000, 1_000)), NOON) is None
    assert outlook(stay(power_w=(8_000, 0)), NOON) is not None
