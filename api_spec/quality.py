"""How well a change was delivered: practical attributes of the service, and the score that deliveries add up to."""

from typing import Annotated

from pydantic import Field

from api_spec.ids import AuctionId, BusId, NetworkId, OrganisationId
from api_spec.period import Duration, Instant
from api_spec.units import Count, Fraction, Message, NonNegative, Real, WattHours


class ServiceAttributes(Message):
    """The practical attributes of one delivery; what is absent was not measured.

    accuracy : delivered over ordered energy; above 1 where more was delivered. precision : standard deviation of
    delivered minus ordered power over the mean ordered power. activation_s : from the start of the order to the first
    response beyond a tenth of it. ramp_up_w_per_s, ramp_down_w_per_s : mean speed between a tenth and nine tenths of
    the order, into it and out of it.
    """

    accuracy: Annotated[Real, Field(ge=-1000, le=1000)] | None = None
    precision: NonNegative | None = None
    activation_s: NonNegative | None = None
    ramp_up_w_per_s: NonNegative | None = None
    ramp_down_w_per_s: NonNegative | None = None


class BusAttributes(ServiceAttributes):
    """Attributes of the delivery at one bus, as measured by the aggregator's own controller."""

    bus: BusId


class DeliveryQuality(Message):
    """One participant's delivery at one bus in one auction.

    ordered_wh, delivered_wh : of |change|, delivered at most what was ordered in each period. accuracy : of these two,
    between 0 and 1. by_market : what the market works out from the readings it holds, at their `resolution`; times are
    absent where the readings are no finer than the periods of the delivery. by_aggregator : what the aggregator
    measured and reported; the market does not vouch for it.
    """

    auction: AuctionId
    participant: OrganisationId
    bus: BusId
    version: Count
    recorded_at: Instant
    ordered_wh: WattHours
    delivered_wh: WattHours
    accuracy: Fraction
    resolution: Duration
    by_market: ServiceAttributes
    by_aggregator: ServiceAttributes | None = None


class Reliability(Message):
    """The score of a participant's resources at a bus: what of the ordered energy they deliver, in [0, 1].

    deliveries : how many it is made from; without any it is 1.
    """

    network: NetworkId
    participant: OrganisationId
    bus: BusId
    score: Fraction
    deliveries: Count
