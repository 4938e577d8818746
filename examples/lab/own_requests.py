"""A request strategy of one's own: a DSO that never looks at its network and buys a cap of the evening's load instead.

Named in a scenario beside this file as agent = "own_requests:EveningCap". Everything else, the auctions, the forecast
that the market clears with, is the shipped agent's.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from api_spec.flexibility import CapacityTerms
from dso_agents.agent import DsoAgent
from dso_agents.deciding import Decision
from dso_agents.kinds import Choice

CAP_W = 95_000
ELEMENT = "transformer"


class EveningCap(DsoAgent):
    def wanted(self, decision: Decision) -> tuple[Choice, ...]:
        """At most CAP_W through the transformer between 17 and 21 o'clock, at up to 200 EUR/MWh."""
        cap = CapacityTerms(
            kind="capacity",
            element=ELEMENT,
            import_limit_w=CAP_W,
            max_price_eur_per_mwh=200,
            active=tuple(17 <= _hour(start) < 21 for start in decision.period.starts()),
        )
        return (Choice(cap, because="the evening is always full"),)


def _hour(start: datetime) -> int:
    return start.astimezone(ZoneInfo("Europe/Copenhagen")).hour
