"""An agent of one's own: the boiler of a swimming pool, which can do without power at a price.

Named in a scenario beside this file as agent = "own_agent:Boiler". What is asked of an agent is written down in
`market.simulation.participant`; a simulation and a market that is served see the same agent.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from api_spec.client import MarketClient, or_none
from api_spec.flexibility import CurveStep, CurveTerms
from api_spec.metering import BaselineNomination, BusPower, ReadingTerms
from api_spec.period import MarketPeriod
from api_spec.units import Message


class BoilerTable(Message):
    network: str  # comes from the scenario
    bus: str
    power_w: int = 30_000
    ask_eur_per_mwh: Decimal = Decimal(30)


class Boiler:
    config: BoilerTable

    def __init__(self, client: MarketClient, config: BoilerTable) -> None:
        self.client, self.config, self.sold_w = client, config, dict[datetime, int]()

    @classmethod
    def build(cls, client: MarketClient, config: Mapping[str, Any]) -> "Boiler":
        return cls(client, BoilerTable.model_validate(config))

    async def cycle(self, now: datetime) -> None:
        bus, power_w = self.config.bus, self.config.power_w
        for auction in await self.client.auctions(state=("open", "published")):
            delivery = auction.delivery
            if auction.state == "open" and await or_none(self.client.baseline(auction.id)) is None:
                usual = BusPower(bus=bus, power_w=(power_w,) * delivery.count)
                await self.client.nominate_baseline(auction.id, BaselineNomination(buses=(usual,)))
                pause = CurveStep(power_w=(-power_w,) * delivery.count, price_eur_per_mwh=self.config.ask_eur_per_mwh)
                await self.client.submit_offer(auction.id, CurveTerms(kind="curve", bus=bus, steps=(pause,)))
            elif auction.state == "published":
                for award in await self.client.awards(auction.id):
                    self.sold_w |= dict(zip(delivery.starts(), award.power_w, strict=True))
                if now >= delivery.end:
                    drawn = BusPower(bus=bus, power_w=tuple(map(round, self.drawn_w(delivery)[bus].tolist())))
                    await self.client.submit_reading(auction.id, ReadingTerms(start=delivery.start, buses=(drawn,)))

    async def control(self, now: datetime) -> None:
        """Nothing to be sent: the boiler keeps to what it sold."""

    def drawn_w(self, period: MarketPeriod) -> dict[str, np.ndarray]:
        quarters = [start.replace(minute=start.minute // 15 * 15, second=0) for start in period.starts()]
        return {self.config.bus: np.array([self.config.power_w + self.sold_w.get(at, 0) for at in quarters], float)}
