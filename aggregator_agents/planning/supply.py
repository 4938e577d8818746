"""Equations of a plan that keep fuse and chargers; see `model`."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.planning.problem import Problem
from aggregator_agents.planning.program import IntArray, Term
from aggregator_agents.planning.terms import BoolArray
from aggregator_agents.planning.vehicles import Vehicles


@dataclass(frozen=True, eq=False)
class Branches:
    """The phases of chargers that vehicles use, one branch where the same vehicles use several phases.

    charger_a : (branch,) limit [A]. members : (branch, session). phases : (branch, phase).
    """

    charger_a: FloatArray
    number: IntArray
    members: BoolArray
    phases: BoolArray

    @classmethod
    def of(cls, problem: Problem) -> "Branches":
        """Those of a problem, in the order of the site's chargers."""
        at = defaultdict[str, list[int]](list)
        for i, session in enumerate(problem.sessions):
            at[problem.site.charger_of(session.plug).id].append(i)
        found = list[tuple[float, int, list[int], list[int]]]()
        for c, charger in enumerate(problem.site.chargers):
            sharing = defaultdict[tuple[int, ...], list[int]](list)
            for phase in range(3):
                using = tuple(i for i in at[charger.id] if problem.uses[i, phase])
                sharing[using].append(phase)
            found += [(charger.max_a, 3 * c + phases[0], list(who), phases) for who, phases in sharing.items() if who]
        members = np.zeros((len(found), len(problem.sessions)), dtype=np.bool_)
        phases = np.zeros((len(found), 3), dtype=np.bool_)
        for b, (_, _, who, on) in enumerate(found):
            members[b, who] = True
            phases[b, on] = True
        return cls(
            np.array([each[0] for each in found], dtype=np.float64),
            np.array([each[1] for each in found], dtype=np.int64),
            members,
            phases,
        )


def add_supply(model: Vehicles) -> None:
    """Phases, chargers, and what chargers draw above safe: sum over chargers of max(safe, drawn) <= room.

    Only rows that can bind: branches that cannot draw more than safe, and steps in which all can have all they
    take, need none; nor does a phase on which the same vehicles count as on another that has less room.
    """
    problem = model.problem
    branches = Branches.of(problem)
    safe_a = float(problem.site.floor_a)
    take_a = np.where(model.open, problem.max_a[:, None], 0.0)
    together_a = branches.members.astype(np.float64) @ take_a
    most_a = np.minimum(together_a, branches.charger_a[:, None])
    above_a = np.maximum(most_a - safe_a, 0.0)
    patterns, room_of, spare_of = _distinct(branches.phases, problem.room_a, problem.spare_a)
    counts = patterns.T.astype(np.float64)
    scarce = counts @ above_a > np.maximum(spare_of, 0.0)
    if safe_a > 0:
        _add_contact(model, branches, patterns, scarce, spare_of, above_a, safe_a)
        _add_phases(model, branches, patterns, (counts @ most_a > room_of) & (spare_of < 0), room_of)
        counted = (patterns.astype(np.int64) @ scarce.astype(np.int64) > 0) & (above_a > 0)
    else:
        _add_phases(model, branches, patterns, scarce, room_of)
        counted = np.zeros(together_a.shape, dtype=np.bool_)
    _add_chargers(model, branches, ~counted & (together_a > branches.charger_a[:, None]))


def _add_contact(
    model: Vehicles,
    branches: Branches,
    patterns: BoolArray,
    scarce: BoolArray,
    spare_a: FloatArray,
    above_a: FloatArray,
    safe_a: float,
) -> None:
    """Charger and contact: sum a x - w <= safe, w <= charger - safe; sum_c w <= spare, on every scarce phase."""
    counted = (patterns.astype(np.int64) @ scarce.astype(np.int64) > 0) & (above_a > 0)
    b, t = np.nonzero(counted)
    w_at = np.full(counted.shape, -1)
    w_at[b, t] = w = model.program.columns("w", _branch_key(model, branches, b, t), high=branches.charger_a[b] - safe_a)
    number = np.full(counted.shape, -1)
    number[b, t] = np.arange(len(b))
    drawn = _drawn(model, branches.members, number)
    model.program.rows("contact", _branch_key(model, branches, b, t), drawn, (np.arange(len(b)), w, -1.0), high=safe_a)
    f, step = np.nonzero(scarce)
    if len(f):
        row, at = np.nonzero((patterns[:, f] & (w_at[:, step] >= 0)).T)
        entries = row, w_at[at, step[row]], 1.0
        model.program.rows("spare", model.when[step] + f, entries, high=np.maximum(spare_a[f, step], 0.0))


def _add_phases(
    model: Vehicles, branches: Branches, patterns: BoolArray, binding: BoolArray, room_a: FloatArray
) -> None:
    """Sum_i a x <= room on the phases and steps of `binding`."""
    members = (patterns.T.astype(np.int64) @ branches.members.astype(np.int64)) > 0
    f, t = np.nonzero(binding)
    number = np.full(binding.shape, -1)
    number[f, t] = np.arange(len(f))
    model.program.rows("phase", model.when[t] + f, _drawn(model, members, number), high=np.maximum(room_a[f, t], 0.0))


def _add_chargers(model: Vehicles, branches: Branches, binding: BoolArray) -> None:
    """Sum of the vehicles at a charger <= its limit, for branches and steps of `binding`."""
    b, t = np.nonzero(binding)
    number = np.full(binding.shape, -1)
    number[b, t] = np.arange(len(b))
    model.program.rows(
        "charger",
        _branch_key(model, branches, b, t),
        _drawn(model, branches.members, number),
        high=branches.charger_a[b],
    )


def _drawn(model: Vehicles, members: BoolArray, number: IntArray) -> Term:
    """Entries of sum over members of x in the rows that `number` (group, step) gives, -1 for none."""
    group, i = np.nonzero(members)
    row, column = number[group], model.at[i]
    there = (row >= 0) & (column >= 0)
    return row[there], column[there], 1.0


def add_feeding(model: Vehicles) -> None:
    """What is fed back on a phase, and by a charger, keeps to the fuse, the connection and the charger."""
    if not len(model.y):
        return
    problem = model.problem
    branches = Branches.of(problem)
    limit_a = np.concatenate([problem.feed_a, np.repeat(branches.charger_a[:, None], problem.grid.count, axis=1)])
    members = np.concatenate([problem.uses.T, branches.members])
    group, i = np.nonzero(members)
    row = np.arange(limit_a.size).reshape(limit_a.shape)[group]
    column = model.y_at[i]
    there = column >= 0
    model.program.rows("feed", np.arange(limit_a.size), (row[there], column[there], 1.0), high=limit_a.ravel())


def _branch_key(model: Vehicles, branches: Branches, b: IntArray, t: IntArray) -> IntArray:
    return (branches.number[b] << 20) + model.when[t]


def _distinct(phases: BoolArray, room_a: FloatArray, spare_a: FloatArray) -> tuple[BoolArray, FloatArray, FloatArray]:
    """(branch, pattern), (pattern, step) room and spare: phases with the same branches are one, with the least room."""
    patterns, number = np.unique(phases, axis=1, return_inverse=True)
    number = number.reshape(-1)
    least = [[kind[number == k].min(axis=0) for k in range(patterns.shape[1])] for kind in (room_a, spare_a)]
    return patterns, np.array(least[0]), np.array(least[1])
