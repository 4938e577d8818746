"""The cloud aggregator's half: how many amps a site may use now, so that the period's energy comes out as planned."""

from typing import Final

from aggregator_agents.fleet import MIN_A, WATTS_PER_AMP

_ROUNDING_WH: Final = 1.0


def site_amps(*, energy_wh: float, wanted_wh: float, hours_left: float, usable_a: int, charging: bool) -> int:
    """Whole amps per phase for all plugs of a site together: 0, or MIN_A to `usable_a`.

    energy_wh : still to be drawn in this period. wanted_wh : what all vehicles want at all. hours_left : of the period.
    Below the pilot's minimum the site waits until what is left needs it, or stops when it is used up: one pause in a
    period instead of a flapping contactor. Vehicles that need no more than that are finished at the minimum: they stop
    by themselves. Rounded down, and what that leaves is spread over the minutes to come.
    """
    if energy_wh <= 0 or hours_left <= 0:
        return 0
    mean_a = energy_wh / hours_left / WATTS_PER_AMP
    if mean_a >= MIN_A:
        return min(usable_a, int(mean_a + 1e-6))
    if wanted_wh <= energy_wh + _ROUNDING_WH:
        return min(usable_a, MIN_A) if usable_a >= MIN_A else 0
    lasts_a_minute = energy_wh * 60 >= MIN_A * WATTS_PER_AMP
    return min(usable_a, MIN_A) if charging and lasts_a_minute and usable_a >= MIN_A else 0
