"""Delivery quality and reliability, by hand."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_spec.period import MarketPeriod
from market.ledger.baselines import Metered, MeterHistory
from market.ledger.quality import Energies, Order, attributes, energies, finest
from market.ledger.reliability import LAST, reliability

START = datetime(2026, 1, 15, 17, tzinfo=UTC)
MINUTE, QUARTER = timedelta(minutes=1), timedelta(minutes=15)


def metered(*power_w: int, step: timedelta = QUARTER) -> MeterHistory:
    message = Metered("a", "lot", START, step, power_w, START)
    return MeterHistory.of([message], since=START, until=START + len(power_w) * step)


def ordered(*power_w: int, baseline_w: int = 10_000) -> Order:
    return Order(START, QUARTER, power_w, (baseline_w,) * len(power_w))


def test_energies_cap_each_period_at_its_order() -> None:
    """4 and 4 kW ordered for a quarter of an hour each, 3 and 4 kW paid: 1750 of 2000 Wh."""
    found = energies((-4000, -4000), (-3000, -4000), QUARTER)

    assert (found.ordered_wh, found.delivered_wh, found.accuracy) == (2000, 1750, 0.875)


def test_accuracy_is_uncapped_and_precision_is_the_spread_around_the_order() -> None:
    """Ordered -4 kW twice from 10 kW; 5 and 7 kW drawn: changes 5 and 3, accuracy 1, deviations +1, -1: 1/4."""
    found = attributes(ordered(-4000, -4000), metered(5000, 7000), QUARTER)

    assert (found.accuracy, found.precision) == (1.0, 0.25)
    assert (found.activation_s, found.ramp_up_w_per_s) == (None, None), "quarter-hours say nothing of seconds"


def test_more_than_ordered_is_more_than_one_and_the_wrong_way_is_below_nothing() -> None:
    assert attributes(ordered(-4000), metered(4000), QUARTER).accuracy == 1.5
    assert attributes(ordered(-4000), metered(11_000), QUARTER).accuracy == -0.25
    assert attributes(ordered(4000), metered(14_000), QUARTER).accuracy == 1.0


def test_times_and_ramps_from_readings_of_a_minute() -> None:
    """-6 kW from 10 kW. Two minutes nothing, then 9, 7, 4 kW: begun in minute 2, full in minute 4.

    Activation 120 s; 80 % of 6 kW in three minutes: 4800 / 180 = 26.667 W/s. After the order 6, 8, 10 kW: left at once,
    gone in its third minute, 26.667 W/s again.
    """
    drawn = (10_000, 10_000, 9_000, 7_000, *(4_000,) * 11, 6_000, 8_000, *(10_000,) * 13)

    found = attributes(ordered(-6000, 0), metered(*drawn, step=MINUTE), MINUTE)

    assert (found.activation_s, found.ramp_up_w_per_s, found.ramp_down_w_per_s) == (120.0, 26.667, 26.667)


def test_a_place_that_never_responds_has_no_times() -> None:
    found = attributes(ordered(-6000, 0), metered(*(10_000,) * 30, step=MINUTE), MINUTE)

    assert (found.accuracy, found.activation_s, found.ramp_up_w_per_s) == (0.0, None, None)


def test_nothing_metered_is_nothing_said() -> None:
    nothing = MeterHistory.of((), since=START, until=START + QUARTER)

    assert attributes(ordered(-6000), nothing, QUARTER).accuracy is None


def test_the_finest_readings_that_cover_the_delivery_count() -> None:
    delivery = MarketPeriod(start=START, resolution=QUARTER, count=2)
    coarse = Metered("a", "lot", START, QUARTER, (1000, 1000), START)
    half = Metered("a", "lot", START, MINUTE, (2000,) * 15, START)
    whole = Metered("a", "lot", START, MINUTE, (2000,) * 30, START)

    assert finest([coarse, half], delivery)[1] == QUARTER, "half a delivery in minutes is not all of it"
    history, step = finest([coarse, whole], delivery)
    assert (step, history.means_w((START,), QUARTER).tolist()) == (MINUTE, [2000])


def test_a_place_without_deliveries_is_trusted() -> None:
    assert reliability([]) == 1


def test_one_failure_leaves_two_thirds() -> None:
    """Prior 2 x 1000 delivered, then 0 of 1000."""
    assert reliability([Energies(1000, 0)]) == pytest.approx(2 / 3)


def test_two_deliveries_by_hand() -> None:
    """Newest 500 of 1000, before it 1000 of 1000: weights 1, 0.9; prior 2 x 1900 / 1.9 = 2000; 3400 / 3900."""
    assert reliability([Energies(1000, 500), Energies(1000, 1000)]) == pytest.approx(3400 / 3900)
    assert reliability([Energies(1000, 1000), Energies(1000, 500)]) == pytest.approx(3450 / 3900), "older counts less"


def test_energy_weighs() -> None:
    """A failed kWh among ten delivered: prior 2 x (1000 + 0.9 x 10000) / 1.9 = 10526.3; all but 1000 delivered."""
    found = reliability([Energies(1000, 0), Energies(10_000, 10_000)])

    prior = Fraction(2) * 10_000 / Fraction(19, 10)
    assert found == pytest.approx(float((prior + 9000) / (prior + 10_000)))


deliveries = st.lists(
    st.integers(1, 10**6).flatmap(lambda e: st.tuples(st.just(e), st.integers(0, e))).map(lambda p: Energies(*p)),
    max_size=30,
)


@given(deliveries, st.integers(1, 10**6))
def test_scores_lie_between_none_and_all_and_grow_with_what_is_delivered(past: list[Energies], size: int) -> None:
    all_of_it, nothing = reliability([Energies(size, size), *past]), reliability([Energies(size, 0), *past])

    assert 0 <= nothing < all_of_it <= 1
    assert reliability([*past[:LAST], Energies(size, 0)] if len(past) >= LAST else past) == reliability(past[:LAST])
