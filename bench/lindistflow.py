"""The anchors' programme, the textbook multi-period LinDistFlow of a market, as sparse matrices: (a).

    minimise    h sum_t lambda_t P0_t + h sum_c price_c y_c + h sum_k,t slack_price_k s_kt
    subject to  P - sum of P of the branches behind + P0 at the source + sum of +-y = p  each bus and period
                Q - sum of Q of the branches behind + Q0 at the source = q               each bus and period
                v_to = v_from / ratio^2 - 2 (r P + x Q)                                  each branch and period
                cos(a) P + sin(a) Q <= rating                                            the same, for SIDES angles a
                -limit <= P - s+ + s- <= limit                                           requested current limits
                min^2 <= v + s- - s+ <= max^2                                            requested voltage bands
                low <= h sum_t +-y <= high                                               each running energy
    and bounds  0 <= y <= offered power, v within the band of the network

P, Q : flow through a branch [MW], [Mvar]; v : squared voltage [pu]; y : reduction of consumption by an offer in a
period of its window, or with the other sign its increase [MW]; s : slack; h : hours. A rating is one of apparent power
at the baseline's voltage, its circle the polygon that lies in it; ratings and voltage bands widen to what the baseline
makes of them. A requested current limit is one of P, at the voltage and the reactive flow of the baseline. A request's
maximum price m makes its slack cost m for a current limit and m / (2 R) for a voltage, R being the resistance of the
path to that bus. Losses and charging stay as they are in the baseline, so that its flows and voltages are right.

As no offer here has reactive power, Q is known beforehand and a rating might as well be a bound of P: `sides=0` does
that, which few would write and which makes a smaller programme.

Source: M. Baran and F. Wu, "Optimal sizing of capacitors placed on a radial distribution system", IEEE Transactions on
Power Delivery 4(1), 1989.
"""

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import highspy
import numpy as np
from scipy import sparse

from bench.linear_market import LinearMarket, Requested
from bench.radial import FloatArray, IntArray

SIDES: Final = 8  # of the polygon that stands for a circle of apparent power
SETTINGS: Final[dict[str, int | str]] = {"threads": 1, "parallel": "off"}


@dataclass(frozen=True, eq=False)
class Answer:
    """What an anchor found, in which time.

    objective_eur : cost. unmet_mw, unmet_pu : slack of current limits [MW], of squared voltages [pu], over all periods.
    construct_s, solve_s : seconds from the arrays to a loaded solver, and of its run.
    """

    objective_eur: float
    unmet_mw: float
    unmet_pu: float
    construct_s: float
    solve_s: float
    rows: int
    columns: int

    @property
    def seconds(self) -> float:
        """Construction and solution together."""
        return self.construct_s + self.solve_s


@dataclass(frozen=True, eq=False)
class Programme:
    """The linear programme in the form low <= A x <= high, at_least <= x <= at_most."""

    cost: FloatArray
    at_least: FloatArray
    at_most: FloatArray
    low: FloatArray
    high: FloatArray
    matrix: sparse.csc_array

    def to_highs(self) -> highspy.HighsLp:
        """The same in HiGHS's form."""
        lp = highspy.HighsLp()
        lp.num_row_, lp.num_col_ = self.matrix.shape
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = self.cost, self.at_least, self.at_most
        lp.row_lower_, lp.row_upper_ = self.low, self.high
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = self.matrix.indptr
        lp.a_matrix_.index_ = self.matrix.indices
        lp.a_matrix_.value_ = self.matrix.data
        return lp


