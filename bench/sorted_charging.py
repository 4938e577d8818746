"""Schedulers without a plan, as they are known from the literature: whole amps by an order, within the same limits."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

import numpy as np

from aggregator_agents.fleet import Session
from aggregator_agents.planning import Problem
from aggregator_agents.planning.amps import Division, Room
from bench.charging_day import STEP, Scheduler

_HOUR: Final = timedelta(hours=1)
_NO_LIMIT_W: Final = 1e12


def in_order(key: Callable[[Session, Problem], float]) -> Scheduler:
    """One after another gets as much as is left, least key first."""

    def schedule(problem: Problem) -> Mapping[str, int]:
        order = sorted(
            range(len(problem.sessions)), key=lambda i: (key(problem.sessions[i], problem), problem.sessions[i].id)
        )
        room, most_a, amps = Room(problem, 0), _most_a(problem), dict[str, int]()
        for i in order:
            fitting = (given_a for given_a in range(most_a[i], int(problem.min_a[i]) - 1, -1) if room.take(i, given_a))
            amps[problem.sessions[i].id] = next(fitting, 0)
        return amps

    return schedule


def round_robin() -> Scheduler:
    """Everybody an amp in turn, from another one on at every step."""
    turn = 0

    def schedule(problem: Problem) -> Mapping[str, int]:
        nonlocal turn
        turn += 1
        count = len(problem.sessions)
        division = Division(problem, 0, budget_w=_NO_LIMIT_W)
        division.admit([(i + turn) % count for i in range(count)])
        division.raise_lowest(_most_a(problem))
        return {problem.sessions[i].id: given_a for i, given_a in division.amps.items()}

    return schedule


def _most_a(problem: Problem) -> list[int]:
    """Amps that a vehicle can take for a whole step, rounded up so that it is finished; at least its minimum."""
    step_wh = problem.watts_per_amp * (STEP / _HOUR)
    fits_a = np.maximum(np.ceil(problem.wanted_wh / step_wh), problem.min_a)
    return [int(each) for each in np.minimum(problem.max_a, fits_a)]


def _laxity_h(session: Session, problem: Problem) -> float:
    """Time to spare if it charged at full power from now on [h]."""
    return problem.grid.after_h(session.departs) - session.energy_wh / session.max_w


SCHEDULERS: Final[dict[str, Callable[[], Scheduler]]] = {
    "EDF": lambda: in_order(lambda session, _: session.departs.timestamp()),
    "LLF": lambda: in_order(_laxity_h),
    "FCFS": lambda: in_order(lambda session, _: session.arrives.timestamp()),
    "round robin": round_robin,
}
