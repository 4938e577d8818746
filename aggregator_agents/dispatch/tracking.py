"""From a plan to the energy of a market period: what was sold is energy, and vehicles draw a little less than told.

The plan says what each plug should have; meters say what the site has drawn in this period. What is left of the
period's energy is spread over what is left of its time, in whole amps, every time anew: rounding, bias and late
vehicles are mended by the next decision. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_ROUNDING_WH: Final = 1.0
_A_MINUTE_H: Final = 1 / 60


@dataclass(frozen=True)
class Wish:
    """A plug that wants energy, and what the plan gives it.

    target_a : of the plan, per phase [A]. min_a, max_a : of the vehicle. watts_per_amp : drawn for each amp that is
    signalled, as measured where it has been. left_wh : until its vehicle is full. urgency : energy left over what can
    be delivered until departure. charging : whether it draws already.
    """

    plug: str
    target_a: int
    min_a: int
    max_a: int
    watts_per_amp: float
    left_wh: float
    urgency: float
    charging: bool

    @property
    def least_w(self) -> float:
        """Power at its minimum [W]."""
        return self.min_a * self.watts_per_amp


def period_power(wishes: Iterable[Wish], *, energy_wh: float, hours_left: float) -> float:
    """What all plugs together may draw on the mean of the rest of a period [W], consumption positive.

    energy_wh : still to be drawn in it. Below the minimum of every vehicle the site waits until what is left needs it,
    or stops when it is used up: one pause in a period instead of a flapping contactor. Vehicles that need no more than
    that are finished at their minimum: they stop by themselves.
    """
    wanting = tuple(wishes)
    if energy_wh <= 0 or hours_left <= 0 or not wanting:
        return 0.0
    mean_w = energy_wh / hours_left
    least_w = min(each.least_w for each in wanting)
    if mean_w >= least_w:
        return mean_w
    if sum(each.left_wh for each in wanting) <= energy_wh + _ROUNDING_WH:
        return least_w
    going_w = [each.least_w for each in wanting if each.charging]
    return min(going_w) if going_w and energy_wh >= min(going_w) * _A_MINUTE_H else 0.0


def tracked(wishes: Iterable[Wish], *, power_w: float) -> dict[str, int]:
    """Whole amps for every plug: 0, or from its minimum to its maximum; together at most `power_w` [W].

    Who is in the plan comes first, the most urgent of them at its minimum and then up to its target; what is left is
    given to the others and above targets, to the lowest first. Ties go by plug.
    """
    order = sorted(wishes, key=lambda each: (each.target_a < each.min_a, -each.urgency, not each.charging, each.plug))
    amps = {each.plug: 0 for each in order}
    left_w = power_w + 1e-6

    def give(wish: Wish, more_a: int) -> bool:
        nonlocal left_w
        if more_a * wish.watts_per_amp > left_w or amps[wish.plug] + more_a > wish.max_a:
            return False
        amps[wish.plug] += more_a
        left_w -= more_a * wish.watts_per_amp
        return True

    def raise_all(raising: list[Wish], *, to_target: bool) -> None:
        while raising:
            lowest = min(raising, key=lambda each: (amps[each.plug], each.plug))
            reached = to_target and amps[lowest.plug] >= lowest.target_a
            if reached or not give(lowest, 1):
                raising.remove(lowest)

    planned = [each for each in order if each.target_a >= each.min_a and give(each, each.min_a)]
    raise_all(planned[:], to_target=True)
    others = [each for each in order if each.target_a < each.min_a and give(each, each.min_a)]
    raise_all(planned + others, to_target=False)
    return amps
