"""What a DSO reads of its past auctions: once each, because what is published does not change."""

from collections.abc import Iterable
from datetime import datetime

from api_spec.auction import Auction, PublishedResult
from api_spec.client import MarketClient
from dso_agents.experience import Experience
from dso_agents.own_load import Traded


class PastMarket:
    """The published activation auctions of one DSO on one network; read again after a restart."""

    def __init__(self, client: MarketClient) -> None:
        """With the DSO's own credentials."""
        self._client = client
        self._traded: dict[str, Traded] = {}
        self._results: dict[str, tuple[Auction, PublishedResult]] = {}

    async def read(self, auctions: Iterable[Auction], *, since: datetime) -> None:
        """Learn of published auctions that deliver after `since`, and forget older ones. Raises MarketError."""
        recent = {
            each.id: each
            for each in auctions
            if each.state in ("published", "settled")
            and each.product.stage == "activation"
            and each.delivery.end > since
        }
        for name, auction in recent.items():
            if name not in self._traded:
                baselines = await self._client.bus_baselines(name)
                awards = await self._client.acknowledged_awards(name)
                self._results[name] = (auction, await self._client.result(name))
                self._traded[name] = Traded.of(auction.delivery, baselines, awards)
        for name in self._traded.keys() - recent.keys():
            del self._traded[name], self._results[name]

    @property
    def traded(self) -> tuple[Traded, ...]:
        """What aggregators nominated and were awarded, delivery by delivery."""
        return tuple(self._traded.values())

    @property
    def experience(self) -> Experience:
        """How the market served the DSO."""
        return Experience.of(self._results.values())
