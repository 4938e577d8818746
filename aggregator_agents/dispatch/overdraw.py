"""When a vehicle that draws more than it is signalled is cut off (I7). Pure."""

from math import inf
from typing import Final

from aggregator_agents.fleet import PhaseAmps

_TOLERATED_SHARE: Final = 0.1
_TOLERATED_A: Final = 0.5
_TOLERATED_S: Final = 7.0


class Overdraw:
    """A tenth and half an amp above the signal for seven seconds, charging or feeding back, is too much.

    The clock starts again as long as the current falls: such a vehicle obeys, at its ramp.
    """

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._since_s: float | None = None
        self._least_a = inf

    def observe(self, current_a: PhaseAmps, *, charge_a: int, feed_a: int, now_s: float) -> bool:
        """Whether it has lasted too long. charge_a, feed_a : signalled, per phase. current_a : measured."""
        over_a = max(max(current_a) - _tolerated(charge_a), -min(current_a) - _tolerated(feed_a))
        if over_a <= 0:
            self._since_s, self._least_a = None, inf
        elif self._since_s is None or over_a < self._least_a - _TOLERATED_A:
            self._since_s, self._least_a = now_s, over_a
        return self._since_s is not None and now_s >= self._since_s + _TOLERATED_S


def _tolerated(signal_a: int) -> float:
    return signal_a * (1 + _TOLERATED_SHARE) + _TOLERATED_A
