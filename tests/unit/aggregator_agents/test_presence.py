"""Who is at the plugs: what the charger was told counts first, then what was announced, then habit."""

from dataclasses import replace
from datetime import timedelta

from aggregator_agents.dispatch.lease import PlugDemand
from aggregator_agents.fleet import Session, Vehicle
from aggregator_agents.presence import Habit, coming, present
from tests.unit.aggregator_agents.places import HOUR, NOON, vehicle

HABIT = Habit(stay=6 * HOUR, energy_wh=12_000)


def seen(demand: PlugDemand, *announced: Session) -> tuple[Session, ...]:
    since = {"trip": NOON - HOUR}
    return present([demand], announced={each.id: each for each in announced}, since=since, now=NOON, habit=HABIT)


DEMAND = PlugDemand(plug="lot-1-1", session="trip", wants=True, session_wh=2_000)


def test_of_a_driver_who_said_nothing_the_habit_is_taken() -> None:
    """Came an hour ago and stays six: five are left; of 12 kWh ten are."""
    (session,) = seen(DEMAND)
    assert (session.arrives, session.departs, session.energy_wh) == (NOON, NOON + 5 * HOUR, 10_000)


def test_what_was_announced_counts_less_what_was_delivered() -> None:
    announced = replace(vehicle(wants_wh=9_000, stays_h=3), id="trip", priority=2.0)
    (session,) = seen(DEMAND, announced)
    assert (session.energy_wh, session.departs, session.priority) == (7_000, NOON + 3 * HOUR, 2.0)


def test_what_the_vehicle_says_counts_before_all() -> None:
    said = DEMAND.model_copy(update={"energy_left_wh": 500.0, "departs": NOON + HOUR})
    (session,) = seen(said, replace(vehicle(), id="trip"))
    assert (session.energy_wh, session.departs) == (500, NOON + HOUR)


def test_the_vehicle_is_as_its_charger_learned_it_and_on_three_phases_until_then() -> None:
    learned = DEMAND.model_copy(update={"phases": (1,), "min_a": 8, "max_a": 13})
    announced = replace(vehicle(), id="trip", vehicle=Vehicle(phases=1, efficiency=0.9))
    assert seen(learned, announced)[0].vehicle == Vehicle(phases=1, min_a=8, max_a=13, efficiency=0.9)
    assert seen(DEMAND, announced)[0].vehicle.phases == 3


def test_who_is_late_is_planned_for_another_quarter_of_an_hour() -> None:
    (session,) = seen(DEMAND, replace(vehicle(stays_h=-1), id="trip"))
    assert session.departs == NOON + timedelta(minutes=15)


def test_full_cut_off_and_sated_vehicles_are_not_planned() -> None:
    for change in ({"session_wh": 12_000.0}, {"tripped": True}, {"wants": False}, {"session": None}):
        assert seen(DEMAND.model_copy(update=change)) == ()


def test_a_full_vehicle_that_feeds_back_stays_in_the_plan() -> None:
    full = DEMAND.model_copy(update={"wants": False, "session_wh": 12_000.0, "discharge_a": 16, "stored_wh": 4e4})
    (session,) = seen(full)
    assert (session.energy_wh, session.stored_wh, session.vehicle.discharge_a) == (0, 40_000, 16)


def test_who_has_arrived_is_not_coming() -> None:
    late, soon = vehicle(after_h=2), replace(vehicle(after_h=1), id="trip")
    assert coming([late, soon], here=["trip"], now=NOON) == (late,)
    assert coming([soon], here=[], now=NOON + 2 * HOUR) == ()
