"""The aggregator's agent. Every cycle reads the market and the chargers again and does what is still to be done."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import inf
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field

from aggregator_agents.connection import Connection
from aggregator_agents.control import PlugMinute, SiteControl
from aggregator_agents.delay import RandomDelay
from aggregator_agents.emulation.breakdown import Breakdowns
from aggregator_agents.emulation.cluster import EmulatedCluster
from aggregator_agents.emulation.plant import DriverOutcome
from aggregator_agents.emulation.vehicle import Behaviour
from aggregator_agents.faults import CutOff, FaultRecord, Faults
from aggregator_agents.fleet import WATTS_PER_AMP, FloatArray, Site
from aggregator_agents.lease_table import LeaseTable
from aggregator_agents.memory import Memory
from aggregator_agents.offering.asking import Asking
from aggregator_agents.place import Place
from aggregator_agents.planning import OnArrival, Planner, Plans, Valuation
from aggregator_agents.sessions import actual, announced
from aggregator_agents.site_table import SiteTable
from aggregator_agents.strategy import Conduct, Strategy
from aggregator_agents.trading import Trader
from api_spec.client import MarketClient
from api_spec.ids import BusId
from api_spec.period import Duration, MarketPeriod
from api_spec.units import Count, Message

_AHEAD: Final = timedelta(days=2)  # how far ahead drivers announce themselves
_READ_LATE: Final = timedelta(days=1)  # how long meters may take to be read
_NEWS: Final = timedelta(hours=1)  # how often they are asked


class AggregatorConfig(Message):
    """An aggregator's table in a scenario or its own file.

    network : the one its sites are on. charging : `on_arrival`, nobody plans, and nothing but a called right is kept;
    `planned`, by prices, tariff and contracts, but nothing is sold; `offered`, and what can be moved is offered.
    leases : how often emulated chargers look and ask (aggregator_agents.lease_table).
    offers_before_gate : offers are sent from this long before the gate, when the DSO's requests are known. tariff : id
    or name of a network tariff whose prices count in the plans; absent = none. delays_within : each connection follows
    a change of its prices later by a part of this, by chance (aggregator_agents.delay); absent = at once.
    keeps_nomination : whether plans keep to what was nominated where nothing was sold; without it they follow what
    prices have become since. strategies : how it plays the market, for studies; none by default. faults : what fails,
    for studies; nothing by default. seed : of who comes when.
    """

    network: str
    sites: tuple[SiteTable, ...] = Field(min_length=1)
    value: Valuation = Valuation()
    asking: Asking = Asking()
    behaviour: Behaviour = Behaviour()
    leases: LeaseTable = LeaseTable()
    charging: Literal["on_arrival", "planned", "offered"] = "offered"
    offers_before_gate: Duration = timedelta(hours=1)
    tariff: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    delays_within: Duration | None = None
    keeps_nomination: bool = True
    faults: Faults = Faults()
    strategies: Annotated[tuple[Strategy, ...], Field(max_length=3)] = ()
    seed: Count = 0


class EvAggregator:
    """Plans its drivers' charging, offers what can be moved, and has its chargers deliver what was awarded."""

    def __init__(self, client: MarketClient, config: AggregatorConfig, *, plans_within_s: float = inf) -> None:
        """Act for the aggregator whose credentials `client` carries, with emulated chargers.

        plans_within_s : by the machine's clock, for who acts in real time. In virtual time results would depend on
        what else a busy machine does.
        """
        self._config, self._plans_within_s = config, plans_within_s
        self._places: dict[str, Place] = {}
        self._trader = Trader(
            client,
            config.network,
            self._places,
            offers_before_gate=config.offers_before_gate,
            tariff=config.tariff,
            offers=config.charging == "offered",
            conduct=Conduct(config.strategies),
            delay=RandomDelay(config.delays_within or timedelta(0), config.seed),
            keeps_nomination=config.keeps_nomination,
        )
        self._emulated: dict[str, EmulatedCluster] = {}
        self._breakdowns: list[Breakdowns] = []
        self._cut_off = CutOff(config.faults.market, seed=self._fault_seed)
        self._met: datetime | None = None

    @classmethod
    def build(cls, client: MarketClient, config: Mapping[str, Any]) -> Self:
        """An agent of its table; pydantic.ValidationError for a bad one."""
        return cls(client, AggregatorConfig.model_validate(config))

    @property
    def config(self) -> AggregatorConfig:
        """The table it was built of, with every default filled in."""
        return self._config

    @property
    def emulated(self) -> Mapping[str, EmulatedCluster]:
        """Its chargers by the bus of their site, with all that only an emulator can tell."""
        return self._emulated

    async def cycle(self, now: datetime) -> None:
        """Do what is still to be done on the market, unless it is cut off; twice in a row changes nothing."""
        self._meet(now)
        if not self._cut_off.at(now):
            await self._trader.cycle(now)

    async def control(self, now: datetime) -> None:
        """Setpoints to every plug."""
        self._meet(now)
        for place in self._places.values():
            place.act(now)

    def connections(self) -> Mapping[BusId, int]:
        """What the fuse of each connection point carries [W]."""
        sites = (site for table in self._config.sites for site in table.sites())
        return {site.bus: round(site.fuse_a * WATTS_PER_AMP) for site in sites}

    def drawn_w(self, period: MarketPeriod) -> Mapping[str, FloatArray]:
        """(period,) true mean power at each connection point in periods that are over [W]."""
        return {bus: place.mean_w(period) for bus, place in self._places.items()}

    def drawn_by_phase_w(self, period: MarketPeriod) -> Mapping[str, FloatArray]:
        """(period, 3) the same on L1, L2, L3."""
        return {bus: cluster.by_phase_w(period) for bus, cluster in self._emulated.items()}

    def plug_log(self) -> tuple[PlugMinute, ...]:
        """What every plug was allowed and drew, from one control to the next, in the order of time."""
        return tuple(each for place in self._places.values() for each in place.control.log)

    def plug_ratings_w(self) -> Mapping[str, float]:
        """The most that every plug gives on three phases [W]."""
        sites = [place.site for place in self._places.values()]
        return {plug.id: plug.max_a * WATTS_PER_AMP for site in sites for plug in site.plugs}

    def driver_report(self) -> tuple[DriverOutcome, ...]:
        """What drivers asked for and got, sessions that have begun."""
        return tuple(each for cluster in self._emulated.values() for each in cluster.outcomes())

    def fault_log(self) -> tuple[FaultRecord, ...]:
        """What failed, or is going to: in the order in which it was drawn."""
        return (*(each for own in self._breakdowns for each in own.log), *self._cut_off.log)

    def forget(self, before: datetime) -> None:
        """What plugs did and sessions that were over before; meters are still read for a day."""
        for bus, place in self._places.items():
            place.control.forget(before)
            self._emulated[bus].forget(before, metered_before=before - _READ_LATE)
        for breakdowns in self._breakdowns:
            breakdowns.forget(before)
        self._cut_off.forget(before)

    @property
    def _fault_seed(self) -> int:
        own = self._config.faults.seed
        return self._config.seed if own is None else own

    def _meet(self, now: datetime) -> None:
        """Know the sites, let time pass there until `now`, and know who is going to come to them."""
        if self._met is None:
            for table in self._config.sites:
                for site in table.sites():
                    self._open(table, site, now)
        for bus, cluster in self._emulated.items():
            self._pass(cluster, self._places[bus].connection, now)
        if self._met is None or not self._met <= now < self._met + _NEWS:
            self._met = now
            for breakdowns in self._breakdowns:
                breakdowns.draw(now, until=now + _NEWS)
            coming = MarketPeriod(start=now, resolution=_AHEAD, count=1)
            for bus, place in self._places.items():
                said = announced(place.site, place.pattern, coming, seed=place.seed)
                truth = actual(said, place.pattern, seed=place.seed)
                self._emulated[bus].expect(truth, announced={each.id: each for each in said})
                place.control.expected = said

    @staticmethod
    def _pass(cluster: EmulatedCluster, connection: Connection, now: datetime) -> None:
        """Let time pass at a site until `now`, while what else is behind its meter changes, and is metered there."""
        if not connection.premises.table.empty:
            for minute in connection.premises.minutes(cluster.now, now):
                cluster.advance(minute)
                other_a = connection.other_now_a(minute)
                cluster.plant.load(other_a)
                cluster.observe(other_a)
        cluster.advance(now)

    def _open(self, table: SiteTable, site: Site, now: datetime) -> None:
        config = self._config
        behind, conduct = table.behind(site, seed=config.seed), Conduct(config.strategies)
        connection = Connection(site, config.value, behind, table.prices, conduct=conduct)
        cluster = EmulatedCluster(
            site,
            since=now,
            timing=config.leases.timing,
            behaviour=config.behaviour,
            fails=config.faults.break_sites,
        )
        self._emulated[site.bus] = cluster
        self._breakdowns.append(Breakdowns(cluster, config.faults, seed=self._fault_seed))
        memory = Memory(site, table.sessions, seed=config.seed, days=config.asking.history_days)
        likely = memory.likely if config.asking.kind == "blocks" else None
        control = SiteControl(connection, likely=likely, planner=self._plans())
        self._places[site.bus] = Place(
            connection, table.sessions, config.seed, memory, config.asking, cluster, control, self._plans()
        )

    def _plans(self) -> Plans:
        return OnArrival() if self._config.charging == "on_arrival" else Planner(within_s=self._plans_within_s)
