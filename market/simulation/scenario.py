"""A scenario: what is simulated, as a TOML file."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from api_spec.defects import refuse
from api_spec.period import Instant, MarketPeriod
from api_spec.product import Product
from api_spec.toml_file import BadFile, read_toml
from api_spec.units import Message
from market.errors import FlexmarketError
from market.simulation.agenda import Day, days_of

_FROM_SCENARIO: Final = frozenset({"feeder", "network", "opens"})


class BadScenario(FlexmarketError):
    """A scenario that cannot be simulated; one line for each defect: file, key and reason."""


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
    title : for people. feeder : name of a network that ships with flexmarket. begins : when virtual time starts.
    timezone : whose clock reports show. agents : participants by the name under which they register, at least one DSO.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    title: Annotated[str, Field(min_length=1, max_length=200)] = "A simulated day"
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    feeder: Annotated[str, Field(min_length=1, max_length=100)]
    begins: Instant
    gate_closure: Instant
    delivery: MarketPeriod
    days: Annotated[int, Field(strict=True, ge=1, le=3660)] = 1
    product: Product
    agents: Annotated[dict[str, AgentEntry], Field(min_length=1, max_length=1000)]
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        defects: list[tuple[tuple[str | int, ...], str]] = []
        if self.gate_closure > self.delivery.start:
            defects.append((("gate_closure",), "must not be after the start of delivery"))
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
        refuse("Scenario", defects)
        return self

    @cached_property
    def planned(self) -> tuple[Day, ...]:
        """Its days, in order."""
        return days_of(self.delivery, self.gate_closure, days=self.days, zone=self.zone)

    @property
    def zone(self) -> ZoneInfo:
        """Of `timezone`."""
        return ZoneInfo(self.timezone)

    def table_of(self, name: str) -> dict[str, Any]:
        """What a participant is built of: its own config, and what the scenario says for all.

        A DSO gets `opens` (product, delivery, gate_closure; daily where there are several days), and `feeder` unless it
        knows a load of its own; aggregators get `network`.
        """
        entry = self.agents[name]
        if entry.role == "aggregator":
            return {**entry.config, "network": self.feeder}
        product, delivery = self.product.model_dump(), self.delivery.model_dump()
        opens: dict[str, Any] = {"product": product, "delivery": delivery, "gate_closure": self.gate_closure}
        if self.days > 1:
            opens["daily"] = {"timezone": self.timezone, "days": self.days}
        own = {} if "known_load" in entry.config else {"feeder": self.feeder}
        return {**entry.config, **own, "opens": opens}


def read_scenario(path: Path) -> Scenario:
    """The scenario in a TOML file; BadScenario says what is wrong at which key."""
    try:
        return read_toml(path, Scenario)
    except BadFile as failure:
        raise BadScenario(str(failure)) from failure
