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
_SPARE_A: Final = 2
_LEAST_URGENCY: Final = 0.1


@dataclass(frozen=True)
class Wish:
    """A plug that wants energy, and what the plan gives it.

    planned : whether the plan has it charge now. must_a : with less now, per phase [A], it cannot be full in time.
    min_a, max_a : of the vehicle. watts_per_amp : drawn for each amp that is signalled, as measured where it has been.
    left_wh : until its vehicle is full. urgency : energy left over what can be delivered until departure. charging :
    whether it draws already. stopped : whether it was switched off before.
    """

    plug: str
    planned: bool
    must_a: float
    min_a: int
    max_a: int
    watts_per_amp: float
    left_wh: float
    urgency: float
    charging: bool
    stopped: bool = False

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

    As many as possible charge, so that nobody is full before the others and the site stays able to draw much: admitted
    are first those that must charge now, then those that charge already, of them first who was switched off before,
    then those that the plan would begin with, the most urgent before others. Then all get what they must have, and what
    is left goes to the lowest for its urgency: equal vehicles get the same, within an amp. Ties go by plug. Beside
    others a vehicle begins only with some amps to spare, or it would stop again at once.
    """
    order = sorted(
        wishes,
        key=lambda each: (
            each.must_a <= 0,
            not each.charging,
            each.charging and not each.stopped,
            not each.planned,
            -each.urgency,
            each.plug,
        ),
    )
    amps = {each.plug: 0 for each in order}
    left_w = power_w + 1e-6

    def give(wish: Wish, more_a: int, *, spare_a: int = 0) -> bool:
        nonlocal left_w
        if (more_a + spare_a) * wish.watts_per_amp > left_w or amps[wish.plug] + more_a > wish.max_a:
            return False
        amps[wish.plug] += more_a
        left_w -= more_a * wish.watts_per_amp
        return True

    def raise_all(raising: list[Wish], *, to_must: bool) -> None:
        while raising:
            lowest = min(raising, key=lambda each: (_level(amps[each.plug], each), each.plug))
            reached = to_must and amps[lowest.plug] >= lowest.must_a
            if reached or not give(lowest, 1):
                raising.remove(lowest)

    admitted: list[Wish] = []
    for each in order:
        spare_a = _SPARE_A if admitted and not each.charging and each.must_a <= 0 else 0
        if give(each, each.min_a, spare_a=spare_a):
            admitted.append(each)
    raise_all(admitted[:], to_must=True)
    raise_all(admitted[:], to_must=False)
    return amps


def _level(given_a: int, wish: Wish) -> float:
    """What it would have with one more amp, for its urgency; steps of it are coarse, so that equals stay equal."""
    return (given_a + 1) / max(_LEAST_URGENCY, round(wish.urgency, 1))