class Columns:
    """Positions of the columns: for each kind, period after period."""

    def __init__(self, market: LinearMarket) -> None:
        self._sizes = {
            "P": market.flows.size,
            "Q": market.flows.size,
            "v": market.low.size,
            "P0": market.periods,
            "Q0": market.periods,
            "line slack": 2 * market.lines.low.size,
            "voltage slack": 2 * market.voltages.low.size,
            "y": len(market.cells.price),
        }

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each kind of column stands."""
        ends = np.cumsum(list(self._sizes.values())).tolist()
        return {kind: slice(end - size, end) for (kind, size), end in zip(self._sizes.items(), ends, strict=True)}


def programme(market: LinearMarket, sides: int = SIDES) -> Programme:
    """All rows and columns, vectorised over the periods."""
    tree, one = market.tree, sparse.eye_array(market.periods)
    ones = np.ones(tree.branches)
    branches = np.arange(tree.branches)
    into = sparse.coo_array((ones, (tree.to_bus, branches)), shape=(tree.buses, tree.branches))
    out_of = sparse.coo_array((ones, (tree.from_bus, branches)), shape=(tree.buses, tree.branches))
    at_source = sparse.coo_array(([1.0], ([tree.source], [0])), shape=(tree.buses, 1))
    balance = sparse.kron(one, into - out_of)
    supply = sparse.kron(one, at_source)
    cells = market.cells
    many = len(cells.price)
    reduction = sparse.coo_array(
        (cells.sign, (cells.period * tree.buses + cells.bus, np.arange(many))),
        shape=(market.periods * tree.buses, many),
    )
    fall = into.T - sparse.diags_array(1 / tree.tap_ratio**2) @ out_of.T
    r, x = (sparse.kron(one, sparse.diags_array(2 * part)) for part in (tree.impedance.real, tree.impedance.imag))
    limited, banded = (
        _picked(requested.at, wide, market.periods)
        for requested, wide in ((market.lines, tree.branches), (market.voltages, tree.buses))
    )
    rows: list[list[Any]] = [
        # P        Q        v                     P0      Q0      line slack              voltage slack           y
        [balance, None, None, supply, None, None, None, reduction],
        [None, balance, None, None, supply, None, None, None],
        [r, x, sparse.kron(one, fall), None, None, None, None, None],
        [limited, None, None, None, None, _slack_pair(market.lines), None, None],
        [None, None, banded, None, None, None, _slack_pair(market.voltages), None],
        [None, None, None, None, None, None, None, _energy_rows(market)],
    ]
    p, q = market.consumption.real.ravel(), market.consumption.imag.ravel()
    level = np.zeros(market.flows.size)
    low = [p, q, level, market.lines.low.ravel(), market.voltages.low.ravel(), market.energies.low_mwh]
    high = [p, q, level, market.lines.high.ravel(), market.voltages.high.ravel(), market.energies.high_mwh]
    rated = _picked(market.rated, tree.branches, market.periods)
    for cos, sin, limit in market.polygon(sides):
        rows.append([cos * rated, sin * rated, None, None, None, None, None, None])
        low.append(np.full(limit.size, -np.inf))
        high.append(limit.ravel())
    return Programme(
        *_costs_and_bounds(market, bounded=not sides),
        low=np.concatenate(low),
        high=np.concatenate(high),
        matrix=sparse.block_array(rows, format="csc"),
    )


def _energy_rows(market: LinearMarket) -> sparse.coo_array:
    """Of every energy the cells of its offer up to its period [h]."""
    cells, energies = market.cells, market.energies
    order = np.argsort(cells.offer, kind="stable")
    first, end = (np.searchsorted(cells.offer[order], energies.offer, side=side) for side in ("left", "right"))
    count = end - first
    row = np.repeat(np.arange(len(count)), count)
    cell = order[np.arange(len(row)) + np.repeat(first - np.cumsum(count) + count, count)]
    before = cells.period[cell] <= energies.period[row]
    row, cell = row[before], cell[before]
    return sparse.coo_array(
        (market.hours * cells.sign[cell], (row, cell)), shape=(len(energies.offer), len(cells.price))
    )


def _picked(at: IntArray, wide: int, periods: int) -> sparse.coo_array:
    """Picks some out of all branches or buses, in every period."""
    many = len(at)
    picked = sparse.coo_array((np.ones(many), (np.arange(many), at)), shape=(many, wide))
    return sparse.kron(sparse.eye_array(periods), picked)


def _slack_pair(requested: Requested) -> sparse.coo_array:
    """What each row may miss at its low and exceed at its high end."""
    one = sparse.eye_array(requested.low.size)
    return sparse.hstack([one, -one])


def _costs_and_bounds(market: LinearMarket, *, bounded: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cost [EUR per unit of the column], lower and upper bound of every column; `bounded` where ratings bound P."""
    at, h, infinite = Columns(market).slices, market.hours, np.inf
    width = at["y"].stop
    cost, least, most = np.zeros(width), np.full(width, -infinite), np.full(width, infinite)
    if bounded:
        limit = market.active_limit().ravel()
        least[at["P"]], most[at["P"]] = -limit, limit
    source = np.arange(market.tree.buses) == market.tree.source
    held = market.tree.network.source.voltage_pu**2
    least[at["v"]] = np.where(source, held, market.low).ravel()
    most[at["v"]] = np.where(source, held, market.high).ravel()
    cost[at["P0"]] = h * market.energy_price
    for kind, requested in (("line slack", market.lines), ("voltage slack", market.voltages)):
        cost[at[kind]] = h * np.tile(requested.slack_price, 2 * market.periods)
        least[at[kind]], most[at[kind]] = 0.0, np.tile(requested.slack_most, 2 * market.periods)
    cost[at["y"]] = h * market.cells.price
    least[at["y"]], most[at["y"]] = 0.0, market.cells.most_mw
    return cost, least, most


def solve_matrices(market: LinearMarket, sides: int = SIDES) -> Answer:
    """Anchor (a): one sparse matrix, handed straight to HiGHS, one thread, its own choice of algorithm."""
    started = time.perf_counter()
    whole = programme(market, sides)
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    for name, value in SETTINGS.items():
        highs.setOptionValue(name, value)
    highs.passModel(whole.to_highs())
    constructed = time.perf_counter()
    highs.run()
    solved = time.perf_counter()
    status = highs.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError(f"LinDistFlow ended {highs.modelStatusToString(status)}")
    found = np.array(highs.getSolution().col_value)
    at = Columns(market).slices
    return Answer(
        objective_eur=highs.getInfo().objective_function_value,
        unmet_mw=float(found[at["line slack"]].sum()),
        unmet_pu=float(found[at["voltage slack"]].sum()),
        construct_s=constructed - started,
        solve_s=solved - constructed,
        rows=whole.matrix.shape[0],
        columns=whole.matrix.shape[1],
    )
