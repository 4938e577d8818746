"""Economic frameworks for the use of a network, each as what it changes in a scenario; see instruments.toml."""

from collections.abc import Mapping
from functools import reduce
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, ValidationError, model_validator

from api_spec.defects import Place, defects_of, refuse, unknown
from api_spec.product import Product
from api_spec.toml_file import BadFile, read_toml, toml_key
from api_spec.units import Message
from market.simulation.checking import Checks
from market.simulation.instruments import ContractTable, TariffTable
from market.simulation.scenario import AgentEntry, BadScenario, Scenario

SHIPPED: Final = files("market.simulation.studies") / "instruments.toml"
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class Instrument(Message):
    """What a framework changes in a scenario.

    dso, aggregators : keys of the tables of every DSO's and every aggregator's agent; tables in them are merged.
    product : of the product. tariffs, contracts : tables of the scenario; one of the same name is replaced. combines :
    instruments that come first, in this order.
    """

    title: Annotated[str, Field(min_length=1, max_length=60)]
    note: str = ""
    combines: tuple[Name, ...] = ()
    dso: dict[str, Any] = Field(default_factory=dict)
    aggregators: dict[str, Any] = Field(default_factory=dict)
    product: dict[str, Any] = Field(default_factory=dict)
    tariffs: dict[str, TariffTable] = Field(default_factory=dict)
    contracts: dict[str, ContractTable] = Field(default_factory=dict)

    def after(self, other: "Instrument") -> "Instrument":
        """Both together; where both say something, this one counts."""
        both = {name: merged(getattr(other, name), getattr(self, name)) for name in ("dso", "aggregators", "product")}
        tables = {name: {**getattr(other, name), **getattr(self, name)} for name in ("tariffs", "contracts")}
        return self.model_copy(update={**both, **tables, "combines": ()})


class Catalogue(Message):
    """Instruments by their names, in the order of tables and reports."""

    instruments: Annotated[dict[Name, Instrument], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _combines_earlier(self) -> Self:
        defects: list[tuple[Place, str]] = []
        earlier: list[str] = []
        for name, each in self.instruments.items():
            for at, other in enumerate(each.combines):
                if other not in earlier:
                    reason = unknown("instrument", other, earlier, "above it")
                    defects.append((("instruments", name, "combines", at), reason))
            earlier.append(name)
        refuse("Catalogue", defects)
        return self

    def instrument(self, name: str) -> Instrument:
        """One of them, with all that it combines; KeyError for a name that is not there."""
        own = self.instruments[name]
        return reduce(lambda before, each: each.after(before), [*map(self.instrument, own.combines), own])


def read_catalogue(file: Path | None = None) -> Catalogue:
    """The instruments that ship with flexmarket, or those of a file; BadScenario says what is wrong at which key."""
    source: Path | Traversable = file or SHIPPED
    try:
        return read_toml(source, Catalogue)
    except BadFile as failure:
        raise BadScenario(str(failure)) from failure


def on(scenario: Scenario, instrument: Instrument) -> Scenario:
    """The scenario under an instrument; BadScenario where the two do not go together."""
    document = {
        **{name: getattr(scenario, name) for name in Scenario.model_fields},
        "agents": {name: _instructed(entry, instrument) for name, entry in scenario.agents.items()},
        "tariffs": {**scenario.tariffs, **instrument.tariffs},
        "contracts": {**scenario.contracts, **instrument.contracts},
    }
    try:
        document["product"] = Product.model_validate(merged(scenario.product.model_dump(), instrument.product))
        return Scenario.model_validate(document)
    except ValidationError as failure:
        lines = (f"{toml_key(each.pointer)}: {each.reason}" for each in defects_of(failure, document))
        raise BadScenario("\n".join(f"{instrument.title}: {line}" for line in lines)) from failure


def unanswered(catalogue: Catalogue) -> Catalogue:
    """The same instruments where every fleet charges on arrival: what each costs those who do not answer it."""
    nobody = {"charging": "on_arrival"}
    whole = {name: catalogue.instrument(name) for name in catalogue.instruments}
    alike = {
        name: own.model_copy(update={"aggregators": merged(own.aggregators, nobody)}) for name, own in whole.items()
    }
    return Catalogue(instruments=alike)


def at_penetration(scenario: Scenario, share: float) -> Scenario:
    """The scenario with vehicles at this share of the buses of its homes: the same drivers, in the same order.

    share : 0 to 1, of `buses` of every site table that lists some; sites from files stay as they are. Raises
    BadScenario where no aggregator has such a table.
    """
    agents, found = dict[str, AgentEntry](), False
    for name, entry in scenario.agents.items():
        sites = entry.config.get("sites", ()) if entry.role == "aggregator" else ()
        shared = [{**each, "adoption": share} if each.get("buses") else each for each in sites]
        found = found or any("adoption" in each for each in shared)
        config = {**entry.config, "sites": shared} if shared else entry.config
        agents[name] = entry.model_copy(update={"config": config})
    if not found:
        raise BadScenario(
            f'scenario "{scenario.name}": no aggregator has sites at `buses`, of which a share could be taken'
        )
    return scenario.model_copy(update={"agents": agents})


def seeded(scenario: Scenario, seed: int) -> Scenario:
    """The scenario with a seed in the place of its own and of that of every agent that has one, as in a sweep."""
    tables = Checks(Path()).filled(scenario)["agents"]
    agents = {
        name: entry.model_copy(update={"config": {**entry.config, "seed": seed}})
        if "seed" in tables[name]["config"]
        else entry
        for name, entry in scenario.agents.items()
    }
    return scenario.model_copy(update={"seed": seed, "agents": agents})


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables in one; a table in both is merged in turn, anything else is what `above` says."""
    found = dict(below)
    for key, value in above.items():
        nested = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if nested else value
    return found


def _instructed(entry: AgentEntry, instrument: Instrument) -> AgentEntry:
    own = instrument.dso if entry.role == "dso" else instrument.aggregators
    return entry.model_copy(update={"config": merged(entry.config, own)})
