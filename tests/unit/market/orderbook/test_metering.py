"""Which reading counts in each period, and whether it came late."""

from datetime import UTC, datetime, timedelta

from api_spec.metering import BusPower, Reading
from api_spec.period import MarketPeriod
from market.orderbook.metering import late_periods, metered

START = datetime(2026, 1, 15, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DELIVERY = MarketPeriod(start=START, resolution=HOUR, count=3)
DUE = START + timedelta(days=5)


def message(first: int, *power_w: int, version: int, received_at: datetime) -> Reading:
    return Reading(
        auction="auc-1",
        participant="agg",
        version=version,
        received_at=received_at,
        start=START + first * HOUR,
        buses=(BusPower(bus="lot", power_w=power_w),),
    )


def test_the_newest_reading_of_a_period_counts_and_is_late_if_it_came_after_it_was_due() -> None:
    """Two hours in time; the second and third again, at the last moment and one second later."""
    readings = [
        message(0, 10, 20, version=1, received_at=START + 3 * HOUR),
        message(2, 30, version=2, received_at=DUE),
        message(1, 21, version=3, received_at=DUE + timedelta(seconds=1)),
    ]

    assert metered(readings, DELIVERY) == {("agg", "lot"): (10, 21, 30)}
    assert late_periods(readings, DELIVERY, due=DUE) == {("agg", "lot"): frozenset({1})}


def test_what_was_never_read_is_none_and_not_late() -> None:
    readings = [message(1, 20, version=1, received_at=START + 3 * HOUR)]

    assert metered(readings, DELIVERY) == {("agg", "lot"): (None, 20, None)}
    assert late_periods(readings, DELIVERY, due=DUE) == {("agg", "lot"): frozenset()}
