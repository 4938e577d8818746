"""Who is at the plugs of a running site, and what they want: as chargers tell, vehicles say and drivers wish. Pure."""

from datetime import datetime, timedelta

from pydantic import Field

from aggregator_agents.dispatch.lease import PlugDemand
from aggregator_agents.dispatch.watching import Said
from aggregator_agents.drivers.wishes import PRIORITY, Stay, Wish
from aggregator_agents.fleet import PHASE_V, Session, Site, Vehicle
from aggregator_agents.presence import Habit
from api_spec.period import Duration
from api_spec.units import Message, Positive


class UsualStay(Message):
    """What is expected of who says nothing: how long he stays, and what he wants [kWh]."""

    stay: Duration = timedelta(hours=8)
    energy_kwh: Positive = Field(default=20.0, le=200)

    @property
    def habit(self) -> Habit:
        """The same for who decides."""
        return Habit(self.stay, 1000 * self.energy_kwh)


def stay_of(demand: PlugDemand) -> Stay | None:
    """Who is at the plug; None without a vehicle."""
    return None if demand.session is None else Stay(demand.plug, demand.session)


def spoken(site: Site, demand: PlugDemand, wish: Wish | None, habit: Habit) -> PlugDemand:
    """The demand as if its driver had said at the charger what he said on his page, under a name unique at the site.

    What he said counts before what his vehicle says. A vehicle of which nothing is known and that wants more than is
    usual gets more: there is always another hour's energy to be had.
    """
    if demand.session is None:
        return demand
    changed: dict[str, object] = {"session": f"{demand.plug} {demand.session}"}
    if wish is not None:
        left_wh = max(0.0, wish.energy_wh - demand.session_wh)
        changed |= {"energy_left_wh": left_wh, "departs": wish.departs}
    elif demand.energy_left_wh is None:
        an_hour_wh = vehicle_w(site, demand)
        changed["energy_left_wh"] = max(habit.energy_wh - demand.session_wh, an_hour_wh)
    return demand.model_copy(update=changed)


def said_at(wish: Wish | None, *, now: datetime, now_s: float) -> Said:
    """The same for the charger's aggregator, whose clock shows `now_s`; nothing where nothing is wished."""
    if wish is None:
        return Said()
    departs_s = now_s + (wish.departs - now).total_seconds()
    return Said(wish.energy_wh, departs_s, wish.departs, PRIORITY if wish.priority else 1.0)


def priority(demand: PlugDemand, wish: Wish | None) -> float:
    """How much more than others the driver needs it; asked for at the charger, or on his page."""
    return PRIORITY if wish is not None and wish.priority else demand.urgency or 1.0


def shown(site: Site, demand: PlugDemand, wish: Wish | None, habit: Habit, *, arrived: datetime) -> Session:
    """The whole stay, as its driver sees it."""
    assert demand.session is not None, "only plugs with a vehicle are shown"
    said = spoken(site, demand, wish, habit)
    vehicle = Vehicle(
        phases=_phases(demand),
        min_a=demand.min_a,
        max_a=min(demand.max_a, site.charger_of(demand.plug).max_a),
        discharge_a=demand.discharge_a,
    )
    assert said.energy_left_wh is not None, "something is always expected"
    energy_wh = demand.session_wh + said.energy_left_wh if wish is None else wish.energy_wh
    departs = said.departs or arrived + habit.stay
    return Session(demand.session, demand.plug, arrived, departs, energy_wh, vehicle, priority(demand, wish))


def vehicle_w(site: Site, demand: PlugDemand) -> float:
    """The most that vehicle, plug and charger allow, as far as it is known [W]."""
    return min(demand.max_a, site.charger_of(demand.plug).max_a) * _phases(demand) * PHASE_V


def _phases(demand: PlugDemand) -> int:
    return 3 if demand.phases is None else len(demand.phases)
