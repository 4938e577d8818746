"""A vehicle follows late, at its ramp and with its bias; its energy is what a pencil says."""

import pytest

from aggregator_agents.emulation.vehicle import EXACT, Behaviour, EmulatedVehicle
from aggregator_agents.fleet import Vehicle


def test_it_waits_ramps_and_then_holds() -> None:
    """Ten amps of 690 W, after 4 s at 2 A/s: 5 s of ramp at a mean of 5 A, then 91 s at 10 A until 100 s."""
    behaviour = Behaviour(lag_s=4, ramp_up_w_per_s=1380, charging_bias_w=0)
    car = EmulatedVehicle(Vehicle(), wanted_wh=1e4, behaviour=behaviour)
    car.signal(10, 0.0)
    seen = []
    for second in (3.9, 6.5, 9.0, 100.0):
        car.advance(second)
        seen.append(car.current_a)

    assert seen == pytest.approx([0.0, 5.0, 10.0, 10.0])
    assert car.charged_wh == pytest.approx((5 * 5 + 10 * 91) * 690 / 3600)


def test_the_bias_of_the_published_characterisation() -> None:
    """16 A of 690 W less 440 W; and back, 8 A of a single phase (1840 W) less 740 W."""
    car = EmulatedVehicle(Vehicle(), wanted_wh=1e5, behaviour=Behaviour(lag_s=0))
    car.signal(16, 0.0)
    car.advance(60.0)
    assert car.current_a * 690 == pytest.approx(16 * 690 - 440)

    back = EmulatedVehicle(Vehicle(phases=1, discharge_a=8), wanted_wh=0, stored_wh=1e4, behaviour=Behaviour(lag_s=0))
    back.signal(-8, 0.0)
    back.advance(60.0)
    assert back.current_a * 230 == pytest.approx(-1840 + 740)


def test_below_its_minimum_it_draws_nothing_and_above_its_maximum_no_more() -> None:
    car = EmulatedVehicle(Vehicle(min_a=8, max_a=13), wanted_wh=1e5, behaviour=EXACT)
    assert [car.target_a(signal_a) for signal_a in (0, 6, 7, 8, 13, 16)] == [0, 0, 0, 8, 13, 13]


def test_it_stops_when_full_and_feeds_back_no_more_than_it_has() -> None:
    car = EmulatedVehicle(Vehicle(phases=1, discharge_a=16, efficiency=0.9), 230.0, stored_wh=900.0, behaviour=EXACT)
    car.signal(10, 0.0)
    car.advance(3600.0)
    assert car.charged_wh == pytest.approx(230.0)
    assert (car.current_a, car.wants) == (0.0, False)
    assert car.stored_wh == pytest.approx(900 + 0.9 * 230)

    car.signal(-10, 3600.0)
    car.advance(7200.0)
    assert car.discharged_wh == pytest.approx(0.9 * (900 + 0.9 * 230))
    assert (car.stored_wh, car.current_a) == (0.0, 0.0)
    assert car.wanted_wh == pytest.approx((900 + 0.9 * 230) / 0.9), "its driver wants back what was taken"


def test_one_that_cannot_feed_back_does_nothing_when_asked() -> None:
    car = EmulatedVehicle(Vehicle(), wanted_wh=100, stored_wh=1e4, behaviour=EXACT)
    car.signal(-16, 0.0)
    car.advance(100.0)
    assert (car.current_a, car.stored_wh) == (0.0, 1e4)


def test_its_own_consumption_makes_low_power_inefficient() -> None:
    """Of 4140 W (6 A) the battery gets 0.9 x 4140 - 300 = 3426 W, 83 %; of 11 040 W (16 A) 9636 W, 87 %."""
    behaviour = EXACT.model_copy(update={"standby_w": 300.0})
    stored_wh = []
    for limit_a in (6, 16):
        car = EmulatedVehicle(Vehicle(efficiency=0.9), 1e5, behaviour=behaviour)
        car.signal(limit_a, 0.0)
        car.advance(3600.0)
        stored_wh.append(car.stored_wh)
    assert stored_wh == pytest.approx([3426, 9636])

    back = EmulatedVehicle(Vehicle(efficiency=0.9, discharge_a=10), 0, stored_wh=1e5, behaviour=behaviour)
    back.signal(-10, 0.0)
    back.advance(3600.0)
    assert 1e5 - back.stored_wh == pytest.approx(6900 / 0.9 + 300)


def test_a_nearly_full_battery_takes_less() -> None:
    """10 kWh, from 80 % on linearly down to a quarter: at 90 % it takes 62.5 % of 16 A, which are 10 A.

    That share falls by 3.75 x 11.04 kW / 10 kWh = 4.14 of itself an hour: after ten minutes 0.625 e^-0.69 = 0.3135 are
    left, at 98.3 %. In steps of a hundredth that is true within a third of a step.
    """
    behaviour = EXACT.model_copy(update={"tapers_to": 0.25})
    own = Vehicle(battery_wh=10_000)
    car = EmulatedVehicle(own, 1_000.0, stored_wh=9_000.0, behaviour=behaviour)
    assert [car.target_a(limit_a) for limit_a in (16, 10, 6)] == pytest.approx([10, 10, 6])

    car.signal(16, 0.0)
    car.advance(600.0)
    assert car.stored_wh == pytest.approx(9_830.7, abs=33)
    car.advance(3600.0)
    assert car.stored_wh == pytest.approx(10_000)
    assert not car.wants

    below = EmulatedVehicle(own, 1_000.0, stored_wh=7_000.0, behaviour=behaviour)
    below.signal(16, 0.0)
    below.advance(60.0)
    assert below.current_a == 16


def test_what_was_charged_beyond_the_wish_is_the_first_to_be_fed_back() -> None:
    """10 A on three phases are 6.9 kW. Half an hour wanted, an hour charged; of an hour fed back half is surplus."""
    able = Vehicle(discharge_a=10, battery_wh=50_000)
    vehicle = EmulatedVehicle(able, wanted_wh=3450, stored_wh=20_000, behaviour=EXACT)
    vehicle.signal(10, 0)
    vehicle.advance(3600)
    assert (vehicle.wanted_wh, vehicle.surplus_wh, vehicle.stored_wh) == pytest.approx((0, 3450, 26_900))
    assert vehicle.wants, "its battery is not full"
    vehicle.signal(-10, 3600)
    vehicle.advance(7200)
    assert (vehicle.wanted_wh, vehicle.surplus_wh, vehicle.lowest_wh) == pytest.approx((3450, 0, 20_000))
