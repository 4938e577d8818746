"""How a station shares its own limit among its plugs: who charges, and how much, in whole amps per phase."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Final

from aggregator_agents.fleet import MIN_A, PhaseAmps

_HAIR_A: Final = 1e-6
_MUCH_A: Final = 1e6


@dataclass(frozen=True)
class Claim:
    """What a plug may have at most by its own limit [A], and what nobody else may have yet.

    at_most_a : 0 for one that wants nothing. min_a : what its vehicle needs at least. held_a : signalled or still
    drawn. terminals : that its vehicle draws on; all three until that is known.
    """

    plug: str
    at_most_a: int
    min_a: int = MIN_A
    held_a: int = 0
    terminals: tuple[int, ...] = (0, 1, 2)


def share(claims: Sequence[Claim], station_a: PhaseAmps) -> dict[str, int]:
    """Amps for every plug: the first claims first get their minimum, then all that are on rise together.

    On every terminal sum over plugs of max(share, held) stays within `station_a` as far as what is held does: nobody
    rises before others have given back.
    """
    goal = {each.plug: 0 for each in claims}
    limit_a = [floor(min(each, _MUCH_A) + _HAIR_A) for each in station_a]
    room = list(limit_a)
    on: list[Claim] = []
    for each in claims:
        if each.at_most_a >= each.min_a and all(room[phase] >= each.min_a for phase in each.terminals):
            _give(each, each.min_a, goal, room)
            on.append(each)
    rising = True
    while rising:
        rising = False
        for each in sorted(on, key=lambda claim: goal[claim.plug]):
            if goal[each.plug] < each.at_most_a and all(room[phase] >= 1 for phase in each.terminals):
                _give(each, 1, goal, room)
                rising = True
    return _after_giving_back(claims, goal, limit_a)


def _give(claim: Claim, more_a: int, goal: dict[str, int], room: list[int]) -> None:
    goal[claim.plug] += more_a
    for phase in claim.terminals:
        room[phase] -= more_a


def _after_giving_back(claims: Sequence[Claim], goal: dict[str, int], limit_a: list[int]) -> dict[str, int]:
    """Reductions at once, increases only into what nobody holds any more."""
    held = [sum(each.held_a for each in claims if phase in each.terminals) for phase in range(3)]
    safe = {each.plug: min(goal[each.plug], each.held_a) for each in claims}
    for each in claims:
        spare_a = min(limit_a[phase] - held[phase] for phase in each.terminals)
        risen_a = min(goal[each.plug], each.held_a + max(0, spare_a))
        if risen_a <= each.held_a or risen_a < each.min_a:
            continue
        safe[each.plug] = risen_a
        for phase in each.terminals:
            held[phase] += risen_a - each.held_a
    return {plug: amps if amps >= MIN_A else 0 for plug, amps in safe.items()}


def in_turn(order: Sequence[str], on: Sequence[str]) -> tuple[str, ...]:
    """The next order, once those that are on had their turn: who waits comes first."""
    return (*(each for each in order if each not in on), *(each for each in order if each in on))
