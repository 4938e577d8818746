"""What only a network of three phases has: phases of their own, and unbalance."""

import numpy as np
import pytest

from api_spec.case import Injection
from dso_agents.congestion import Congestion, likely_congestion
from dso_agents.kinds import Aims, choices
from dso_agents.likely import LikelyDay, likely_day
from dso_agents.load_scenarios import LoadScenarios
from dso_agents.own_load import Connected
from dso_agents.requests import Asking
from dso_agents.risk import Risk
from market.network import Grid
from market.network.feeders import feeder
from tests.unit.dso_agents.street import DAY

GRID = Grid.of(feeder("risoe-three-phase").network)
BUS = "nord-16"
RISK = Risk(probability=0.1)


def evenings(*power_w: float) -> LikelyDay:
    """Equally likely days on which one home far out draws so much in phase a, and nobody anything else."""
    profile = (Injection(bus=BUS, phase="a", p_w=(1.0,) * DAY.count, q_var=(0.0,) * DAY.count),)
    load_w = np.zeros((len(power_w), DAY.count, GRID.buses))
    load_w[:, :, GRID.bus_at[BUS]] = np.array(power_w)[:, None]
    load = LoadScenarios(GRID.bus_ids, load_w.mean(axis=0), load_w, np.ones(GRID.buses))
    return likely_day(Connected.of(GRID, profile, DAY.count), DAY, load)


def test_load_stays_on_the_phase_that_it_is_known_on() -> None:
    """Nine days at 3 kW: phase a falls, the neutral moves, and no bus but those behind can be lower."""
    day = evenings(*[3000.0] * 9)

    lowest = day.scenarios.lowest_pu[0, 0]
    assert int(np.argmin(lowest)) == GRID.bus_at[BUS]
    assert day.scenarios.highest_pu[0, 0, GRID.bus_at[BUS]] > lowest[GRID.bus_at[BUS]] + 0.005


def test_unbalance_is_planned_as_far_below_its_limit_as_a_bad_day_is_above_the_mean() -> None:
    """Unbalance grows about as the load on its one phase: eight days at 2 kW and one at 4 kW, 20 / 9 kW expected."""
    day = evenings(*[2000.0] * 8, 4000.0)
    at = GRID.bus_at[BUS]
    expected, worst = float(day.expected.unbalance[0, 0, at]), float(day.scenarios.unbalance[-1, 0, at])
    limit = (expected + worst) / 2

    (choice,) = choices(Congestion(DAY, (), ()), day, aims=Aims(max_vuf=limit), asking=Asking(shoulder=0), risk=RISK)

    assert worst / expected == pytest.approx(4 / (20 / 9), rel=0.03)
    assert choice.terms.kind == "unbalance"
    assert BUS in choice.terms.buses
    assert choice.terms.max_vuf == pytest.approx(limit - (worst - expected), rel=0.02)
    assert "with 11%" in choice.because


def test_nobody_asks_for_balance_unless_it_is_an_aim() -> None:
    day = evenings(*[2000.0] * 9)

    assert choices(likely_congestion(day, risk=RISK), day, aims=Aims(), asking=Asking(), risk=RISK) == ()
