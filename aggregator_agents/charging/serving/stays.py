"""Who is at the plugs of a running site, and what they want: as chargers tell, vehicles say and drivers wish. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pydantic import Field

from aggregator_agents.dispatch.lease import PlugDemand
from aggregator_agents.drivers.wishes import Stay, Wish, applied
from aggregator_agents.fleet import Session, Site, Vehicle
from aggregator_agents.planning import AtPlug
from api_spec.period import Duration
from api_spec.units import Message, Positive

_AN_HOUR: Final = timedelta(hours=1)


class UsualStay(Message):
    """What is expected of who says nothing: how long he stays, and what he wants [kWh]."""

    stay: Duration = timedelta(hours=8)
    energy_kwh: Positive = Field(default=20.0, le=200)


@dataclass(frozen=True)
class Present:
    """A vehicle at its plug.

    demand : what its charger tells. session : of the whole stay, wishes and all. wish : that it was made with.
    """

    demand: PlugDemand
    session: Session
    wish: Wish | None

    @property
    def stay(self) -> Stay:
        """Its key."""
        return Stay(self.session.plug, self.session.id)

    def ahead(self, now: datetime) -> Session:
        """What is left to plan, under a name that is unique at the site.

        Who stays longer than he said may leave at any moment: what is left is wanted within the next hour.
        """
        left_wh = max(0.0, self.session.energy_wh - self.demand.session_wh)
        departs = self.session.departs if self.session.departs > now else now + _AN_HOUR
        id = f"{self.session.plug} {self.session.id}"
        return replace(self.session, id=id, arrives=now, departs=departs, energy_wh=left_wh)

    def at_plug(self) -> AtPlug:
        """What the plan has to know of the plug now."""
        return AtPlug(self.demand.signal_a, self.demand.phases)


def present(
    site: Site,
    demands: Iterable[PlugDemand],
    arrived: Mapping[Stay, datetime],
    wishes: Mapping[Stay, Wish],
    usual: UsualStay,
    *,
    now: datetime,
) -> tuple[Present, ...]:
    """Everybody who is there. arrived : since when; absent = now."""
    found = []
    for demand in demands:
        if demand.session is None:
            continue
        stay = Stay(demand.plug, demand.session)
        session, wish = _announced(site, demand, arrived.get(stay, now), usual, now), wishes.get(stay)
        found.append(Present(demand, session if wish is None else applied(session, wish), wish))
    return tuple(found)


def _announced(site: Site, demand: PlugDemand, arrives: datetime, usual: UsualStay, now: datetime) -> Session:
    """As the vehicle says, or as usual. A vehicle of which nothing is known and that wants more always gets more."""
    assert demand.session is not None, "only plugs with a vehicle are asked"
    charger = site.charger_of(demand.plug)
    vehicle = Vehicle(
        phases=3 if demand.phases is None else len(demand.phases),
        min_a=demand.min_a,
        max_a=min(demand.max_a, charger.max_a),
        discharge_a=demand.discharge_a,
    )
    if demand.energy_left_wh is not None:
        energy_wh = demand.session_wh + demand.energy_left_wh
    else:
        energy_wh = max(1000 * usual.energy_kwh, demand.session_wh + vehicle.max_w)
    departs = demand.departs or max(arrives + usual.stay, now + _AN_HOUR)
    priority = demand.urgency or 1.0
    stored_wh = 0.0 if demand.stored_wh is None else demand.stored_wh
    return Session(demand.session, demand.plug, arrives, departs, energy_wh, vehicle, priority, stored_wh)
