"""The chargers of one site under their cloud aggregator, as those who decide see them."""

from typing import Protocol

from aggregator_agents.dispatch.lease import PlugDemand
from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.meter_log import SiteMeter


class Cluster(SiteMeter, Protocol):
    """A site's chargers. It is also the meter of all plugs together."""

    def demands(self) -> tuple[PlugDemand, ...]:
        """What every plug reported last, charger by charger; a charger that was never heard of is left out."""
        ...

    def follow(self, plan: SitePlan) -> None:
        """What is wanted of the plugs from now on. Leases decide what of it they may have, and when."""
        ...
