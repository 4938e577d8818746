"""One aggregator that plays the market, under several designs of it: what it gains, who pays, and whether it shows.

Every way of playing is compared with the honest one under the same design, on the same days and drivers:

    gain of the player = (payments less cost of its energy) played - (the same) honest

Drivers' waiting is left out of it: it costs the player nothing, which is why it may be played with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from api_spec.defects import defects_of, unknown
from api_spec.product import Product
from api_spec.toml_file import BadFile, read_toml, toml_key
from api_spec.units import Message
from market.figures.strategies import HONEST
from market.simulation.checking import Checks
from market.simulation.scenario import BadScenario, Scenario
from market.simulation.studies.instruments import Name, merged
from market.simulation.studies.pieces import key_of

SHIPPED: Final = files("market.simulation.studies") / "strategies.toml"
GAMES: Final = "games"
_TABLE: Final = "strategies"
"""Of an aggregator's own table: how it plays the market."""
_LONGEST: Final = timedelta(days=31)
"""The span of one surveillance report."""


class Design(Message):
    """What a market design changes of the product."""

    title: Annotated[str, Field(min_length=1, max_length=60)]
    product: dict[str, Any] = Field(default_factory=dict)


class Play(Message):
    """A way to play. player : the `strategies` of the player's table; none for the honest one."""

    title: Annotated[str, Field(min_length=1, max_length=60)]
    player: tuple[dict[str, Any], ...] = ()


class Plays(Message):
    """Designs and ways to play, in the order of tables and reports."""

    designs: Annotated[dict[Name, Design], Field(min_length=1, max_length=20)]
    strategies: Annotated[dict[Name, Play], Field(min_length=1, max_length=20)]


@dataclass(frozen=True)
class Game:
    """What is to be run."""

    design: str
    strategy: str
    player: str
    scenario: Scenario

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands in a table."""
        return self.design, self.strategy

    @property
    def key(self) -> str:
        """What it depends on, in short."""
        return f"{self.player}-{key_of(self.scenario)}"

    def file(self, folder: Path) -> Path:
        """Where what came of it is kept."""
        return folder / GAMES / self.design / f"{self.strategy}.json"


def read_plays(file: Path | None = None) -> Plays:
    """What ships with flexmarket, or what a file says; BadScenario says what is wrong at which key."""
    source: Path | Traversable = file or SHIPPED
    try:
        found = read_toml(source, Plays)
    except BadFile as failure:
        raise BadScenario(str(failure)) from failure
    if HONEST not in found.strategies or found.strategies[HONEST].player:
        raise BadScenario(f'{source}: needs a strategy "{HONEST}" that plays nothing, to compare with')
    return found


def games_of(
    scenario: Scenario, plays: Plays, *, player: str | None = None, designs: Sequence[str], strategies: Sequence[str]
) -> tuple[Game, ...]:
    """Every way to play under every design, the honest one always; BadScenario before anything is run.

    player : the aggregator that plays; absent = the scenario's first one.
    """
    aggregators = [name for name, entry in scenario.agents.items() if entry.role == "aggregator"]
    playing = player or next(iter(aggregators), "")
    if playing not in aggregators:
        where = f'in scenario "{scenario.name}"'
        raise BadScenario(f"player: {unknown('aggregator', playing, aggregators, where)}")
    span = scenario.planned[-1].delivery.end - scenario.delivery.start
    if span > _LONGEST:
        raise BadScenario(f"days: one report of the monitoring reaches over {_LONGEST.days} days")
    checks = Checks(Path())
    under = {name: _designed(scenario, plays.designs[name], name) for name in designs}
    return tuple(
        Game(design, name, playing, _played(under[design], plays.strategies[name].player, name, playing, checks))
        for design in designs
        for name in dict.fromkeys([HONEST, *strategies])
    )


def _designed(scenario: Scenario, design: Design, name: str) -> Scenario:
    try:
        product = Product.model_validate(merged(scenario.product.model_dump(), design.product))
    except ValidationError as failure:
        lines = (f"{toml_key(each.pointer)}: {each.reason}" for each in defects_of(failure, design.product))
        raise BadScenario("\n".join(f"designs.{name}.product.{line}" for line in lines)) from failure
    return scenario.model_copy(update={"product": product})


def _played(
    scenario: Scenario, playing: tuple[dict[str, Any], ...], name: str, player: str, checks: Checks
) -> Scenario:
    """The scenario in which this aggregator plays so, all of whose agents have been built once."""
    entry = scenario.agents[player]
    own = {key: value for key, value in entry.config.items() if key != _TABLE}
    config = own | {_TABLE: list(playing)} if playing else own
    agents = {**scenario.agents, player: entry.model_copy(update={"config": config})}
    found = scenario.model_copy(update={"agents": agents})
    try:
        checks.filled(found)
    except BadScenario as failure:
        # Its own pointer, for what the file of plays says.
        text = str(failure).replace(f"agents.{player}.config.{_TABLE}", f"strategies.{name}.player")
        raise BadScenario(text) from failure
    return found
