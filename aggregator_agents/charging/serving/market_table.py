"""What a service's file says of the market that its site takes part in."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from aggregator_agents.offering.asking import Asking
from aggregator_agents.sessions import Pattern
from api_spec.agent_file import Connection as MarketAddress
from api_spec.ids import TariffId
from api_spec.period import Duration
from api_spec.units import Positive


class MarketTable(MarketAddress):
    """Where the site is traded, and how.

    network : the one that its bus is on. sessions : who is expected to come, of which baselines and offers are made.
    meters : file in which the plugs' registers are kept for readings. offers_before_gate, tariff : see
    AggregatorConfig. every_s : between two looks at the market.
    """

    network: str
    sessions: Pattern
    meters: Path
    asking: Asking = Asking()
    offers_before_gate: Duration = timedelta(hours=1)
    tariff: TariffId | None = None
    every_s: Annotated[Positive, Field(le=600)] = 30.0
