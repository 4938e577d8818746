from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_spec.grid import Phase
from api_spec.grid_metering import GridReading
from api_spec.period import MarketPeriod
from dso_agents.meter_history import MeterHistory

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)


def reading(
    values: Sequence[float | None],
    *,
    bus: str = "far",
    start: datetime = NOON,
    resolution: timedelta = QUARTER,
    phase: Phase | None = None,
) -> GridReading:
    return GridReading(
        meter=f"meter {bus}",
        bus=bus,
        phase=phase,
        quantity="p_w",
        start=start,
        resolution=resolution,
        values=tuple(values),
    )


def quarters(count: int, *, start: datetime = NOON) -> MarketPeriod:
    return MarketPeriod(start=start, resolution=QUARTER, count=count)


def known(history: MeterHistory, period: MarketPeriod, bus: str = "far") -> list[object]:
    """Power of one bus, None where it is unknown."""
    power_w = history.power_w([bus], period)[:, 0]
    return [None if np.isnan(each) else pytest.approx(each, rel=1e-6) for each in power_w]


def test_what_is_read_comes_out_and_a_gap_stays_a_gap() -> None:
    history = MeterHistory()
    history.add([reading([1000, None, 3000])])

    assert known(history, quarters(5, start=NOON - QUARTER)) == [None, 1000, None, 3000, None]
    assert known(history, quarters(1), bus="elsewhere") == [None]


def test_a_later_reading_replaces_and_a_missing_value_does_not() -> None:
    history = MeterHistory()
    history.add([reading([1000, 2000])])
    history.add([reading([1500, None])])

    assert known(history, quarters(2)) == [1500, 2000]


def test_an_hourly_mean_counts_for_each_of_its_quarters() -> None:
    history = MeterHistory()
    history.add([reading([800, 1200], resolution=HOUR)])

    assert known(history, quarters(8)) == [800] * 4 + [1200] * 4


def test_an_hour_is_the_mean_of_its_known_quarters_when_at_least_two_are() -> None:
    """(1000 + 2000) / 2 = 1500; of the next hour only one quarter is known."""
    history = MeterHistory()
    history.add([reading([1000, None, 2000, None, 4000, None, None, None])])

    assert known(history, MarketPeriod(start=NOON, resolution=HOUR, count=2)) == [1500, None]


def test_minutes_come_together_in_their_quarter() -> None:
    """Ten minutes of 600 W and, in the next message, five of 1200 W are 800 W."""
    history = MeterHistory()
    minute = timedelta(minutes=1)
    history.add([reading([600] * 10, resolution=minute)])
    history.add([reading([1200] * 5, resolution=minute, start=NOON + 10 * minute)])

    assert known(history, quarters(1)) == [800]


def test_steps_that_lie_across_quarters_are_shared_out_by_time() -> None:
    """Means from five past: 900 W until twenty past, then 1800 W: 10 min of the second quarter-hour and 5 before."""
    history = MeterHistory()
    history.add([reading([900, 1800], start=NOON + timedelta(minutes=5))])

    assert known(history, quarters(2)) == [900, pytest.approx((5 * 900 + 10 * 1800) / 15)]


def test_phases_are_summed() -> None:
    history = MeterHistory()
    history.add([reading([100], phase="a"), reading([200], phase="b"), reading([400], phase="c")])

    assert known(history, quarters(1)) == [700]


def test_an_estimate_is_believed_before_a_reading_where_there_is_one() -> None:
    history = MeterHistory()
    history.add([reading([1000, 2000])])
    history.estimate(["far"], quarters(2), np.array([[np.nan], [2500.0]]))

    assert known(history, quarters(2)) == [1000, 2500]
    assert history.metered_w(["far"], quarters(2))[:, 0] == pytest.approx([1000, 2000])


def test_the_oldest_is_forgotten_for_the_newest() -> None:
    history = MeterHistory(keep=4 * QUARTER)
    history.add([reading([1, 2, 3, 4, 5, 6])])
    history.add([reading([9], start=NOON - QUARTER)])

    assert known(history, quarters(7, start=NOON - QUARTER)) == [None, None, None, 3, 4, 5, 6]
    assert history.newest == NOON + 6 * QUARTER


@given(
    values=st.lists(st.none() | st.integers(-50, 50).map(lambda kw: 1000.0 * kw), min_size=1, max_size=40),
    cut=st.integers(0, 40),
    late_minutes=st.integers(0, 14),
)
def test_messages_can_be_cut_anywhere(values: list[float | None], cut: int, late_minutes: int) -> None:
    """Two messages tell the same as one, whatever slots they begin in."""
    start = NOON + timedelta(minutes=late_minutes)
    period = MarketPeriod(start=start, resolution=timedelta(minutes=5), count=3 * len(values))
    one, two = MeterHistory(), MeterHistory()
    one.add([reading(values, start=start)])
    parts = values[:cut], values[cut:]
    two.add(reading(part, start=start + at * QUARTER) for part, at in zip(parts, (0, cut), strict=True) if part)

    assert one.power_w(["far"], period) == pytest.approx(two.power_w(["far"], period), nan_ok=True, abs=0.01)
