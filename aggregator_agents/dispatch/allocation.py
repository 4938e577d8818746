"""The virtual aggregator's half: whole amps for every plug. Whatever is wanted, fuse and chargers hold."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from aggregator_agents.fleet import MIN_A, WATTS_PER_AMP


@dataclass(frozen=True)
class Demand:
    """A plug with a vehicle that wants energy; amps per phase.

    min_a, max_a : of the vehicle at this plug. urgency : energy left over what can be delivered until departure, 1 =
    only just. charging : whether it draws already.
    """

    plug: str
    charger: str
    max_a: int
    urgency: float
    charging: bool
    min_a: int = MIN_A


def urgency(*, energy_wh: float, max_a: int, now: datetime, departs: datetime) -> float:
    """Energy left over what the vehicle can take until departure; above 1 it will not be full."""
    hours = (departs - now).total_seconds() / 3600
    deliverable_wh = max_a * WATTS_PER_AMP * hours
    return energy_wh / deliverable_wh if deliverable_wh > 0 else float("inf")


def allocate(demands: Iterable[Demand], *, site_a: int, charger_a: int) -> dict[str, int]:
    """Amps per phase for every plug that asks: 0, or whole amps from its minimum to its maximum.

    The sum never exceeds site_a, nor any charger's sum charger_a. The most urgent are admitted first at their minimum
    (equals: who charges already, then the order of ids), then the lowest gets one more amp until nothing is left.
    """
    order = sorted(demands, key=lambda each: (-round(each.urgency, 2), not each.charging, each.plug))
    amps = {each.plug: 0 for each in order}
    left, at_charger = site_a, defaultdict[str, int](lambda: charger_a)

    def grant(demand: Demand, more_a: int) -> bool:
        nonlocal left
        if more_a > min(left, at_charger[demand.charger], demand.max_a - amps[demand.plug]):
            return False
        amps[demand.plug] += more_a
        at_charger[demand.charger] -= more_a
        left -= more_a
        return True

    raising = [each for each in order if grant(each, each.min_a)]
    while raising:
        lowest = min(raising, key=lambda each: amps[each.plug])
        if not grant(lowest, 1):
            raising.remove(lowest)
    return amps
