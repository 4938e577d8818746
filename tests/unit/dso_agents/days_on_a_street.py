"""Days that may happen on the street of `street.py`, given as currents of its cable."""

from datetime import UTC, datetime, timedelta

import numpy as np

from api_spec.grid import Network
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from dso_agents.likely import LikelyDay, likely_day
from dso_agents.load_scenarios import LoadScenarios
from dso_agents.own_load import Connected
from market.network import Grid
from tests.unit.dso_agents.street import VOLT_AMPS_PER_AMP, street

EVENING = MarketPeriod(start=datetime(2026, 1, 15, 17, tzinfo=UTC), resolution=timedelta(hours=1), count=2)


def likely(
    *current_a: tuple[float, float],
    network: Network | None = None,
    chargers_a: tuple[float, float] = (0, 0),
    watched: tuple[str, ...] = (),
) -> LikelyDay:
    """Equally likely evenings of two hours each; chargers are nominated on top of all of them."""
    grid = Grid.of(network or street())
    load_w = np.zeros((len(current_a), 2, 2))
    load_w[:, :, grid.bus_at["far"]] = np.array(current_a) * VOLT_AMPS_PER_AMP
    load = LoadScenarios(grid.bus_ids, load_w.mean(axis=0), load_w, np.ones(2))
    nominated = BusPower(bus="far", power_w=tuple(round(each * VOLT_AMPS_PER_AMP) for each in chargers_a))
    connected = Connected.of(grid, (), EVENING.count)
    return likely_day(connected, EVENING, load, baselines=(nominated,), watched=watched)
