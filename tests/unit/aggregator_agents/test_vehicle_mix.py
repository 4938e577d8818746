"""Which vehicles come: shares that are kept, draws that repeat, batteries that are not overfilled."""

from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from aggregator_agents.fleet import Session, Site, Vehicle
from aggregator_agents.sessions import Pattern, announced
from aggregator_agents.vehicle_mix import VehicleKind, VehicleMix
from api_spec.period import MarketPeriod
from tests.unit.aggregator_agents.places import HOUR, NOON

LOT = Site.of("lot", chargers=100, plugs_per_charger=2, fuse_a=2000)
DAYS = MarketPeriod(start=NOON - 12 * HOUR, resolution=timedelta(days=10), count=1)
MIX = VehicleMix(
    kinds=(
        VehicleKind(share=1, phases=1, max_a=32, battery_kwh=40, efficiency=0.88),
        VehicleKind(share=2, phases=2, min_a=8),
        VehicleKind(share=3, phases=3, discharge_a=20, battery_kwh=60, efficiency=0.9),
    ),
    stored=0.6,
    stored_std=0.25,
    floor=0.25,
    hurried=0.1,
    priority=3,
)
WORK = Pattern(arrives_h=8, departs_h=16, energy_kwh=15, energy_std_kwh=10)


def came(mix: VehicleMix, *, seed: int = 1) -> tuple[Session, ...]:
    return announced(LOT, WORK.model_copy(update={"vehicles": mix}), DAYS, seed=seed)


def test_kinds_come_as_often_as_their_shares_say() -> None:
    """1 : 2 : 3 of 2000 sessions, within four standard deviations of a share."""
    sessions = came(MIX)
    by_phases = Counter(each.vehicle.phases for each in sessions)
    assert len(sessions) == 2000
    for phases in (1, 2, 3):
        expected, n = phases / 6, len(sessions)
        assert by_phases[phases] / n == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n))
    hurried = sum(each.priority == 3 for each in sessions) / len(sessions)
    assert hurried == pytest.approx(0.1, abs=0.03)
    assert {each.priority for each in sessions} == {1.0, 3.0}


def test_plug_and_vehicle_both_limit_the_current() -> None:
    """Plugs of 16 A: a charger of 32 A takes 16, a vehicle that feeds back 20 A feeds back 16."""
    kinds = {each.vehicle.phases: each.vehicle for each in came(MIX)}
    assert kinds[1] == Vehicle(phases=1, max_a=16, efficiency=0.88, battery_wh=40_000)
    assert kinds[2] == Vehicle(phases=2, min_a=8, max_a=16)
    assert kinds[3] == Vehicle(phases=3, max_a=16, efficiency=0.9, discharge_a=16, battery_wh=60_000)


def test_nobody_asks_for_more_than_the_battery_takes() -> None:
    sessions = [each for each in came(MIX) if each.vehicle.battery_wh is not None]
    battery = [(each, each.vehicle.battery_wh or 0) for each in sessions]
    assert all(each.stored_wh + each.vehicle.efficiency * each.energy_wh <= full + 1e-6 for each, full in battery)
    assert any(each.stored_wh + each.vehicle.efficiency * each.energy_wh > full - 1e-6 for each, full in battery)
    assert {round(each.floor_wh / full, 9) for each, full in battery} == {0.25}
    assert np.mean([each.stored_wh / full for each, full in battery]) == pytest.approx(0.6, abs=0.03)


def test_the_same_seed_plug_and_day_bring_the_same_vehicle() -> None:
    assert came(MIX) == came(MIX)
    assert came(MIX) != came(MIX, seed=2)
    later = MarketPeriod(start=DAYS.start + timedelta(days=4), resolution=timedelta(hours=12), count=1)
    pattern = WORK.model_copy(update={"vehicles": MIX})
    assert set(announced(LOT, pattern, later, seed=1)) <= set(came(MIX)), "whatever else is asked for"


def test_other_vehicles_come_at_the_same_times() -> None:
    """What is drawn of the vehicle comes last: arrivals, departures and wishes stay, up to what a battery takes."""
    plain = VehicleMix(kinds=(VehicleKind(),))
    for one, other in zip(came(plain), came(MIX), strict=True):
        assert (one.id, one.arrives, one.departs) == (other.id, other.arrives, other.departs)
        assert other.energy_wh <= one.energy_wh
    assert {each.vehicle for each in came(plain)} == {Vehicle(max_a=16)}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ({"discharge_a": 10}, "battery_kwh\n  is needed for a vehicle that feeds back"),
        ({"min_a": 10, "max_a": 8}, "max_a\n  must be at least min_a, 10"),
        ({"min_a": 5}, "min_a\n  Input should be greater than or equal to 6"),
        ({"phases": 4}, "phases\n  Input should be 1, 2 or 3"),
        ({"efficiency": 0}, "efficiency\n  Input should be greater than 0"),
        ({"share": 0}, "share\n  Input should be greater than 0"),
    ],
)
def test_a_vehicle_that_cannot_be_is_refused(kind: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        VehicleMix.model_validate({"kinds": [kind]})
    assert said in str(refusal.value)


def test_who_has_charged_already_has_more_in_the_battery() -> None:
    """16 A x 690 W = 11.04 kW for an hour at 90 %: 9.936 kWh more stored, 11.04 kWh less wanted."""
    vehicle = Vehicle(efficiency=0.9, battery_wh=60_000)
    session = Session("a", "lot-1-1", NOON - HOUR, NOON + 4 * HOUR, 20_000, vehicle, stored_wh=30_000)
    rest = session.within(MarketPeriod(start=NOON, resolution=HOUR, count=4))
    assert (rest.energy_wh, rest.stored_wh) == pytest.approx((8_960, 39_936))
