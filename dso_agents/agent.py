"""The DSO's agent. It remembers nothing: every cycle reads the market again and does what is still to be done."""

import itertools
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from api_spec.auction import Auction, AuctionTerms
from api_spec.calendar import ZoneName, days_later, delivery_later
from api_spec.case import Injection
from api_spec.client import MarketClient, or_none
from api_spec.defects import refuse, unknown
from api_spec.flexibility import AnyRequestTerms, FlexRequest
from api_spec.grid import Network
from api_spec.ids import BusId
from api_spec.metering import Forecast
from api_spec.period import Duration, Instant, MarketPeriod
from api_spec.product import Product
from api_spec.units import EurPerMwh, Message, series
from dso_agents.congestion import Margins, congestion
from dso_agents.forecast import ForecastUnusable, ProfileSource, Uncertainty, forecast, read_known_load
from dso_agents.requests import Asking, requests
from market.network import Grid
from market.network.feeders import feeder
from market.network.model import FloatArray


class Daily(Message):
    """How an auction comes again every day: between the same local times.

    days : how many auctions in all; absent = without end. opens_before_gate : an auction is opened from this long
    before its gate, the first one at once.
    """

    timezone: ZoneName
    days: Annotated[int, Field(strict=True, ge=1)] | None = None
    opens_before_gate: Duration = timedelta(days=1)


class AuctionPlan(Message):
    """The auction that the agent opens; one price of energy for all periods, or one for each.

    daily : it comes again every day; absent = once.
    """

    product: Product
    delivery: MarketPeriod
    gate_closure: Instant
    energy_price_eur_per_mwh: EurPerMwh | tuple[EurPerMwh, ...] | None = None
    daily: Daily | None = None

    def due(self, now: datetime) -> Iterator[tuple[MarketPeriod, datetime]]:
        """Deliveries whose auctions should be open by now, and when their gates close."""
        daily = self.daily
        if daily is None:
            if now < self.gate_closure:
                yield self.delivery, self.gate_closure
            return
        zone = ZoneInfo(daily.timezone)
        ahead = now + daily.opens_before_gate
        first = max(0, (now - self.gate_closure).days)
        for number in itertools.count(first) if daily.days is None else range(first, daily.days):
            gate = days_later(self.gate_closure, number, zone)
            if gate > ahead and number > 0:
                return
            if now < gate:
                yield delivery_later(self.delivery, number, zone), gate


class DsoConfig(Message):
    """A DSO agent's table in a scenario or its own file.

    known_load : JSON file of the network and the load that is expected on it (`dso_agents.forecast.KnownLoad`).
    feeder : instead of that, the name of a network that ships with flexmarket, with its load.
    nominated : buses whose whole load aggregators nominate, net of what is behind the meter: not in its own forecast.
    opens : the auction to open; absent = it takes part in auctions on its network that stand already.
    decides_before_gate : requests are posted from this long before the gate, when aggregators have nominated.
    """

    known_load: Path | None = None
    feeder: str | None = None
    uncertainty: Uncertainty = Uncertainty()
    margins: Margins = Margins()
    asking: Asking = Asking()
    nominated: tuple[BusId, ...] = ()
    opens: AuctionPlan | None = None
    decides_before_gate: Duration = timedelta(hours=2)

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if (self.known_load is None) == (self.feeder is None):
            refuse("DsoConfig", [((), "needs either known_load or feeder")])
        return self

    def expected(self) -> tuple[Network, ProfileSource]:
        """The network and what is expected on it; ForecastUnusable or UnknownFeeder where there is none."""
        network, profiles = self._known()
        for bus in self.nominated:
            if bus not in network.bus_ids:
                where = f'on network "{network.name}"'
                raise ForecastUnusable(f"nominated: {unknown('bus', bus, network.bus_ids, where)}")
        return network, profiles

    def forecast(self, profiles: ProfileSource, period: MarketPeriod) -> tuple[Injection, ...]:
        """What the DSO itself expects, at its quantile: everything but what aggregators nominate."""
        own = tuple(each for each in profiles.injections(period) if each.bus not in self.nominated)
        return forecast(own, self.uncertainty)

    def _known(self) -> tuple[Network, ProfileSource]:
        if self.feeder is not None:
            shipped = feeder(self.feeder)
            return shipped.network, shipped
        assert self.known_load is not None, "one of the two is given"
        known = read_known_load(self.known_load)
        return known.network, known


class DsoAgent:
    """Registers its network, opens an auction, forecasts, and asks for what its network cannot carry."""

    def __init__(self, client: MarketClient, config: DsoConfig, *, network: Network, profiles: ProfileSource) -> None:
        """Act for the DSO whose credentials `client` carries."""
        self._client = client
        self._config = config
        self._network = network
        self._profiles = profiles
        self._grid = Grid.of(network)

    @classmethod
    def build(cls, client: MarketClient, config: Mapping[str, Any]) -> Self:
        """An agent of its table; pydantic.ValidationError or ForecastUnusable for a bad one."""
        read = DsoConfig.model_validate(config)
        network, profiles = read.expected()
        return cls(client, read, network=network, profiles=profiles)

    @property
    def config(self) -> DsoConfig:
        """The table it was built of, with every default filled in."""
        return self._config

    async def cycle(self, now: datetime) -> None:
        """Do what is still to be done; twice in a row changes nothing."""
        await self._register_network()
        me = (await self._client.me()).id
        auctions = [
            each
            for each in await self._client.auctions(state="open")
            if each.dso == me and each.network == self._network.name
        ]
        await self._open(auctions, now)
        for auction in auctions:
            decides = auction.gate_closure - self._config.decides_before_gate
            if auction.state == "open" and decides <= now < auction.gate_closure:
                await self._ask(auction)

    async def control(self, now: datetime) -> None:
        """A DSO has no plugs."""

    def drawn_w(self, period: MarketPeriod) -> Mapping[str, FloatArray]:
        """A DSO draws nothing of its own."""
        return {}

    async def _register_network(self) -> None:
        if await or_none(self._client.network(self._network.name)) is None:
            await self._client.register_network(self._network)

    async def _open(self, auctions: list[Auction], now: datetime) -> None:
        plan = self._config.opens
        if plan is None:
            return
        energy = plan.energy_price_eur_per_mwh
        for delivery, gate_closure in plan.due(now):
            if any(each.delivery == delivery for each in auctions):
                continue
            terms = AuctionTerms(
                network=self._network.name,
                product=plan.product,
                delivery=delivery,
                gate_closure=gate_closure,
                energy_price_eur_per_mwh=None if energy is None else series(energy, delivery.count),
            )
            # The key makes one auction of two cycles that both saw none.
            auctions.append(await self._client.open_auction(terms, key=f"open {delivery.start.isoformat()}"))

    async def _ask(self, auction: Auction) -> None:
        load = self._config.forecast(self._profiles, auction.delivery)
        await self._client.submit_forecast(auction.id, Forecast(injections=load))
        baselines = await self._client.bus_baselines(auction.id)
        standing = {_subject(each.request) for each in await self._client.requests(auction.id)}

        found = congestion(self._grid, auction.delivery, load=load, baselines=baselines, margins=self._config.margins)

        for terms in requests(found, self._config.asking):
            if _subject(terms) not in standing:
                await self._client.submit_request(auction.id, terms)


def _subject(request: AnyRequestTerms | FlexRequest) -> tuple[str, object]:
    """What a request is about: a second one about the same is the same request."""
    about = ("element",) if request.kind == "congestion" else ("min_pu", "max_pu")
    return request.kind, tuple(getattr(request, name, None) for name in about)
