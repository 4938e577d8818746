"""What a vehicle shows of itself during its session: its phases, its smallest current, what it leaves unused. Pure."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Final

from aggregator_agents.fleet import MIN_A, PhaseAmps

_NOTHING_A: Final = 0.5
_SOMETHING_A: Final = 1.0
_SURE_A: Final = 3.0
"""Phases are learned from at least this much: below it a meter's error could look like one."""
_PHASES_S: Final = 30.0
"""Vehicles that begin on one phase use the others well before."""
_SETTLED_S: Final = 8.0
_REFUSED_S: Final = 30.0
_UNUSED_S: Final = 60.0
_UNUSED_A: Final = 1.0


@dataclass
class _Lasting:
    """For how long something has been the same."""

    what: Hashable = None
    since_s: float = -inf

    def lasts_s(self, what: Hashable, now_s: float) -> float:
        if what != self.what or self.since_s == -inf:
            self.what, self.since_s = what, now_s
        return now_s - self.since_s


@dataclass
class Learner:
    """One session. Amps per phase; seconds of any monotonic clock.

    least_a, most_a : that the plug can signal and the vehicle is known for. phases : terminals that the vehicle draws
    on, None until they are learned. min_a : the smallest current that it may take. usable_a : what it can make use of.
    resting : it takes nothing at any current.
    """

    least_a: int = MIN_A
    most_a: int = 16
    phases: tuple[int, ...] | None = None
    min_a: int = field(init=False)
    usable_a: int = field(init=False)
    resting: bool = field(default=False, init=False)
    _drew_at_a: int = field(default=10**6, init=False)
    _settled: _Lasting = field(default_factory=_Lasting, init=False)
    _drawing: _Lasting = field(default_factory=_Lasting, init=False)
    _refusing: _Lasting = field(default_factory=_Lasting, init=False)
    _unused: _Lasting = field(default_factory=_Lasting, init=False)

    def __post_init__(self) -> None:
        """As far as the vehicle was told of."""
        self.min_a, self.usable_a = self.least_a, self.most_a

    def observe(self, signal_a: int, current_a: PhaseAmps, now_s: float, *, wants: bool) -> None:
        """Draw conclusions from one measurement at the terminals; finite amps, charging positive."""
        drawn_a = max(current_a)
        settled_s = self._settled.lasts_s(signal_a, now_s)
        self._learn_phases(current_a, drawn_a, now_s)
        offered = wants and signal_a >= MIN_A
        if offered and drawn_a >= _SOMETHING_A and settled_s >= _SETTLED_S:
            self._drew_at_a = min(self._drew_at_a, signal_a)
            self.min_a = min(self.min_a, max(self.least_a, self._drew_at_a))
        self._learn_minimum(signal_a if offered and drawn_a < _NOTHING_A else 0, now_s)
        self._learn_use(signal_a if offered and drawn_a >= _NOTHING_A else 0, drawn_a, now_s)

    def try_again(self) -> None:
        """It has rested: what it refused then it may take now."""
        self.resting, self.min_a, self.usable_a = False, self.least_a, self.most_a
        self._refusing = _Lasting()

    def _learn_phases(self, current_a: PhaseAmps, drawn_a: float, now_s: float) -> None:
        used = tuple([terminal for terminal, amps in enumerate(current_a) if amps >= _SOMETHING_A])
        if self.phases is not None and used != self.phases and not set(used) <= set(self.phases):
            # More than was learned: it counts at once, and what is not used is learned again.
            self.phases = None
        unclear = drawn_a < _SURE_A or any(_NOTHING_A <= amps < drawn_a / 2 for amps in current_a)
        if self._drawing.lasts_s(None if unclear else used, now_s) >= _PHASES_S and not unclear:
            self.phases = used

    def _learn_minimum(self, refused_a: int, now_s: float) -> None:
        if self._refusing.lasts_s(refused_a, now_s) < _REFUSED_S or refused_a == 0:
            return
        if refused_a >= min(self._drew_at_a, self.most_a):
            self.resting = True
        else:
            self.min_a = refused_a + 1

    def _learn_use(self, signal_a: int, drawn_a: float, now_s: float) -> None:
        """Less is believed after a while; that it could use more at once, when it takes all that it is offered."""
        unused = signal_a > 0 and drawn_a < signal_a - _UNUSED_A
        if self._unused.lasts_s(unused, now_s) >= _UNUSED_S and unused:
            self.usable_a = max(self.min_a, min(self.most_a, ceil(drawn_a) + 1))
        if signal_a >= self.usable_a and drawn_a > signal_a - _UNUSED_A / 2:
            self.usable_a = self.most_a
