"""Drivers' figures and money, counted by hand."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa

from api_spec.settlement import Transfer
from market.simulation.measures import driver_figures, paid_by_dsos_eur, rebound_w


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
    """10 kW less in two periods, of which 18 are delivered, paid back in three: 11 kW-periods come back."""
    ordered_w = np.array([-10.0, -10, 7, 7, 6, 0])
    moved_w = np.array([-10.0, -8, 5, 6, 0, 0])

    assert rebound_w([(ordered_w, moved_w)]) == 11
    assert rebound_w([(-ordered_w, -moved_w)]) == 11, "after an increase, less is a rebound"
    assert rebound_w([(ordered_w, moved_w), (-ordered_w, -moved_w)]) == 22
    assert rebound_w([]) == 0


def test_a_baseline_that_is_wrong_either_way_makes_no_rebound() -> None:
    """10 kW less in one period; before and after it 3 more and 3 less than nominated, at one bus or at two."""
    ordered_w = np.array([0.0, 0, -10, 0, 0])

    assert rebound_w([(ordered_w, np.array([3.0, -3, -10, -3, 3]))]) == 0
    assert rebound_w([(ordered_w, np.array([3.0, 0, -10, 0, 3])), (ordered_w, np.array([0.0, -3, -10, -3, 0]))]) == 0
    assert rebound_w([(ordered_w, np.array([3.0, -3, -10, -3, 7]))]) == 4, "but what comes back beside it is one"


def test_no_more_comes_back_than_was_moved() -> None:
    """10 ordered, 4 moved, 50 more than nominated in all: 4. Nothing moved: nothing comes back."""
    ordered_w = np.array([-10.0, 0, 0])

    assert rebound_w([(ordered_w, np.array([-4.0, 25, 25]))]) == 4
    assert rebound_w([(ordered_w, np.array([5.0, 25, 25]))]) == 0
    assert rebound_w([(ordered_w, np.array([-30.0, 25, 0]))]) == 10, "what was moved beyond the order is no delivery"


def test_every_dso_pays_for_what_it_reserved_as_well() -> None:
    """5 EUR of an award are reserved, voided and 4 paid; 3 EUR for standing ready, less 1 back: together 6 EUR."""
    noon = datetime(2026, 1, 15, 12, tzinfo=UTC)
    entries = [
        ("pending", "dso:org_1", "participant:org_2", 5),
        ("voided", "participant:org_2", "dso:org_1", 5),
        ("posted", "dso:org_1", "participant:org_2", 4),
        ("posted", "dso:org_3", "participant:org_2", 3),
        ("posted", "participant:org_4", "dso:org_3", 1),
    ]
    transfers = [
        Transfer(
            id=f"t{at}", auction="auc_1", stage=stage, debit=debit, credit=credit, amount_eur=eur, memo="", at=noon
        )
        for at, (stage, debit, credit, eur) in enumerate(entries)
    ]
    assert paid_by_dsos_eur(transfers) == Decimal(6)
