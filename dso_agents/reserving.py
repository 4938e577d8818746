"""Reserve in advance, or buy on the day? A newsvendor between what standing ready costs and what it saves. Pure.

Per MWh that is needed, with s the probability that offers on the day fall short, n that reserved power is not
delivered, c and r the prices of energy on the day and under a reservation, v what an MWh costs that nobody delivers:

    on the day  (1 - s) c + s v          reserved  (1 - n) r + n v          saving  D = the first - the second

One more MW that stands ready costs a per hour and saves D in the hours in which the need exceeds what is reserved
already, R. Cost is least where a = D P(need > R), so capacity is reserved up to the need that is exceeded with

    P(need > R) = a / D.

Source: the newsvendor's critical fractile, Arrow, Harris and Marschak 1951, Econometrica 19:250. Besides, what is not
reserved must not fail more often than the DSO accepts: P(need > R) s + (P(need) - P(need > R)) n <= e, in every period.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field, model_validator

from api_spec.defects import refuse
from api_spec.metering import Calendar
from api_spec.period import Duration, Instant, MarketPeriod
from api_spec.product import Product
from api_spec.units import EurPerMwh, Fraction, Message
from dso_agents.experience import Experience
from dso_agents.past_days import same_day, same_time_before
from dso_agents.risk import Risk

_NEVER: Final = 1e-6


@dataclass(frozen=True)
class ReserveAuction:
    """One reservation that could be opened."""

    delivery: MarketPeriod
    gate_closure: datetime


class ReservePlan(Message):
    """What could be reserved, and what it is expected to be worth.

    product : of stage "reservation"; its price cap is the most that standing ready may cost. availability_eur_per_mwh :
    what it is expected to cost, absent = that cap. activation_eur_per_mwh : of reserved energy, absent = the product's
    activation cap. on_the_day_eur_per_mwh : of energy on the day, absent = the mean of what was bought, or else as
    activation. undelivered_eur_per_mwh : what an MWh costs that is needed and not delivered. undelivered : probability
    that reserved power is not delivered. every_days : comes again so many local days later, as 7 every week; absent =
    once. decides_before_gate : the auction is decided on, and opened, from this long before its gate.
    """

    product: Product
    delivery: MarketPeriod
    gate_closure: Instant
    availability_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] | None = None
    activation_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] | None = None
    on_the_day_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] | None = None
    undelivered_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)]
    undelivered: Fraction = 0.05
    every_days: Annotated[int, Field(strict=True, ge=1, le=366)] | None = None
    decides_before_gate: Duration = timedelta(days=1)

    @model_validator(mode="after")
    def _reserves(self) -> "ReservePlan":
        if self.product.stage != "reservation":
            refuse("ReservePlan", [(("product", "stage"), "must be reservation")])
        if self.activation_eur_per_mwh is None and self.product.activation_cap_eur_per_mwh is None:
            reason = "is needed: the product has no activation cap"
            refuse("ReservePlan", [(("activation_eur_per_mwh",), reason)])
        return self

    def due(self, now: datetime, calendar: Calendar) -> ReserveAuction | None:
        """What is to be decided on now; None between two of them."""
        number = max(0, -(-(now - self.gate_closure) // timedelta(days=self.every_days))) if self.every_days else 0
        later = 0 if self.every_days is None else number * self.every_days
        gate = same_time_before(self.gate_closure, -later, calendar)
        if not gate - self.decides_before_gate <= now < gate:
            return None
        return ReserveAuction(same_day(self.delivery, -later, calendar), gate)


@dataclass(frozen=True)
class ReserveChoice:
    """What the two ways cost per MWh needed, and how far to reserve.

    need : the highest probability of one in any period. by_cost : probability below which a need is cheaper bought on
    the day. by_risk : the largest probability to leave to the day at which failures stay within the accepted risk; 1
    where nothing has to be reserved for that.
    """

    need: float
    availability_eur_per_mwh: float
    on_the_day_eur_per_mwh: float
    reserved_eur_per_mwh: float
    scarcity: float
    by_cost: float
    by_risk: float

    @property
    def exceeded_with(self) -> float:
        """Probability, per period, with which the need may exceed what is reserved; 1 = nothing is to be reserved."""
        return min(self.by_cost, self.by_risk)

    @property
    def reserves(self) -> bool:
        """Whether anything that was found is to be reserved."""
        return self.exceeded_with < self.need

    @property
    def risk(self) -> Risk:
        """The probability that a reservation auction is sized to; a need that never ends is sized to its worst."""
        return Risk(probability=min(max(self.exceeded_with, _NEVER), 1 - _NEVER))

    @property
    def because(self) -> str:
        """The decision in a sentence."""
        costs = (
            f"on the day an MWh costs {self.on_the_day_eur_per_mwh:.0f} EUR at a scarcity of {self.scarcity:.0%}, "
            f"reserved {self.reserved_eur_per_mwh:.0f} EUR and {self.availability_eur_per_mwh:.2f} EUR/MW/h before"
        )
        if not self.reserves:
            return f"{costs}: nothing is reserved"
        decides = "cost" if self.by_cost <= self.by_risk else "the accepted risk"
        return f"{costs}: by {decides}, reserve needs that occur with more than {self.exceeded_with:.1%}"


def reserve_choice(plan: ReservePlan, experience: Experience, *, risk: Risk, need: float) -> ReserveChoice:
    """How much of a need to reserve. need : the highest probability of it in any period of the plan's delivery."""
    product = plan.product
    standing = float(_first(plan.availability_eur_per_mwh, product.price_cap_eur_per_mwh))
    called = float(_first(plan.activation_eur_per_mwh, product.activation_cap_eur_per_mwh))
    price = float(_first(plan.on_the_day_eur_per_mwh, experience.price_eur_per_mwh, called))
    lost = float(plan.undelivered_eur_per_mwh)
    short, missing = experience.scarcity, plan.undelivered

    on_the_day = (1 - short) * price + short * lost
    reserved = (1 - missing) * called + missing * lost
    saving = on_the_day - reserved
    by_cost = standing / saving if saving > standing else 1.0
    by_risk = 1.0
    if short > missing and need * short > risk.probability:
        by_risk = max(0.0, (risk.probability - need * missing) / (short - missing))
    return ReserveChoice(need, standing, on_the_day, reserved, short, by_cost, by_risk)


def _first(*values: object) -> float:
    """The first that is given."""
    return next(float(each) for each in values if each is not None)  # type: ignore[arg-type]
