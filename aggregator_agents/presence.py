"""Who is at the plugs, as the plan needs to know it: what chargers report, joined with what drivers announced. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from aggregator_agents.dispatch.lease import PlugDemand
from aggregator_agents.fleet import Session, Vehicle

FULL_WH = 1.0
"""Less than this is nothing."""
_LONGER: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class Habit:
    """What is taken for true of a vehicle whose driver said nothing: it stays so long and wants so much at the plug."""

    stay: timedelta = timedelta(hours=8)
    energy_wh: float = 20_000.0


def present(
    demands: Iterable[PlugDemand],
    *,
    announced: Mapping[str, Session],
    since: Mapping[str, datetime],
    now: datetime,
    habit: Habit,
) -> tuple[Session, ...]:
    """What is left of the sessions at plugs whose vehicles want energy or can feed back, from `now` on, as plugs come.

    announced : by drivers, beforehand, by id; the one whose id the charger reports. What the charger was told, by the
    vehicle (ISO 15118) or at its panel, counts before that, and without either the habit does. since : when each
    session was first seen. A vehicle that is still there after its departure is planned for another quarter of an hour.
    """
    found = [_left(each, each.session, announced, since, now, habit) for each in demands if each.session is not None]
    return tuple([each for each in found if each is not None])


def coming(announced: Iterable[Session], *, here: Iterable[str], now: datetime) -> tuple[Session, ...]:
    """Announced sessions that have still to arrive; here : ids of those that have."""
    arrived = frozenset(here)
    return tuple(each for each in announced if each.id not in arrived and each.arrives > now)


def _left(
    demand: PlugDemand,
    session: str,
    announced: Mapping[str, Session],
    since: Mapping[str, datetime],
    now: datetime,
    habit: Habit,
) -> Session | None:
    if demand.tripped or not (demand.wants or demand.discharge_a):
        return None
    usual = announced.get(session)
    if usual is None:
        arrived = since.get(session, now)
        usual = Session(session, demand.plug, arrived, arrived + habit.stay, habit.energy_wh)
    left_wh = usual.energy_wh - demand.session_wh if demand.energy_left_wh is None else demand.energy_left_wh
    if left_wh <= FULL_WH and not demand.discharge_a:
        return None
    departs = max(demand.departs or usual.departs, now + _LONGER)
    return replace(
        usual,
        arrives=now,
        departs=departs,
        energy_wh=max(0.0, left_wh),
        stored_wh=usual.stored_wh if demand.stored_wh is None else demand.stored_wh,
        vehicle=_as_seen(demand, usual.vehicle),
    )


def _as_seen(demand: PlugDemand, vehicle: Vehicle) -> Vehicle:
    """The vehicle with what its charger has learned of it; unknown phases are three."""
    phases = 3 if demand.phases is None else len(demand.phases)
    known = vehicle.phases, vehicle.min_a, vehicle.max_a, vehicle.discharge_a
    if known == (phases, demand.min_a, demand.max_a, demand.discharge_a):
        return vehicle
    return replace(vehicle, phases=phases, min_a=demand.min_a, max_a=demand.max_a, discharge_a=demand.discharge_a)
