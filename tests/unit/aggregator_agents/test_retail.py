"""What energy costs behind a meter."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import ValidationError

from aggregator_agents.retail import RetailPrices
from api_spec.period import MarketPeriod

EVENING_DEAR = RetailPrices(
    buy_eur_per_mwh=tuple(400.0 if 17 <= hour < 21 else 250.0 for hour in range(24)), sell_eur_per_mwh=60.0
)


def test_prices_are_of_the_local_hour() -> None:
    """17 o'clock in Copenhagen is 16 o'clock UTC in winter, 15 in summer."""
    winter, summer = (datetime(2026, month, 15, tzinfo=UTC) for month in (1, 7))
    at = [winter + timedelta(hours=15.75), winter + timedelta(hours=16), summer + timedelta(hours=15)]
    assert EVENING_DEAR.buying(at).tolist() == [250, 400, 400]
    assert EVENING_DEAR.selling(at).tolist() == [60, 60, 60]


def test_what_is_fed_in_earns_less_than_what_is_drawn_costs() -> None:
    """2 kWh at 250 EUR/MWh are 0.50 EUR; 1 kWh fed in at 60 earns 0.06."""
    period = MarketPeriod(start=datetime(2026, 1, 15, 10, tzinfo=UTC), resolution=timedelta(hours=1), count=2)
    assert EVENING_DEAR.cost_eur(np.array([2000.0, -1000.0]), period) == pytest.approx(0.44)


def test_selling_for_more_than_buying_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"sell_eur_per_mwh\n.*which it is not at 03:00"):
        RetailPrices(buy_eur_per_mwh=100.0, sell_eur_per_mwh=tuple(101.0 if hour == 3 else 50.0 for hour in range(24)))
