"""A scenario: what is simulated, as a TOML file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from api_spec.defects import Place, refuse, unknown
from api_spec.file_names import file_places, with_names
from api_spec.metering import Calendar
from api_spec.period import Duration, Instant, MarketPeriod
from api_spec.product import Product
from api_spec.toml_file import BadFile, read_toml
from api_spec.units import Message
from market.errors import BadScenario, FlexmarketError
from market.network.sources import GridTable, grid_source
from market.network.surroundings import Surroundings, SurroundingsTable
from market.simulation import SCENARIOS
from market.simulation.agenda import MINUTE, Day, days_of
from market.simulation.instruments import ContractTable, SupplyTable, TariffTable, strangers
from market.simulation.metering_table import MeteringTable
from market.simulation.own_code import look_beside
from market.simulation.participant import table_type
from market.simulation.physics import PhysicsTable

__all__ = ["AgentEntry", "BadScenario", "Scenario", "locate_scenario", "read_scenario"]

_FROM_SCENARIO: Final = frozenset({"feeder", "grid", "network", "opens", "surroundings"})


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as failure:
        raise ValueError(f'no time zone "{name}"') from failure
    return name


class AgentEntry(Message):
    """One participant. agent : where its class is, "package.module:Class"; config : the table it is built of."""

    agent: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    role: Literal["dso", "aggregator"]
    config: dict[str, Any] = Field(default_factory=dict)


class Scenario(Message):
    """Simulated deliveries: one, or one a day.

    days : deliveries follow each other between the same local times, of `timezone`, as `delivery` is the first, and
    gates close at the same local time each.
    title : for people. feeder : name of a network that ships with flexmarket; instead of that, grid : one from files or
    of SimBench. begins : when virtual time starts. acts_every : how often agents look at the market, in whole minutes;
    absent = every quarter of an hour, and in every period. Chargers are told every minute all the same.
    timezone : whose clock reports show. agents : participants by the name under which they register, at least one DSO.
    tariffs, contracts, supply : see market.simulation.instruments. surroundings : what else happens on the network.
    physics : how it is computed what really flows. calendar : of the network; absent = UTC, without holidays.
    metering : which instruments the DSO has; absent = none.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    title: Annotated[str, Field(min_length=1, max_length=200)] = "A simulated day"
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    feeder: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    grid: GridTable | None = None
    surroundings: SurroundingsTable | None = None
    physics: PhysicsTable = PhysicsTable()
    metering: MeteringTable | None = None
    begins: Instant
    acts_every: Annotated[Duration, Field(ge=MINUTE)] | None = None
    gate_closure: Instant
    delivery: MarketPeriod
    days: Annotated[int, Field(strict=True, ge=1, le=3660)] = 1
    product: Product
    agents: Annotated[dict[str, AgentEntry], Field(min_length=1, max_length=1000)]
    calendar: Calendar | None = None
    tariffs: Annotated[dict[str, TariffTable], Field(max_length=100)] = Field(default_factory=dict)
    contracts: Annotated[dict[str, ContractTable], Field(max_length=100)] = Field(default_factory=dict)
    supply: SupplyTable = SupplyTable()
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        defects: list[tuple[tuple[str | int, ...], str]] = []
        if (self.feeder is None) == (self.grid is None):
            defects.append((("feeder",), "or grid is needed, and not both"))
        if self.gate_closure > self.delivery.start:
            defects.append((("gate_closure",), "must not be after the start of delivery"))
        if self.delivery.resolution % self.physics.step_of(self.delivery):
            defects.append((("physics", "step"), "must divide the delivery's resolution"))
        if self.acts_every is not None and self.acts_every % MINUTE:
            defects.append((("acts_every",), "must be whole minutes"))
        if self.begins >= self.gate_closure:
            defects.append((("begins",), "must be before gate_closure"))
        try:
            days_of(self.delivery, self.gate_closure, days=min(self.days, 2), zone=self.zone)
        except ValueError as failure:
            defects.append((("days",), str(failure)))
        if not any(each.role == "dso" for each in self.agents.values()):
            defects.append((("agents",), "needs a DSO"))
        for name, entry in self.agents.items():
            given = entry.config.keys() & _FROM_SCENARIO
            defects += [(("agents", name, "config", key), "is what the scenario says") for key in sorted(given)]
        roles = {name: entry.role for name, entry in self.agents.items()}
        defects += strangers(self.tariffs, self.contracts, roles)
        refuse("Scenario", defects)
        return self

    @property
    def planned(self) -> tuple[Day, ...]:
        """Its days, in order."""
        return days_of(self.delivery, self.gate_closure, days=self.days, zone=self.zone)

    @property
    def zone(self) -> ZoneInfo:
        """Of `timezone`."""
        return ZoneInfo(self.timezone)

    @property
    def files(self) -> dict[Place, Path]:
        """The files that it and the tables of its agents name, by the place where they do."""
        named: dict[Place, Path] = {}
        if self.grid is not None:
            named |= {("grid", key): path for key, path in self.grid.files.items()}
        for name, entry in self.agents.items():
            table = table_type(entry.agent) if entry.config else None
            if table is not None:
                named |= {("agents", name, "config", *at): path for at, path in file_places(table, entry.config)}
        return named

    def naming(self, names: Mapping[Place, Path]) -> Self:
        """The same with other names of its files."""
        grid = {str(place[1]): path for place, path in names.items() if place[0] == "grid"}
        own: dict[str, dict[Place, str]] = {name: {} for name in self.agents}
        for place, path in names.items():
            if place[0] == "agents":
                own[str(place[1])][place[3:]] = str(path)
        agents = {
            name: entry.model_copy(update={"config": with_names(entry.config, own[name])})
            for name, entry in self.agents.items()
        }
        return self.model_copy(update={"grid": self.grid and self.grid.model_copy(update=grid), "agents": agents})

    def beside(self, folder: Path) -> Self:
        """The same, with the files that it names as seen from a folder."""
        return self.naming({place: (folder / path).resolve() for place, path in self.files.items()})

    def seen_from(self, folder: Path) -> Self:
        """The same, with the files inside of a folder named as seen from there: what `beside` undoes."""
        own = folder.resolve()
        inside = {place: path for place, path in self.files.items() if path.is_relative_to(own)}
        return self.naming({place: path.relative_to(own) for place, path in inside.items()})

    def network_name(self) -> str:
        """Under which the DSO registers its network."""
        return self.feeder or self.around().network.name

    @property
    def knows_network(self) -> bool:
        """Whether the network is the scenario's: no DSO has one of its own, with a load that it knows."""
        return not any("known_load" in each.config for each in self.agents.values())

    def around(self) -> Surroundings:
        """The network, its load and what else is there; BadScenario where there is none."""
        where = self.feeder or self.grid
        assert where is not None, "one of the two is given"
        try:
            return Surroundings(grid_source(where), self._filled_surroundings())
        except FlexmarketError as failure:
            key = "grid" if self.feeder is None else "feeder"
            raise BadScenario("\n".join(f"{key}: {line}" for line in str(failure).splitlines())) from failure

    def _filled_surroundings(self) -> SurroundingsTable:
        own, dsos = (
            self.surroundings or SurroundingsTable(),
            [each for each in self.agents.values() if each.role == "dso"],
        )
        nominated = tuple(sorted({bus for each in dsos for bus in each.config.get("nominated", ())}))
        return own.model_copy(
            update={
                "seed": self.seed if own.seed is None else own.seed,
                "left_out": nominated if own.left_out is None else own.left_out,
            }
        )

    def table_of(self, name: str) -> dict[str, Any]:
        """What a participant is built of: its own config, and what the scenario says for all.

        A DSO gets `opens` (product, delivery, gate_closure; daily where there are several days), and unless it knows a
        load of its own `feeder` or `grid`, and `surroundings` as anyone can know them; aggregators get `network`.
        """
        entry = self.agents[name]
        if entry.role == "aggregator":
            return {**entry.config, "network": self.network_name()}
        product, delivery = self.product.model_dump(), self.delivery.model_dump()
        opens: dict[str, Any] = {"product": product, "delivery": delivery, "gate_closure": self.gate_closure}
        if self.days > 1:
            opens["daily"] = {"timezone": self.timezone, "days": self.days}
        place: dict[str, Any] = {"feeder": self.feeder} if self.grid is None else {"grid": self.grid.model_dump()}
        if self.surroundings is not None:
            place["surroundings"] = self._filled_surroundings().model_dump()
        own = {} if "known_load" in entry.config else place
        return {**entry.config, **own, "opens": opens}


def read_scenario(path: Path) -> Scenario:
    """The scenario in a TOML file, which names others as seen from its folder; BadScenario says what is wrong where.

    Modules of its agents may lie beside it: from now on they are found there, by processes that are started as well.
    """
    try:
        scenario = read_toml(path, Scenario)
    except BadFile as failure:
        raise BadScenario(str(failure)) from failure
    look_beside(path.parent)
    return scenario.beside(path.parent)


def locate_scenario(file: Path, *, beside: Path = Path()) -> Path:
    """The file of a scenario, or where there is none, the one that ships under the name that it has in its folder.

    beside : that folder. BadScenario lists what ships where it is neither.
    """
    if file.exists():
        return file
    name = file.name if file.resolve().parent == beside.resolve() else str(file)
    shipped = sorted(each.stem for each in SCENARIOS.glob("*.toml"))
    if name not in shipped:
        missing = unknown("scenario", name, shipped, "ships with flexmarket")
        said = f"cannot be read: there is no such file, and {missing}; those that do: {', '.join(shipped)}"
        raise BadScenario(f"{file}: {said}")
    return SCENARIOS / f"{name}.toml"
