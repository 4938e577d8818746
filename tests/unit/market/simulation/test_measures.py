"""Drivers' figures, counted by hand."""

from datetime import UTC, datetime

import pyarrow as pa

from market.simulation.measures import driver_figures


def test_who_is_still_there_may_still_get_it() -> None:
    """3 of 10 kWh missing when one left, 0.05 kWh when another did, and one is still charging: 3.05 kWh, 1 driver."""
    noon, one = datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 1, 15, 13, tzinfo=UTC)
    drivers = pa.table(
        {
            "departs": pa.array([noon, noon, one], pa.timestamp("us", tz="UTC")),
            "asked_wh": [10_000.0, 5_000.0, 8_000.0],
            "delivered_wh": [7_000.0, 4_950.0, 1_000.0],
        }
    )
    assert driver_figures(drivers, until=noon) == {
        "asked_kwh": 23.0,
        "delivered_kwh": 12.95,
        "unmet_kwh": 3.05,
        "drivers_unmet": 1,
    }
