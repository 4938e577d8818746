"""The virtual aggregator's half: whole amps for every plug. Whatever is wanted, fuse and chargers hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aggregator_agents.fleet import MIN_A, WATTS_PER_AMP, Site

_STICKINESS: Final = 0.05
"""Keeps contactors from opening and closing by the minute where several vehicles are equally urgent."""


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
    never exceeds site_a, nor any charger's sum its limit. What chargers get above site.floor_a adds up to no more than
    site.spare_a, so that the fuse holds whoever falls silent.

    The most urgent are admitted first at their minimum (equals: the order of ids), then the lowest gets one more amp
    until nothing is left. Who charges already goes on until another is more urgent by _STICKINESS.
    """
    order = sorted(demands, key=lambda each: (-round(each.urgency + _STICKINESS * each.charging, 2), each.plug))
    amps = {each.plug: 0 for each in order}
    given = {each.charger: 0 for each in order}
    silent = outstanding_a or {}
    left = min(site_a, site.usable_a)
    spare = site.spare_a - sum(max(0, drawn_a - site.floor_a) for drawn_a in silent.values())

    def grant(demand: Demand, more_a: int) -> bool:
        nonlocal left, spare
        at_charger = given[demand.charger]
        above_safe = max(at_charger + more_a, site.floor_a) - max(at_charger, site.floor_a)
        within_limits = more_a <= min(
            left, site.charger_of(demand.plug).max_a - at_charger, demand.max_a - amps[demand.plug]
        )
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


def within_held(target_a: Mapping[str, int], held_a: Mapping[str, int], site: Site) -> dict[str, int]:
    """Amps per phase that may be signalled now: decreases at once, increases only into what no plug holds.

    target_a : what each plug is to have when all have followed. held_a : what it may be drawing still, whatever it is
    told. Returns 0 or at least MIN_A for every plug of `target_a`, never more than its target. Holds when any subset
    of the signals arrives: sum over chargers of max(site.floor_a, sum of max(signalled, held)) <= site.usable_a, as
    long as what is held now does not exceed it.
    """
    amps = {
        plug: least if (least := min(wanted_a, held_a[plug])) >= MIN_A else 0 for plug, wanted_a in target_a.items()
    }
    at_charger = {each.id: 0 for each in site.chargers}
    for plug, plug_a in held_a.items():
        at_charger[site.charger_of(plug).id] += plug_a
    spare_a = site.spare_a - sum(max(0, charger_a - site.floor_a) for charger_a in at_charger.values())
    for plug in sorted(plug for plug, wanted_a in target_a.items() if wanted_a > held_a[plug]):
        charger = site.charger_of(plug).id
        below_floor_a = max(0, site.floor_a - at_charger[charger])
        room_a = min(site.charger_of(plug).max_a - at_charger[charger], below_floor_a + max(0, spare_a))
        granted_a = min(target_a[plug], held_a[plug] + max(0, room_a))
        if granted_a >= MIN_A and granted_a > held_a[plug]:
            more_a = granted_a - held_a[plug]
            amps[plug] = granted_a
            at_charger[charger] += more_a
            spare_a -= max(0, more_a - below_floor_a)
    return amps
