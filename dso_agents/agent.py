"""The DSO's agent. It remembers nothing: every cycle reads the market again and does what is still to be done."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from pydantic import model_validator

from api_spec.auction import Auction, AuctionTerms
from api_spec.case import Injection
from api_spec.client import MarketClient, or_none
from api_spec.defects import refuse, unknown
from api_spec.flexibility import AnyRequestTerms, FlexRequest
from api_spec.grid import Network
from api_spec.grid_metering import GridReading
from api_spec.ids import BusId
from api_spec.metering import Calendar, Forecast
from api_spec.period import Duration, Instant, MarketPeriod
from api_spec.product import Product
from api_spec.units import EurPerMwh, Message, series
from dso_agents.congestion import Margins
from dso_agents.deciding import Decision, Knowledge, decide
from dso_agents.forecast import ForecastUnusable, ProfileSource, Uncertainty, forecast, read_known_load
from dso_agents.kinds import Aims
from dso_agents.load_scenarios import Learning
from dso_agents.meter_file import read_meters
from dso_agents.meter_history import MeterHistory
from dso_agents.past_market import PastMarket
from dso_agents.requests import Asking
from dso_agents.reserving import ReserveAuction, ReserveChoice, ReservePlan, reserve_choice
from dso_agents.risk import Risk
from dso_agents.temperature import read_temperature
from market.network import Grid
from market.network.model import FloatArray
from market.network.sources import GridTable, grid_source

LOG: Final = logging.getLogger(__name__)
_AHEAD_DAYS: Final = 8  # deliveries lie ahead of what is known of the days before them


class AuctionPlan(Message):
    """The auction that the agent opens; one price of energy for all periods, or one for each."""

    product: Product
    delivery: MarketPeriod
    gate_closure: Instant
    energy_price_eur_per_mwh: EurPerMwh | tuple[EurPerMwh, ...] | None = None


class DsoConfig(Message):
    """A DSO agent's table in a scenario or its own file.

    known_load : JSON file of the network and the load that is expected on it (`dso_agents.forecast.KnownLoad`).
    feeder : instead of that, the name of a network that ships with flexmarket, with its load. grid : or files of both.
    nominated : buses whose whole load aggregators nominate, net of what is behind the meter: not in its own forecast.
    meters : CSV or Parquet file of past readings, see `dso_agents.meter_file`. calendar : clocks and holidays; absent =
    those of the network on the market.
    uncertainty, margins : what it plans for while no meter has said anything. learning, risk : what it plans for else:
    limits are tightened to what scenarios of the load say (dso_agents.risk). temperature : CSV file, see
    `dso_agents.temperature`. aims : what it asks for beside ratings and bands.
    reserves : what it reserves in advance, where that is cheaper or the accepted risk needs it (dso_agents.reserving).
    opens : the auction to open; absent = it takes part in auctions on its network that stand already.
    decides_before_gate : requests are posted from this long before the gate, when aggregators have nominated.
    """

    known_load: Path | None = None
    feeder: str | None = None
    grid: GridTable | None = None
    uncertainty: Uncertainty = Uncertainty()
    margins: Margins = Margins()
    asking: Asking = Asking()
    nominated: tuple[BusId, ...] = ()
    meters: Path | None = None
    calendar: Calendar | None = None
    learning: Learning = Learning()
    risk: Risk = Risk()
    aims: Aims = Aims()
    temperature: Path | None = None
    reserves: ReservePlan | None = None
    opens: AuctionPlan | None = None
    decides_before_gate: Duration = timedelta(hours=2)

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if sum(each is not None for each in (self.known_load, self.feeder, self.grid)) != 1:
            refuse("DsoConfig", [((), "needs one of known_load, feeder and grid")])
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

    def new_history(self, readings: Iterable[GridReading] = ()) -> MeterHistory:
        """Room for as many days as it learns from."""
        history = MeterHistory(keep=timedelta(days=self.learning.reach_days + _AHEAD_DAYS))
        history.add(readings)
        return history

    def _known(self) -> tuple[Network, ProfileSource]:
        where = self.feeder or self.grid
        if where is not None:
            source = grid_source(where)
            return source.network, source
        assert self.known_load is not None, "one of the three is given"
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
        self._temperature = None if config.temperature is None else read_temperature(config.temperature)
        self._history = config.new_history(() if config.meters is None else read_meters(config.meters))
        self._past = PastMarket(client)
        self._decisions: dict[str, Decision] = {}
        self._weighed: dict[ReserveAuction, ReserveChoice] = {}

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

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """What it expected, found and asked for, with its reasons, by auction; the last of each."""
        return self._decisions

    def meters(self, readings: Sequence[GridReading]) -> None:
        """Take what instruments in its network have sent."""
        self._history.add(readings)

    async def cycle(self, now: datetime) -> None:
        """Do what is still to be done; twice in a row changes nothing."""
        await self._register_network()
        me = (await self._client.me()).id
        auctions = [
            each for each in await self._client.auctions() if each.dso == me and each.network == self._network.name
        ]
        await self._open(auctions, now)
        await self._reserve(auctions, now)
        for auction in auctions:
            decides = auction.gate_closure - self._config.decides_before_gate
            if auction.state == "open" and decides <= now < auction.gate_closure:
                await self._ask(auction, now)

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
        standing = [each.delivery for each in auctions if each.product.stage == "activation"]
        if plan is None or now >= plan.gate_closure or plan.delivery in standing:
            return
        energy = plan.energy_price_eur_per_mwh
        terms = AuctionTerms(
            network=self._network.name,
            product=plan.product,
            delivery=plan.delivery,
            gate_closure=plan.gate_closure,
            energy_price_eur_per_mwh=None if energy is None else series(energy, plan.delivery.count),
        )
        # The key makes one auction of two cycles that both saw none.
        opened = await self._client.open_auction(terms, key=f"open {plan.delivery.start.isoformat()}")
        auctions.append(opened)

    async def _reserve(self, auctions: list[Auction], now: datetime) -> None:
        """Open a reservation auction where standing ready is worth its price, or the accepted risk needs it."""
        plan = self._config.reserves
        due = None if plan is None else plan.due(now, await self._clocks())
        if plan is None or due is None or due in self._weighed:
            return
        if any(each.product.stage == "reservation" and each.delivery == due.delivery for each in auctions):
            return
        decision = decide(await self._knowledge(now), self._config, due.delivery, now=now, with_chargers=True)
        choice = reserve_choice(plan, self._past.experience, risk=self._config.risk, need=decision.need)
        LOG.info("%s: %s", due.delivery.start.isoformat(), choice.because)
        self._weighed[due] = choice
        if choice.reserves:
            terms = AuctionTerms(
                network=self._network.name, product=plan.product, delivery=due.delivery, gate_closure=due.gate_closure
            )
            auctions.append(await self._client.open_auction(terms, key=f"reserve {due.delivery.start.isoformat()}"))

    async def _ask(self, auction: Auction, now: datetime) -> None:
        known = await self._knowledge(now)
        baselines = await self._client.bus_baselines(auction.id)
        decision = decide(known, self._config, auction.delivery, now=now, baselines=baselines)
        plan = self._config.reserves
        if auction.product.stage == "reservation" and plan is not None:
            reserved = reserve_choice(plan, self._past.experience, risk=self._config.risk, need=decision.need)
            decision = decide(known, self._config, auction.delivery, now=now, baselines=baselines, risk=reserved.risk)

        await self._client.submit_forecast(auction.id, Forecast(injections=decision.forecast))
        standing = {_subject(each.request) for each in await self._client.requests(auction.id)}
        for choice in decision.choices:
            if _subject(choice.terms) not in standing:
                await self._client.submit_request(auction.id, choice.terms)
                LOG.info("auction %s: asked for %s: %s", auction.id, choice.terms.kind, choice.because)
        self._decisions[auction.id] = decision

    async def _knowledge(self, now: datetime) -> Knowledge:
        """All that it knows. Past auctions are read where something can be learnt of them."""
        metered = self._history.newest is not None
        if metered or self._config.reserves is not None:
            mine = [each for each in await self._client.auctions() if each.network == self._network.name]
            since = now - timedelta(days=self._config.learning.reach_days)
            await self._past.read(await self._own(mine), since=since)
        return Knowledge(
            self._grid,
            self._profiles,
            history=self._history if metered else None,
            traded=self._past.traded,
            calendar=await self._clocks(),
            temperature=self._temperature,
        )

    async def _own(self, auctions: Iterable[Auction]) -> list[Auction]:
        me = (await self._client.me()).id
        return [each for each in auctions if each.dso == me]

    async def _clocks(self) -> Calendar:
        return self._config.calendar or await or_none(self._client.calendar(self._network.name)) or Calendar()


def _subject(request: AnyRequestTerms | FlexRequest) -> tuple[str, object]:
    """What a request is about: a second one about the same is the same request."""
    about = ("min_pu", "max_pu") if request.kind == "voltage" else ("element",)
    return request.kind, tuple(getattr(request, name, None) for name in about)
