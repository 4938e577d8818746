"""The cloud's book of what chargers may be drawing: every grant counts until no charger can still act on it. Pure.

On every phase f, with the floor that every charger may fall back to without a word:

    counted_f = sum_c max(floor, what was granted to or measured at c within one hold time)

A charger that yields its floor counts without it, until one hold time before the floor comes back: what others are
granted of it until then has ended by that time.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from math import inf
from typing import Final, NamedTuple

from aggregator_agents.dispatch.dividing import ALL_PHASES
from aggregator_agents.dispatch.lease import WholeAmps

_NOBODY: Final = frozenset[str]()


class _Entry(NamedTuple):
    until_s: float
    amps: WholeAmps


class GrantBook:
    """What counts as drawn, acknowledged or not; whole amps per phase, in one direction.

    Charging and discharging have a book each: what one vehicle feeds back never makes room for another.
    """

    def __init__(self, chargers: Iterable[str], *, floor_a: int, hold_s: float) -> None:
        """An empty book, which is the truth only one `hold_s` after the last grant that it does not know."""
        self._floor_a, self._hold_s = floor_a, hold_s
        self._entries: dict[str, list[_Entry]] = {charger: [] for charger in chargers}
        floor = (floor_a, floor_a, floor_a)
        self._counted = dict.fromkeys(self._entries, floor)
        self._total = [floor_a * len(self._entries)] * 3
        self._ends: list[tuple[float, str]] = []
        self._yielded_until_s: dict[str, float] = {}
        self._lent_until_s: dict[str, float] = {}

    def yield_floor(self, charger: str, *, until_s: float, now_s: float) -> None:
        """This charger has no floor until then."""
        lent_until_s = until_s - self._hold_s
        if lent_until_s <= max(now_s, self._yielded_until_s.get(charger, now_s)):
            return
        self._yielded_until_s[charger] = lent_until_s
        heappush(self._ends, (lent_until_s, charger))
        self._recount(charger)

    def keep_floor(self, charger: str, now_s: float) -> None:
        """This charger counts with its floor from now on."""
        if self._yielded_until_s.pop(charger, None) is not None:
            self._lent_until_s[charger] = now_s + self._hold_s
            self._recount(charger)

    def write(self, charger: str, amps: WholeAmps, now_s: float) -> None:
        """Count `amps` at this charger for one hold time from now."""
        until_s = now_s + self._hold_s
        first, second, third = amps
        if not (first or second or third or self._entries[charger]):
            return
        kept = [
            each
            for each in self._entries[charger]
            if each.amps[0] > first or each.amps[1] > second or each.amps[2] > third
        ]
        if first or second or third:  # also below the floor, which may be yielded before this ends
            kept.append(_Entry(until_s, amps))
            heappush(self._ends, (until_s, charger))
        self._entries[charger] = kept
        self._recount(charger)

    def yielded_at(self, now_s: float) -> frozenset[str]:
        """Chargers that count without their floor."""
        self._forget(now_s)
        return frozenset(self._yielded_until_s) if self._yielded_until_s else _NOBODY

    def counted_a(self, now_s: float) -> WholeAmps:
        """All chargers together."""
        self._forget(now_s)
        first, second, third = self._total
        return first, second, third

    def free_a(self, charger: str, room_a: WholeAmps, now_s: float) -> WholeAmps:
        """What may be granted to this charger now so that all together stay within `room_a`.

        Its floor at least, which counts in any case, unless that is still lent to others.
        """
        self._forget(now_s)
        own, total = self._counted[charger], self._total
        lent = charger in self._yielded_until_s or now_s < self._lent_until_s.get(charger, now_s)
        least_a = 0 if lent else self._floor_a
        return (
            max(least_a, room_a[0] - total[0] + own[0]),
            max(least_a, room_a[1] - total[1] + own[1]),
            max(least_a, room_a[2] - total[2] + own[2]),
        )

    def _forget(self, now_s: float) -> None:
        while self._ends and self._ends[0][0] <= now_s:
            _, charger = heappop(self._ends)
            entries = self._entries[charger]
            # The oldest first; most that end have been replaced by then.
            if entries and entries[0].until_s <= now_s:
                self._entries[charger] = [each for each in entries if each.until_s > now_s]
            elif charger not in self._yielded_until_s:
                continue
            if self._yielded_until_s.get(charger, inf) <= now_s:
                self._lent_until_s[charger] = self._yielded_until_s.pop(charger) + self._hold_s
            self._recount(charger)

    def _recount(self, charger: str) -> None:
        first = second = third = 0 if charger in self._yielded_until_s else self._floor_a
        for _, amps in self._entries[charger]:
            first, second, third = max(first, amps[0]), max(second, amps[1]), max(third, amps[2])
        before, after = self._counted[charger], (first, second, third)
        if after != before:
            self._counted[charger] = after
            for phase in ALL_PHASES:
                self._total[phase] += after[phase] - before[phase]
