"""What everything else behind the fuse draws, as far as its meter can be believed. Pure."""

from dataclasses import dataclass
from math import ceil, isfinite

from aggregator_agents.dispatch.lease import WholeAmps
from aggregator_agents.fleet import PhaseAmps


@dataclass
class OtherLoad:
    """The load beside the chargers, per phase [A].

    worst_a : what it draws at most, which counts wherever its meter cannot be believed. rise_a : by how much it may
    rise before the cloud can take back what it granted: one hold time, and as long as a meter that has stopped goes
    unnoticed. stale_s, frozen_s : a reading does not count longer than this, nor one that has not changed in any digit
    for so long.
    """

    worst_a: int
    rise_a: int
    stale_s: float = 10.0
    frozen_s: float = 30.0
    _read_a: PhaseAmps | None = None
    _read_s: float = 0.0
    _changed_s: float = 0.0

    def observe(self, amps: PhaseAmps, now_s: float) -> None:
        """A reading of the meter; feeding in is negative."""
        if amps != self._read_a or now_s < self._changed_s:
            self._changed_s = now_s
        self._read_a, self._read_s = amps, now_s

    def reserved_a(self, now_s: float) -> WholeAmps:
        """What to leave to it on each phase. Its own generation makes no room: a cloud takes it away in a second."""
        read_a = self._read_a
        current = 0 <= now_s - self._read_s <= self.stale_s and now_s - self._changed_s <= self.frozen_s
        if read_a is None or not current or not all(isfinite(each) for each in read_a):
            return self.worst_a, self.worst_a, self.worst_a
        return self._reserve(read_a[0]), self._reserve(read_a[1]), self._reserve(read_a[2])

    def _reserve(self, read_a: float) -> int:
        drawn_a = max(0.0, read_a)
        return ceil(max(drawn_a, min(self.worst_a, drawn_a + self.rise_a)))
