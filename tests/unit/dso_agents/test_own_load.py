"""What a DSO forecasts itself where aggregators speak for chargers, and how it lies on phases."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from api_spec.case import Injection
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from dso_agents.own_load import Connected, Traded, WithoutChargers, WithoutMarket
from market.network import Grid
from market.network.feeders import feeder
from market.network.model import FloatArray
from tests.unit.dso_agents.street import DAY, amps, street

HOUR = timedelta(hours=1)
TODAY = MarketPeriod(start=datetime(2026, 1, 15, tzinfo=UTC), resolution=HOUR, count=4)
TRADED = Traded.of(
    MarketPeriod(start=TODAY.start + HOUR, resolution=HOUR, count=2),
    baselines=(BusPower(bus="home", power_w=(3000, 4000)),),
    awards=(BusPower(bus="home", power_w=(-1000, 0)), BusPower(bus="home", power_w=(-500, 200))),
)


class Always5kW:
    def power_w(self, buses: Sequence[str], period: MarketPeriod) -> FloatArray:
        return np.full((period.count, len(buses)), 5000.0)


def test_a_home_without_its_charger_is_what_was_metered_less_what_was_nominated_and_sold() -> None:
    """5 - (3 - 1.5) kW and 5 - (4 + 0.2) kW; outside the delivery nobody said what the charger would draw."""
    own = WithoutChargers(Always5kW(), (TRADED,)).power_w(("home", "other"), TODAY)

    assert own[:, 0] == pytest.approx([np.nan, 3500, 800, np.nan], nan_ok=True)
    assert own[:, 1].tolist() == [5000.0] * 4


def test_what_was_metered_before_there_were_chargers_is_all_the_home_s_own() -> None:
    """The first hour lies before; of the last, after the delivery, nobody said what the charger drew."""
    own = WithoutChargers(Always5kW(), (TRADED,), before=TODAY.start + HOUR).power_w(("home",), TODAY)

    assert own[:, 0] == pytest.approx([5000, 3500, 800, np.nan], nan_ok=True)


def test_without_the_market_a_home_draws_what_it_was_asked_not_to() -> None:
    drawn = WithoutMarket(Always5kW(), (TRADED,)).power_w(("home",), TODAY)

    assert drawn[:, 0].tolist() == [5000.0, 6500.0, 4800.0, 5000.0]


def test_quarter_hours_of_an_hourly_delivery_take_its_power() -> None:
    quarters = MarketPeriod(start=TODAY.start + HOUR, resolution=HOUR / 4, count=5)

    own = WithoutChargers(Always5kW(), (TRADED,)).power_w(("home",), quarters)

    assert own[:, 0].tolist() == [3500.0] * 4 + [800.0]


def test_reactive_power_goes_with_the_power_factor_of_the_profile() -> None:
    """The profile draws 1 kW and 0.5 kvar; at 3 kW it is 1.5 kvar."""
    profile = (Injection(bus="far", p_w=(1000.0,) * 4, q_var=(500.0,) * 4),)
    connected = Connected.of(Grid.of(street()), profile, 4)

    p_w, q_var = connected.at_terminals(np.tile([3000.0, 0.0], (4, 1)))

    assert (p_w[:, 0].tolist(), q_var[:, 0].tolist()) == ([3000.0] * 4, [1500.0] * 4)


@pytest.mark.parametrize("name", ["risoe", "risoe-three-phase"])
def test_a_profile_comes_back_from_its_buses_as_it_was(name: str) -> None:
    shipped = feeder(name)
    grid, profile = Grid.of(shipped.network), shipped.injections(DAY)
    connected = Connected.of(grid, profile, DAY.count)

    again = grid.consumption(connected.injections(connected.profile_w), DAY.count)

    for before, after in zip(grid.consumption(profile, DAY.count), again, strict=True):
        assert after == pytest.approx(before, abs=0.2)


def test_nothing_is_told_of_a_bus_without_load() -> None:
    connected = Connected.of(Grid.of(street()), amps(1, 1, 1, 1), 4)
    assert [each.bus for each in connected.injections(connected.profile_w)] == ["far"]
