"""The step's linear programme in standard form: the arrays of what `model.py` says in Pyomo, for the columns in play.

Variables, in this order: accepted power of the columns in play, running energy of their envelopes where a bound counts,
amounts left unmet, and (with integers) which blocks are accepted and whose turn it is. Rows: limits, running energies,
and rules of blocks and turns. A property test holds this to the compiled Pyomo model.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from market.clearing.columns import NONE
from market.clearing.linearisation import Linearisation, Rows
from market.clearing.problem import ClearingProblem
from market.network.model import BASE_VA, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Bounds:
    """Between which values each column may move [MW] : (column,)."""

    low_mw: FloatArray
    high_mw: FloatArray


@dataclass(frozen=True, eq=False)
class Program:
    """minimise cost'x subject to row_low <= A x <= row_high, low <= x <= high; A by columns.

    chosen : (k,) columns in play, the first k variables. energies : (e, 2) envelope and period of the next e. rows :
    the first of the programme's rows. Powers are in units of the problem's unit_mw, limits relative to their scale; the
    objective is in EUR/h per unit.
    """

    problem: ClearingProblem
    rows: Rows
    chosen: IntArray
    energies: IntArray
    cost: FloatArray
    low: FloatArray
    high: FloatArray
    integer: BoolArray
    row_low: FloatArray
    row_high: FloatArray
    entry_row: IntArray
    entry_column: IntArray
    entry_value: FloatArray

    @property
    def unmet_at(self) -> int:
        """Position of the first amount left unmet."""
        return len(self.chosen) + len(self.energies)

    @property
    def decided_at(self) -> int:
        """Position of the first block or turn."""
        return self.unmet_at + len(self.rows.price)

    def with_variables(self, low: FloatArray) -> "Program":
        """With more variables at the end, each from low : (n,) on, at a cost of 1."""
        return replace(
            self,
            cost=np.append(self.cost, np.ones(len(low))),
            low=np.append(self.low, low),
            high=np.append(self.high, np.full(len(low), np.inf)),
            integer=np.append(self.integer, np.zeros(len(low), dtype=np.bool_)),
        )

    def with_rows(self, matrix: sparse.coo_array, first: int, high: FloatArray) -> "Program":
        """With more rows, matrix y <= high : (r,), y being the variables from position `first` on."""
        row, column = matrix.coords
        return replace(
            self,
            row_low=np.append(self.row_low, np.full(len(high), -np.inf)),
            row_high=np.append(self.row_high, high),
            entry_row=np.append(self.entry_row, row + len(self.row_low)),
            entry_column=np.append(self.entry_column, column + first),
            entry_value=np.append(self.entry_value, matrix.data),
        )

    def below(self, matrix: sparse.csr_array, variable: IntArray, high: FloatArray) -> "Program":
        """With matrix x - v <= high, x being columns in play and v the variables named : (r,).

        Rows that hold whatever is accepted are left out.
        """
        k = len(self.chosen)
        most = matrix.maximum(0) @ self.high[:k] + matrix.minimum(0) @ self.low[:k]
        counts = np.flatnonzero(most > high + self.low[variable])
        own = sparse.coo_array(
            (-np.ones(len(counts)), (np.arange(len(counts)), variable[counts])), shape=(len(counts), len(self.cost))
        )
        whole = sparse.hstack([matrix[counts], sparse.coo_array((len(counts), len(self.cost) - k))]) + own
        return self.with_rows(sparse.coo_array(whole), 0, high[counts])


class _Entries:
    """Entries of the matrix on their way together."""

    def __init__(self) -> None:
        self._row: list[IntArray] = []
        self._column: list[IntArray] = []
        self._value: list[FloatArray] = []

    def add(self, row: IntArray | int, column: IntArray | int, value: FloatArray | float) -> None:
        row, column, value = np.broadcast_arrays(row, column, value)
        self._row.append(row.ravel())
        self._column.append(column.ravel())
        self._value.append(value.ravel())

    def joined(self) -> tuple[IntArray, IntArray, FloatArray]:
        none = np.zeros(0, dtype=np.intp)
        return (
            np.concatenate([none, *self._row]).astype(np.intp),
            np.concatenate([none, *self._column]).astype(np.intp),
            np.concatenate([np.zeros(0), *self._value]).astype(np.float64),
        )


def program_of(point: Linearisation, rows: Rows, bounds: Bounds, chosen: IntArray, *, integer: bool = False) -> Program:
    """The linear programme around a point, with the columns `chosen` : (k,) in play; all others stay where they are.

    integer : with the rules of blocks and turns, as a mixed-integer programme.
    """
    problem, unit = point.problem, point.problem.unit_mw
    energies, segments = _running_energies(problem, chosen)
    blocks, turns = decided_with(problem, chosen) if integer else (np.zeros(0, dtype=np.intp),) * 2
    k, e, u = len(chosen), len(energies), len(rows.price)
    entries = _Entries()
    at_zero = _limit_entries(point, rows, chosen, entries)
    entries.add(np.arange(len(rows)), k + e + rows.unmet, -1.0)
    _energy_entries(problem, chosen, energies, segments, len(rows), k, entries)
    row_low = np.concatenate([np.full(len(rows), -np.inf), np.zeros(e)])
    row_high = np.concatenate([-at_zero, np.zeros(e)])
    block_low, decisions = np.zeros(0), 0
    if integer:
        decisions = len(blocks) + len(turns)
        block_low = _block_entries(problem, chosen, blocks, len(rows) + e, k + e + u, entries)
        first = len(rows) + e + len(block_low)
        turn_low = _turn_entries(problem, chosen, turns, first, k + e + u + len(blocks), entries)
        block_low = np.concatenate([block_low, turn_low])
    energy_low, energy_high = energy_bounds(point, energies)
    entry_row, entry_column, entry_value = entries.joined()
    low, high = bounds.low_mw[chosen] / unit, bounds.high_mw[chosen] / unit
    # A block that must be accepted to some part is accepted.
    surely = bounds.low_mw[problem.blocks.column[blocks]] > 0
    return Program(
        problem=problem,
        rows=rows,
        chosen=chosen,
        energies=energies,
        cost=np.concatenate([point.column_cost[chosen], np.zeros(e), rows.price / unit, np.zeros(decisions)]),
        low=np.concatenate([low, energy_low / unit, np.zeros(u), surely, np.zeros(decisions - len(blocks))]),
        high=np.concatenate([high, energy_high / unit, np.full(u, np.inf), np.ones(decisions)]),
        integer=np.arange(k + e + u + decisions) >= k + e + u,
        row_low=np.concatenate([row_low, block_low]),
        row_high=np.concatenate([row_high, np.full(len(block_low), np.inf)]),
        entry_row=entry_row,
        entry_column=entry_column,
        entry_value=entry_value,
    )


def decided_with(problem: ClearingProblem, chosen: IntArray) -> tuple[IntArray, IntArray]:
    """Blocks, and turns, that are decided where the columns chosen : (k,) are in play."""
    block, turn = (np.flatnonzero(np.isin(each, chosen)) for each in (problem.blocks.column, problem.turns.less))
    return block, turn


def _limit_entries(point: Linearisation, rows: Rows, chosen: IntArray, entries: _Entries) -> FloatArray:
    """Slopes of every limit by the columns in play. Returns (row,) what is exceeded with none of them accepted."""
    problem, columns, unit = point.problem, point.problem.columns, point.problem.unit_mw
    number = np.full(len(columns), NONE, dtype=np.intp)
    number[chosen] = np.arange(len(chosen))
    own = np.flatnonzero(number[columns.column] != NONE)
    own = own[np.argsort(columns.period[own], kind="stable")]
    first = np.searchsorted(columns.period[own], np.arange(problem.periods + 1))
    at_zero = rows.excess.copy()
    accepted = point.dispatch.accepted_mw
    for period in np.unique(rows.period).tolist():
        at = np.flatnonzero(rows.period == period)
        inside = own[first[period] : first[period + 1]]
        slope = rows.slope[np.ix_(at, columns.place[inside])] * columns.weight[inside]
        at_zero[at] -= slope @ accepted[columns.column[inside]]
        entries.add(at[:, None], number[columns.column[inside]], slope * unit)
    return at_zero


def energy_bounds(point: Linearisation, energies: IntArray) -> tuple[FloatArray, FloatArray]:
    """Bounds of running energies : (e, 2) envelope and period [MW times periods].

    Where rounding has left the present one a little outside, that is its bound.
    """
    fleets = point.problem.envelopes
    owners, back = np.unique(energies[:, 0], return_inverse=True)
    here = fleets.running(point.dispatch.accepted_mw, owners)[back, energies[:, 1]]
    at = energies[:, 0], energies[:, 1]
    return np.minimum(fleets.low[at], here), np.maximum(fleets.high[at], here)


def _running_energies(problem: ClearingProblem, chosen: IntArray) -> tuple[IntArray, IntArray]:
    """Every bound that counts for some column in play, in order : (e, 2) envelope and period.

    Also where each envelope's begin : (envelope + 1,).
    """
    owners = problem.envelopes.of_column[chosen]
    owners = np.unique(owners[owners != NONE])
    kept = problem.envelopes.kept[owners]
    row, period = np.nonzero(kept)
    energies = np.stack([owners[row], period], axis=1)
    first = np.searchsorted(energies[:, 0], np.arange(len(problem.envelopes) + 1))
    return energies, first


def _energy_entries(
    problem: ClearingProblem,
    chosen: IntArray,
    energies: IntArray,
    first: IntArray,
    row: int,
    column: int,
    entries: _Entries,
) -> None:
    """Running energy up to each bound: e_k - e_(k-1) - sum of changes in between = 0."""
    numbers = np.arange(len(energies))
    entries.add(row + numbers, column + numbers, 1.0)
    after = np.flatnonzero(energies[1:, 0] == energies[:-1, 0]) + 1
    entries.add(row + after, column + after - 1, -1.0)
    segment = energy_segments(problem, chosen, energies, first)
    inside = np.flatnonzero(segment != NONE)
    entries.add(row + segment[inside], inside, -problem.columns.weight[_entry_of(problem, chosen[inside])])


def energy_segments(problem: ClearingProblem, chosen: IntArray, energies: IntArray, first: IntArray) -> IntArray:
    """(k,) the first running energy that each column in play counts in; NONE where no bound comes after it."""
    owner = problem.envelopes.of_column[chosen]
    segment = np.full(len(chosen), NONE, dtype=np.intp)
    inside = np.flatnonzero(owner != NONE)
    if len(inside) == 0 or len(energies) == 0:
        return segment
    periods = problem.periods
    key = energies[:, 0] * periods + energies[:, 1]
    wanted = owner[inside] * periods + problem.columns.period[_entry_of(problem, chosen[inside])]
    found = np.searchsorted(key, wanted)
    same = found < first[owner[inside] + 1]
    segment[inside[same]] = found[same]
    return segment


def _entry_of(problem: ClearingProblem, single: IntArray) -> IntArray:
    """The entry of columns that have only one."""
    return np.searchsorted(problem.columns.column, single)


def _block_entries(
    problem: ClearingProblem, chosen: IntArray, blocks: IntArray, row: int, column: int, entries: _Entries
) -> FloatArray:
    """Rules of blocks, each as sum >= low. Returns (rule,) low.

    x between min_activation and all of it if accepted, none otherwise; one of a group; never without what is required.
    """
    own, unit = problem.blocks, problem.unit_mw
    number = np.full(len(problem.columns), NONE, dtype=np.intp)
    number[chosen] = np.arange(len(chosen))
    upper = problem.columns.upper_mw[own.column[blocks]] / unit
    rule = row + np.arange(len(blocks))
    accepted, at = column + np.arange(len(blocks)), number[own.column[blocks]]
    entries.add(rule, at, 1.0)
    entries.add(rule, accepted, -own.min_activation[blocks] * upper)
    entries.add(rule + len(blocks), at, -1.0)
    entries.add(rule + len(blocks), accepted, upper)
    low = [np.zeros(2 * len(blocks))]
    row += 2 * len(blocks)
    for group in np.unique(own.group[blocks][own.group[blocks] != NONE]).tolist():
        entries.add(row, accepted[own.group[blocks] == group], -1.0)
        low.append(np.full(1, -1.0))
        row += 1
    for block in np.flatnonzero(own.requires[blocks] != NONE).tolist():
        needed, least_mw = least_accepted(problem, int(own.requires[blocks[block]]))
        there = number[needed] != NONE
        entries.add(row, number[needed[there]], unit / least_mw[there])
        entries.add(row, accepted[block], -1.0)
        low.append(np.zeros(1))
        row += 1
    return np.concatenate(low)


def _turn_entries(
    problem: ClearingProblem, chosen: IntArray, turns: IntArray, row: int, column: int, entries: _Entries
) -> FloatArray:
    """Rules of turns : (k,): with 1, more consumption or none, with 0, less or none. Returns (rule,) low."""
    ways, unit = (problem.turns.less[turns], problem.turns.more[turns]), problem.unit_mw
    down, up = (np.searchsorted(chosen, each) for each in ways)
    most_down, most_up = (problem.columns.upper_mw[each] / unit for each in ways)
    rule, turn = row + np.arange(len(turns)), column + np.arange(len(turns))
    entries.add(rule, up, -1.0)
    entries.add(rule, turn, most_up)
    entries.add(rule + len(turns), down, -1.0)
    entries.add(rule + len(turns), turn, -most_down)
    return np.concatenate([np.zeros(len(turns)), -most_down])


def least_accepted(problem: ClearingProblem, offer: int) -> tuple[IntArray, FloatArray]:
    """Columns of active power that an offer has a share in, and how much of each makes it accepted: a watt [MW]."""
    columns = problem.columns
    column = np.unique(columns.share_column[columns.share_offer == offer])
    column = column[columns.upper_mw[column] > 0]
    column = column[columns.place[np.searchsorted(columns.column, column)] < problem.places.count]
    return column, np.minimum(1 / BASE_VA, columns.upper_mw[column])
