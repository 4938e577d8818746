"""How often emulated chargers look at their plugs and ask for leases, in an aggregator's table."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from aggregator_agents.dispatch.lease import MOST_ASK_EVERY_S, MOST_TTL_S, Timing
from aggregator_agents.emulation.cluster import MARKET_TIMING
from api_spec.defects import refuse
from api_spec.units import Message, Positive


class LeaseTable(Message):
    """Of every charger of an aggregator; what changes in the plan is told at once all the same.

    ask_every_s : between two looks of a charger at its plugs, with each of which it asks for a lease. ttl_s : how long
    a lease holds from its request on, at least twice as long.
    """

    ask_every_s: Annotated[Positive, Field(ge=1, le=MOST_ASK_EVERY_S)] = MARKET_TIMING.ask_every_s
    ttl_s: Annotated[Positive, Field(le=MOST_TTL_S)] = MARKET_TIMING.ttl_s

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        least_s = 2 * self.ask_every_s
        if self.ttl_s < least_s:
            refuse("LeaseTable", [(("ttl_s",), f"must be at least {least_s:g}, twice ask_every_s")])
        return self

    @property
    def timing(self) -> Timing:
        """The same for the aggregators."""
        return Timing(act_every_s=self.ask_every_s, ask_every_s=self.ask_every_s, ttl_s=self.ttl_s)
