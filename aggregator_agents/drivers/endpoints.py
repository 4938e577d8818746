"""The same for apps: JSON under /v1, with the seat's secret as a bearer token."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import Field, StrictBool, model_validator

from aggregator_agents.drivers.desk import PowerPlan, StayView, outlook
from aggregator_agents.drivers.reception import Declined, Reception, ReceptionOf, Trouble
from aggregator_agents.drivers.wishes import WattHoursPerKm, Wish
from api_spec.defects import refuse
from api_spec.period import Instant
from api_spec.units import Count, Message, NonNegative, Real

router = APIRouter(prefix="/v1/plugs", tags=["plugs"])
_bearer = HTTPBearer(auto_error=False, description="The secret of a stay's seat.")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class PlanState(Message):
    """What the plug is going to draw: edges of the steps, one more than power_w [W], charging positive."""

    made_at: Instant
    edges: tuple[Instant, ...]
    power_w: tuple[Real, ...]


class StayState(Message):
    """A vehicle's stay.

    departs, energy_wh, priority : as the plan takes them; energy_wh over the whole stay. priorities_left : stays of
    this driver that can still have priority. in_plan : the plan was made with the latest wish. ready_at,
    by_departure_wh : what the plan leads to; absent where it does not say. possible_wh : by this departure, if nobody
    else needed the fuse.
    """

    departs: Instant
    energy_wh: NonNegative
    priority: bool
    priorities_left: Count
    delivered_wh: NonNegative
    drawn_w: Real
    possible_wh: NonNegative
    in_plan: bool
    ready_at: Instant | None = None
    by_departure_wh: Real | None = None
    plan: PlanState | None = None


class PlugState(Message):
    """A plug, and the stay at it for who holds its seat. giving_until : the site gives room to the grid until then."""

    plug: str
    name: str
    occupied: bool
    giving_until: Instant | None = None
    stay: StayState | None = None


class Seat(Message):
    """The right to see and change a stay, until its vehicle is unplugged. Told once."""

    secret: str


class WishTerms(Message):
    """What a driver says.

    Either energy_wh, at the plug over the whole stay [Wh], or range_km with wh_per_km, the vehicle's consumption.
    """

    departs: Instant
    energy_wh: Annotated[NonNegative, Field(le=1e7)] | None = None
    range_km: Annotated[NonNegative, Field(le=1e4)] | None = None
    wh_per_km: WattHoursPerKm | None = None
    priority: StrictBool = False

    @model_validator(mode="after")
    def _one_amount(self) -> "WishTerms":
        if (self.energy_wh is None) == (self.range_km is None):
            refuse("WishTerms", [(("energy_wh",), "give either energy_wh or range_km")])
        if (self.range_km is None) != (self.wh_per_km is None):
            refuse("WishTerms", [(("wh_per_km",), "belongs to range_km")])
        return self

    def wish(self, efficiency: float) -> Wish:
        """As a wish. efficiency : of the vehicle's charger."""
        energy_wh = self.energy_wh
        if energy_wh is None:
            energy_wh = (self.range_km or 0.0) * (self.wh_per_km or 0.0) / efficiency
        return Wish(departs=self.departs, energy_wh=energy_wh, priority=self.priority, wh_per_km=self.wh_per_km)


@router.get("/{code}", response_model_exclude_none=True)
async def plug(code: str, reception: ReceptionOf, seat: Bearer) -> PlugState:
    """A plug; with a seat's secret also the stay."""
    return await _state(code, reception, seat)


@router.post("/{code}/seat", status_code=201)
async def take_seat(code: str, reception: ReceptionOf) -> Seat:
    """Take the seat of the stay at a plug: the first to ask has it. 409 where it is taken or the time for it over."""
    secret = await reception.take_seat(await reception.plug(code), code)
    if secret is None:
        raise Declined(Trouble.TAKEN, code)
    return Seat(secret=secret)


@router.put("/{code}/wish", response_model_exclude_none=True)
async def say(code: str, terms: WishTerms, reception: ReceptionOf, seat: Bearer) -> PlugState:
    """Say what is wanted, in place of what was said before; kept when this answers, and in the plan within a cycle."""
    view = await reception.plug(code)
    stay = reception.stay(view, None if seat is None else seat.credentials)
    if stay is None:
        raise Declined(Trouble.SEAT, code)
    await reception.say(stay, terms.wish(stay.session.vehicle.efficiency), code)
    return await _state(code, reception, seat)


async def _state(code: str, reception: Reception, seat: HTTPAuthorizationCredentials | None) -> PlugState:
    view = await reception.plug(code)
    stay = reception.stay(view, None if seat is None else seat.credentials)
    if stay is None and seat is not None:
        raise Declined(Trouble.SEAT, code)
    return PlugState(
        plug=view.plug,
        name=view.name,
        occupied=view.stay is not None,
        giving_until=view.giving_until,
        stay=None if stay is None else _stay_state(stay, reception),
    )


def _stay_state(stay: StayView, reception: Reception) -> StayState:
    now = reception.clock()
    said = reception.said(stay)
    in_plan = stay.is_planned_with(None if said is None else said.wish)
    found = outlook(stay, now) if in_plan else None
    return StayState(
        departs=stay.session.departs,
        energy_wh=stay.session.energy_wh,
        priority=said is not None and said.wish.priority,
        priorities_left=reception.allowance(stay, now).left,
        delivered_wh=stay.delivered_wh,
        drawn_w=stay.drawn_w,
        possible_wh=stay.reach(now).possible_wh(stay.session.departs),
        in_plan=in_plan,
        ready_at=found and found.ready_at,
        by_departure_wh=found and found.by_departure_wh,
        plan=None if stay.plan is None else _plan_state(stay.plan),
    )


def _plan_state(plan: PowerPlan) -> PlanState:
    return PlanState(made_at=plan.made_at, edges=plan.edges, power_w=plan.power_w)
