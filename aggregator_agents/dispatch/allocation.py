"""The virtual aggregator's half: whole amps for every plug. Whatever is wanted, fuse and chargers hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from aggregator_agents.fleet import MIN_A, WATTS_PER_AMP, Site


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


def allocate(
    demands: Iterable[Demand], *, site_a: int, site: Site, outstanding_a: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Amps per phase for every plug that asks: 0, or whole amps from its minimum to its maximum.

    site_a : to be given out at most. outstanding_a : what chargers that do not answer may be drawing still. The sum
    never exceeds site_a, nor any charger's sum its limit. What chargers get above site.safe_a adds up to no more than
    site.spare_a, so that the fuse holds whoever falls silent.

    The most urgent are admitted first at their minimum (equals: who charges already, then the order of ids), then the
    lowest gets one more amp until nothing is left.
    """
    order = sorted(demands, key=lambda each: (-round(each.urgency, 2), not each.charging, each.plug))
    amps = {each.plug: 0 for each in order}
    given = {each.charger: 0 for each in order}
    silent = outstanding_a or {}
    left = min(site_a, site.usable_a)
    spare = site.spare_a - sum(max(0, drawn_a - site.safe_a) for drawn_a in silent.values())

    def grant(demand: Demand, more_a: int) -> bool:
        nonlocal left, spare
        at_charger = given[demand.charger]
        above_safe = max(at_charger + more_a, site.safe_a) - max(at_charger, site.safe_a)
        within_limits = more_a <= min(left, site.charger_a - at_charger, demand.max_a - amps[demand.plug])
        if demand.charger in silent or not within_limits or above_safe > spare:
            return False
        amps[demand.plug] += more_a
        given[demand.charger] += more_a
        left -= more_a
        spare -= above_safe
        return True

    raising = [each for each in order if grant(each, each.min_a)]
    while raising:
        lowest = min(raising, key=lambda each: amps[each.plug])
        if not grant(lowest, 1):
            raising.remove(lowest)
    return amps
