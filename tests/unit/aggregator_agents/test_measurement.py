"""Practical attributes of the service, measured on vehicles that follow as the published characterisation says."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from aggregator_agents.emulation.vehicle import Behaviour, EmulatedVehicle
from aggregator_agents.fleet import FloatArray, Vehicle
from aggregator_agents.measurement import Measurement
from api_spec.period import MAX_PERIODS, MarketPeriod
from api_spec.quality import ServiceAttributes, attributes_of
from tests.unit.aggregator_agents.places import FULL_W, NOON, quarters

LOCAL, REMOTE = Behaviour(), Behaviour(lag_s=7)
MINUTE_S = 60


def drawn_w(signals: Sequence[int], *, behaviour: Behaviour, period_s: int = 900) -> FloatArray:
    """(second,) mean power of a vehicle that is at the first signal already; a signal a period [W]."""
    car = EmulatedVehicle(Vehicle(discharge_a=16), wanted_wh=1e6, stored_wh=1e6, behaviour=behaviour, at_s=-100.0)
    car.signal(signals[0], -100.0)
    energy_wh = []
    for second in range(len(signals) * period_s + 1):
        car.advance(second)
        energy_wh.append(car.charged_wh - car.discharged_wh)
        if second % period_s == 0 and second < len(signals) * period_s:
            car.signal(signals[second // period_s], second)
    return np.diff(energy_wh) * 3600


def measured(signals: Sequence[int], ordered_w: list[float], *, behaviour: Behaviour) -> ServiceAttributes:
    """Of a vehicle that was to draw 16 A all the time, at 690 W an amp; a signal a quarter-hour."""
    delivery, order = quarters(len(signals)), np.array(ordered_w)
    measurement = Measurement.of(delivery, order)
    assert measurement is not None
    seconds = slice(measurement.first * 900, measurement.end * 900)
    return measurement.attributes(
        ordered_w=order,
        baseline_w=np.full(len(signals), FULL_W),
        drawn_w=drawn_w(signals, behaviour=behaviour)[seconds],
    )


@pytest.mark.parametrize(("behaviour", "lag_s"), [(LOCAL, 4), (REMOTE, 7)])
def test_a_reduction_begins_after_the_lag_and_ramps_as_fast_as_sampling_sees(behaviour: Behaviour, lag_s: int) -> None:
    """From 16 to 6 A, 6.9 kW less: 80 % of it takes 1.67 s at 3.31 kW/s down and 1.65 s at 3.35 kW/s up.

    Seen in three steps of a second each, of which the first and the last are not whole.
    """
    found = measured([16, 6, 6, 16], [0, -6900, -6900, 0], behaviour=behaviour)

    assert found.activation_s == lag_s
    assert found.ramp_up_w_per_s == pytest.approx(0.8 * 6900 / 3)
    assert found.ramp_down_w_per_s == pytest.approx(0.8 * 6900 / 3)


def test_accuracy_counts_the_bias_and_the_seconds_before_the_vehicle_follows() -> None:
    """At 6 A it draws 4140 - 440 x 6/16 = 3975 W, so 7065 of 6900 W are delivered; until 4 s only the bias, 440 W.

    From 10 600 W to 3975 W it takes 2.0015 s at 3.31 kW/s, of which half counts.
    """
    found = measured([16, 6, 6, 16], [0, -6900, -6900, 0], behaviour=LOCAL)

    late_s = 4 + 6625 / 3310 / 2
    assert found.accuracy == pytest.approx((7065 * (1800 - late_s) + 440 * late_s) / (6900 * 1800), rel=1e-5)
    assert found.precision == pytest.approx(6625 * np.sqrt(late_s / 1800) / 6900, rel=0.1)


def test_feeding_back_is_measured_like_any_other_change() -> None:
    """16 A back on three phases, 22.08 kW less; by the bias of 740 W 10.3 kW come back instead of 11.04.

    A tenth is reached 0.53 s after the lag of 4 s, in the fifth second; 80 % take 5.3 s, seen in six steps.
    """
    found = measured([16, -16, -16, 16], [0, -2 * FULL_W, -2 * FULL_W, 0], behaviour=LOCAL)

    assert found.activation_s == 5
    assert found.ramp_up_w_per_s == pytest.approx(0.8 * 2 * FULL_W / 6)
    assert found.accuracy == pytest.approx((FULL_W + 10_300) / (2 * FULL_W), abs=0.005)


def test_more_consumption_is_measured_as_well() -> None:
    """Ordered to draw at 16 A what was to be 6 A; 440 W are missing."""
    delivery, order = quarters(3), np.array([0.0, 6900.0, 0.0])
    measurement = Measurement.of(delivery, order)
    assert measurement is not None
    seen_w = drawn_w([6, 16, 6], behaviour=LOCAL)[900:]
    found = measurement.attributes(ordered_w=order, baseline_w=np.full(3, 4140.0), drawn_w=seen_w)

    assert found.activation_s == 4
    assert found.accuracy == pytest.approx(6460 / 6900, abs=0.01)
    assert found.ramp_up_w_per_s is not None and found.ramp_down_w_per_s is not None


def test_with_several_amounts_the_first_is_ramped_into_and_the_last_out_of() -> None:
    """6.9 kW less, then 5.52 kW less, then nothing: out of 5.52 kW, 80 % of which takes 1.32 s, seen in three steps."""
    found = measured([16, 6, 8, 16], [0, -6900, -5520, 0], behaviour=LOCAL)

    assert found.ramp_up_w_per_s == pytest.approx(0.8 * 6900 / 3)
    assert found.ramp_down_w_per_s == pytest.approx(0.8 * 5520 / 3)


def test_an_order_until_the_end_has_no_ramp_out_of_it() -> None:
    found = measured([16, 6], [0, -6900], behaviour=LOCAL)

    assert found.ramp_up_w_per_s is not None and found.ramp_down_w_per_s is None


def test_the_end_of_a_first_order_is_not_sought_in_a_second_one() -> None:
    """The vehicle stays down until the second order begins, so it was never seen to leave the first."""
    found = attributes_of([-10, 0, -10, 0], [-10, -10, -10, 0], step_s=1)

    assert found.ramp_down_w_per_s is None


def test_steps_are_a_second_from_the_first_ordered_period_to_the_one_after_the_last() -> None:
    found = Measurement.of(quarters(8), np.array([0, 0, -1.0, 0, -1.0, 0, 0, 0]))

    assert found is not None
    assert (found.first, found.end, found.fold) == (2, 6, 900)
    assert found.steps == MarketPeriod(start=NOON + timedelta(minutes=30), resolution=timedelta(seconds=1), count=3600)
    assert Measurement.of(quarters(8), np.zeros(8)) is None


def test_deliveries_of_a_day_or_of_half_a_second_are_measured_as_well() -> None:
    """A whole day ordered: steps of 3 s are as many as a message holds; periods below a second are steps themselves."""
    day = Measurement.of(quarters(96), np.full(96, -1.0))
    short = Measurement.of(MarketPeriod(start=NOON, resolution=timedelta(milliseconds=500), count=4), np.ones(4))

    assert day is not None and short is not None
    assert day.steps.count <= MAX_PERIODS and day.steps.resolution <= timedelta(seconds=3)
    assert short.fold == 1
