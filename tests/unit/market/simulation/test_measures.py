"""Drivers' figures, counted by hand."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from market.simulation.measures import against, driver_figures


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


def test_what_comes_back_after_a_reduction_is_a_rebound() -> None:
    """10 kW less in two periods, paid back in three: 11 kW-periods come back, and a 1 kW slip beside them counts."""
    ordered_w = np.array([-10.0, -10, 7, 7, 6, 0])
    moved_w = np.array([-10.0, -8, 5, 6, 0, 1])
    assert against(ordered_w, moved_w).tolist() == [0, 0, 5, 6, 0, 1]
    assert against(-ordered_w, moved_w).tolist() == [10, 8, 0, 0, 0, 0], "after an increase, less is a rebound"
