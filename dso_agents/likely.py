"""Currents, voltages and powers of many days that may happen: AC power flow of every scenario. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from dso_agents.load_scenarios import LoadScenarios
from dso_agents.own_load import Connected
from market.errors import PowerFlowDiverged
from market.network import Grid, OperatingPoints
from market.network.model import BoolArray, FloatArray, IntArray
from market.network.operating_point import PowerFlow

_AT_ONCE: Final = 2_000  # periods in one batch: bounds memory, and costs no time


@dataclass(frozen=True, eq=False)
class Flows:
    """What an AC power flow says of S days.

    current_a : (day, period, branch). active_w, reactive_var : (day, period, watched branch) at the from side.
    lowest_pu, highest_pu : (day, period, bus) of the phases of a bus. unbalance : (day, period, bus), of no bus on
    balanced networks. losses_w : (day, period). Where the network cannot carry the load at all, currents, powers,
    unbalance and losses are infinite, and voltages minus infinity.
    """

    current_a: FloatArray
    active_w: FloatArray
    reactive_var: FloatArray
    lowest_pu: FloatArray
    highest_pu: FloatArray
    unbalance: FloatArray
    losses_w: FloatArray

    @classmethod
    def of(cls, grid: Grid, p_w: FloatArray, q_var: FloatArray, watched: Sequence[str] = ()) -> Self:
        """p_w, q_var : (day, period, terminal) consumption [W], [var]. watched : ids of branches."""
        branches = np.array([grid.branch_at[each] for each in watched], dtype=np.intp)
        days, periods = p_w.shape[:2]
        rows_p, rows_q = p_w.reshape(-1, grid.terminals), q_var.reshape(-1, grid.terminals)
        solver = PowerFlow(grid)
        parts = [
            _quantities(*_solved(solver, rows_p[at : at + _AT_ONCE], rows_q[at : at + _AT_ONCE]), branches)
            for at in range(0, len(rows_p), _AT_ONCE)
        ]
        joined = (np.concatenate(each) for each in zip(*parts, strict=True))
        return cls(*(each.reshape(days, periods, *each.shape[1:]) for each in joined))


@dataclass(frozen=True, eq=False)
class LikelyDay:
    """A delivery as it is expected and as it may be.

    load : of the DSO's own. expected : flows of its mean, one day. scenarios : of every scenario. watched : branches
    whose powers are known.
    """

    grid: Grid
    period: MarketPeriod
    watched: tuple[str, ...]
    load: LoadScenarios
    expected: Flows
    scenarios: Flows


def likely_day(
    connected: Connected,
    period: MarketPeriod,
    load: LoadScenarios,
    *,
    baselines: Iterable[BusPower] = (),
    watched: Sequence[str] = (),
) -> LikelyDay:
    """AC power flows of a load forecast and what aggregators nominated on top of it, at unity power factor.

    load : of all buses of the grid, in its order. Raises market.errors.PowerFlowDiverged where the network cannot carry
    what is expected; scenarios that it cannot carry count as violations of everything.
    """
    grid = connected.grid
    days = np.concatenate([load.expected_w[None], load.p_w])
    p_w, q_var = connected.at_terminals(days)
    for nominated in baselines:
        at = grid.connected(nominated.bus, None)
        p_w[..., at] += np.array(nominated.power_w)[:, None] / len(at)
    parts = (slice(0, 1), slice(1, None))
    expected, scenarios = (Flows.of(grid, p_w[part], q_var[part], watched) for part in parts)
    if np.isinf(expected.losses_w).any():
        raise PowerFlowDiverged(int(np.isinf(expected.losses_w[0]).argmax()))
    return LikelyDay(grid, period, tuple(watched), load, expected, scenarios)


def _solved(solver: PowerFlow, p_w: FloatArray, q_var: FloatArray) -> tuple[OperatingPoints, BoolArray]:
    """Operating points, and which periods have none; those are solved without load."""
    p_w, q_var = p_w.copy(), q_var.copy()
    impossible = np.zeros(len(p_w), dtype=np.bool_)
    while True:
        try:
            return solver.solve(p_w, q_var), impossible
        except PowerFlowDiverged as failure:
            impossible[failure.period] = True
            p_w[failure.period] = q_var[failure.period] = 0.0


def _quantities(points: OperatingPoints, impossible: BoolArray, branches: IntArray) -> tuple[FloatArray, ...]:
    """The fields of Flows, by period."""
    grid = points.grid
    by_phase = points.voltage_pu.reshape(-1, grid.buses, grid.phases)
    unbalance = points.unbalance if grid.phases > 1 else np.zeros((len(by_phase), 0))
    found = (
        (points.current_a, np.inf),
        (points.power_from.real[:, branches], np.inf),
        (points.power_from.imag[:, branches], np.inf),
        (by_phase.min(axis=2), -np.inf),
        (by_phase.max(axis=2), -np.inf),
        (unbalance, np.inf),
        (points.losses_w, np.inf),
    )
    for values, instead in found:
        values[impossible] = instead
    return tuple(values for values, _ in found)
