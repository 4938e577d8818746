"""How an aggregator asks for what it offers."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from aggregator_agents.offering.availability import StandingReady
from api_spec.units import Count, EurPerMwh, Fraction, Message


class Asking(Message):
    """How the aggregator asks.

    kind : `envelope`, one offer around all that a site can do; or `blocks`, a ladder of growing reductions with their
    payback, of which at most one is accepted. floor_eur_per_mwh : the least that is asked, for wear and effort; in
    blocks it comes on top of what they cost.

    Of envelopes: share : part of the flexibility that is offered; the rest covers drivers who stray from what they
    said. Of blocks: level : of every period's change that much is offered as was there in this part of all cases, by
    the drivers' own history. steps : how many reductions. history_days : how far back drivers are looked at.
    standing_ready : what is asked for availability in auctions that reserve.
    """

    kind: Literal["envelope", "blocks"] = "envelope"
    share: Annotated[Fraction, Field(gt=0)] = 0.9
    floor_eur_per_mwh: Annotated[EurPerMwh, Field(ge=0)] = Decimal(5)
    level: Annotated[Fraction, Field(gt=0, lt=1)] = 0.9
    steps: Annotated[Count, Field(ge=1, le=20)] = 4
    history_days: Annotated[Count, Field(ge=1, le=366)] = 56
    standing_ready: StandingReady = StandingReady()
