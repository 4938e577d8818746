"""Whether a network carries a resource: AC power flow with all of it used, alone, in every state its DSO names.

Limits are ratings of lines and transformers and voltage bands of buses. What a state breaks by itself is not held
against the resource, but making it worse is. Reserve-connecting DSOs may limit or exclude what their network does not
carry (Regulation (EU) 2017/1485, article 182).
"""

from dataclasses import dataclass

import numpy as np

from api_spec.case import Injection
from api_spec.grid import Network
from api_spec.prequalification import Finding
from api_spec.resource import ReferenceLoad, ResourceTerms
from market.errors import PowerFlowDiverged
from market.network.model import FloatArray, Grid
from market.network.operating_point import OperatingPoints, PowerFlow

_TOLERANCE = 1e-6  # of a rating, or of nominal voltage


@dataclass(frozen=True)
class Admitted:
    """The most that the network carries in one direction [W], and what stands against more."""

    power_w: int
    finding: Finding | None = None


def carried_reference(load: ReferenceLoad, network: Network) -> bool:
    """Whether the power flow of every state has a solution."""
    grid = Grid.of(network)
    try:
        PowerFlow(grid).solve(*grid.consumption(load.injections, load.states))
    except PowerFlowDiverged:
        return False
    return True


def admitted_increase(resource: ResourceTerms, network: Network, reference: ReferenceLoad | None) -> Admitted:
    """How much more the resource may draw: beside nothing, and beside every state of the reference load."""
    return _Place(resource, network, _states(reference)).most(resource.increasable_w, way=1)


def admitted_reduction(resource: ResourceTerms, network: Network, reference: ReferenceLoad | None) -> Admitted:
    """How much less the resource may draw.

    One that cannot feed back only gives up what it draws itself, which is part of the reference load: beside nothing
    else it has nothing to give up, and is not checked there.
    """
    states = _states(reference)
    return _Place(resource, network, states if resource.capability == "V2G" else states[1:]).most(
        resource.reducible_w, way=-1
    )


_State = tuple[str, tuple[Injection, ...]]


def _states(reference: ReferenceLoad | None) -> list[_State]:
    """Names and injections of one period each; the first is no load."""
    found: list[_State] = [("no load", ())]
    for state in range(0 if reference is None else reference.states):
        assert reference is not None
        alone = tuple(
            each.model_copy(update={"p_w": each.p_w[state : state + 1], "q_var": each.q_var[state : state + 1]})
            for each in reference.injections
        )
        found.append((f"reference state {state + 1}", alone))
    return found


class _Place:
    """Where a resource is connected, in some states of its network."""

    def __init__(self, resource: ResourceTerms, network: Network, states: list[_State]) -> None:
        self._grid = Grid.of(network)
        self._flow = PowerFlow(self._grid)
        self._names = [name for name, _ in states]
        loads = [self._grid.consumption(injections, 1) for _, injections in states]
        self._p_w = np.array([p_w[0] for p_w, _ in loads]).reshape(len(states), self._grid.terminals)
        self._q_var = np.array([q_var[0] for _, q_var in loads]).reshape(len(states), self._grid.terminals)
        self._at = self._grid.connected(resource.bus, resource.phase)

    def most(self, power_w: int, *, way: int) -> Admitted:
        """The most of `power_w` that breaks no limit, found by halving: what a part breaks, more of it breaks too."""
        if not self._names or power_w == 0:
            return Admitted(power_w)
        before = _excess(self._flow.solve(self._p_w, self._q_var))
        finding = self._broken(way * power_w, before)
        if finding is None:
            return Admitted(power_w)
        kept, broken = 0, power_w
        while broken - kept > 1:
            middle = (kept + broken) // 2
            if self._broken(way * middle, before) is None:
                kept = middle
            else:
                broken = middle
        return Admitted(kept, finding)

    def _broken(self, change_w: int, before: FloatArray) -> Finding | None:
        """The limit that is broken worst, or made worst, by a change of consumption [W]."""
        p_w = self._p_w.copy()
        p_w[:, self._at] += change_w / len(self._at)
        way = "increase" if change_w > 0 else "reduction"
        try:
            points = self._flow.solve(p_w, self._q_var)
        except PowerFlowDiverged as failure:
            state = self._names[failure.period]
            return Finding(
                check="grid", detail=f"{way} by {abs(change_w)} W: the power flow has no solution at {state}"
            )
        beyond = _excess(points) - np.maximum(before, 0.0)
        if beyond.max() <= _TOLERANCE:
            return None
        worst, limit = divmod(int(beyond.argmax()), beyond.shape[1])
        return self._told(points, worst, limit, f"{way} by {abs(change_w)} W at {self._names[worst]}")

    def _told(self, points: OperatingPoints, state: int, limit: int, when: str) -> Finding:
        grid = self._grid
        if limit < grid.branches:
            name, value, bound = grid.branch_ids[limit], points.current_a[state, limit], grid.rating_a[limit]
            detail = f"{when}: {name} carries {value:.1f} A, its rating is {bound:.1f} A"
            return Finding(check="grid", detail=detail, value=float(value), bound=float(bound), unit="A")
        high, terminal = divmod(limit - grid.branches, grid.terminals)
        bus, value = terminal // grid.phases, points.voltage_pu[state, terminal]
        bound = (grid.max_pu if high else grid.min_pu)[bus]
        detail = f"{when}: voltage at {grid.terminal_names[terminal]} is {value:.4f} pu, its limit is {bound:.4f} pu"
        return Finding(check="grid", detail=detail, value=float(value), bound=float(bound), unit="pu")


def _excess(points: OperatingPoints) -> FloatArray:
    """(state, limit) how far each limit is exceeded, negative = room left.

    Loadings over 1, then voltages below their band and above it [pu].
    """
    grid = points.grid
    low, high = np.repeat(grid.min_pu, grid.phases), np.repeat(grid.max_pu, grid.phases)
    loading = np.nan_to_num(points.loading, nan=0.0) - 1.0
    return np.concatenate([loading, low - points.voltage_pu, points.voltage_pu - high], axis=1)
