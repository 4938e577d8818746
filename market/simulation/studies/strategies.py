"""One aggregator that plays the market, under several designs of it: what it gains, who pays, and whether it shows.

Every way of playing is compared with the honest one under the same design, on the same days and drivers:

    gain of the player = (payments less cost of its energy) played - (the same) honest

Drivers' waiting is left out of it: it costs the player nothing, which is why it may be played with.
"""

import asyncio
import hashlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from api_spec.baselines import GamingFinding
from api_spec.defects import defects_of
from api_spec.product import Product
from api_spec.surveillance import SurveillanceReport
from api_spec.toml_file import BadFile, read_toml, toml_key
from api_spec.units import Count, Fraction, Message, NonNegative, Real
from market.simulation.measures import Measures
from market.simulation.run import simulate
from market.simulation.scenario import BadScenario, Scenario
from market.simulation.studies.instruments import Name, merged
from market.simulation.versions import versions
from market.simulation.world import DATABASE
from market.store import UnitOfWork, open_engine
from market.workflow.gaming import gaming_report
from market.workflow.surveillance import surveillance_report

SHIPPED: Final = files("market.simulation.studies") / "strategies.toml"
HONEST: Final = "honest"
GAMES: Final = "games"
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
        """What it depends on, in short: the scenario, and the versions of all that it is run with."""
        text = self.scenario.model_dump_json() + self.player + json.dumps(dict(versions()), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def file(self, folder: Path) -> Path:
        """Where what came of it is kept."""
        return folder / GAMES / self.design / f"{self.strategy}.json"


class Played(Message):
    """What came of a game.

    paid_eur : to the player by settlements; energy_eur : what the player paid for the energy it drew. rivals_eur : paid
    to all others. flexible_kwh : sold by the player. inflated, nominated : places of the player whose nominations were
    conspicuous, of all; inflation_w : the largest. pivotal_index, ask_score, offer_score : of the player, see
    api_spec.surveillance. flagged : whether the platform's monitoring named the player at all; wrongly_flagged : other
    participants that it named.
    """

    design: str
    strategy: str
    key: str
    seconds: NonNegative
    measures: Measures
    paid_eur: Real
    energy_eur: Real
    rivals_eur: Real
    flexible_kwh: NonNegative
    nominated: Count
    inflated: Count
    inflation_w: Real
    pivotal_index: Fraction
    ask_score: Real
    offer_score: Real
    flagged: bool
    wrongly_flagged: Count

    @property
    def margin_eur(self) -> float:
        """What is left to the player."""
        return self.paid_eur - self.energy_eur


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
        raise BadScenario(f'scenario "{scenario.name}": no aggregator "{playing}"')
    span = scenario.planned[-1].delivery.end - scenario.delivery.start
    if span > _LONGEST:
        raise BadScenario(f"days: one report of the monitoring reaches over {_LONGEST.days} days")
    names = dict.fromkeys([HONEST, *strategies])
    return tuple(
        Game(design, name, playing, _played(scenario, plays.designs[design], plays.strategies[name], playing))
        for design in designs
        for name in names
    )


def _played(scenario: Scenario, design: Design, play: Play, player: str) -> Scenario:
    entry = scenario.agents[player]
    config = merged(entry.config, {"strategies": list(play.player)})
    try:
        product = Product.model_validate(merged(scenario.product.model_dump(), design.product))
    except ValidationError as failure:
        lines = (f"{toml_key(each.pointer)}: {each.reason}" for each in defects_of(failure, design.product))
        raise BadScenario("\n".join(f"{design.title}: product.{line}" for line in lines)) from failure
    agents = {**scenario.agents, player: entry.model_copy(update={"config": config})}
    return scenario.model_copy(update={"product": product, "agents": agents})


def run_game(game: Game) -> Played:
    """Simulate a game in a folder that is not kept, and ask the platform's monitoring what it has noticed."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="flexmarket-game-") as name:
        folder = Path(name)
        finished = asyncio.run(simulate(game.scenario, folder=folder))
        organisations = {who: fleet.organisation for who, fleet in finished.last.fleets.items()}
        return Played(
            design=game.design,
            strategy=game.strategy,
            key=game.key,
            measures=finished.measures,
            **_money(game, folder),
            **_noticed(game, folder, organisations),
            seconds=round(time.perf_counter() - began, 3),
        )


def _money(game: Game, folder: Path) -> Mapping[str, float]:
    settled = pq.read_table(folder / "results" / "settlement.parquet")
    own = settled.filter(pc.equal(settled["participant"], game.player))
    fleets = pq.read_table(folder / "results" / "fleets.parquet")
    drawn = fleets.filter(pc.equal(fleets["participant"], game.player)).sort_by("start")
    paid, all_paid = (float(pc.sum(table["net_eur"]).as_py() or 0) for table in (own, settled))
    return {
        "paid_eur": paid,
        "rivals_eur": all_paid - paid,
        "energy_eur": _energy_eur(game.scenario, drawn["metered_w"].to_numpy()),
        "flexible_kwh": float(np.abs(own["ordered_w"].to_numpy()).sum()) * game.scenario.delivery.hours / 1e3,
    }


def _energy_eur(scenario: Scenario, drawn_w: np.ndarray) -> float:
    """What energy cost that was drawn in all deliveries, one after another [W]."""
    total, first = 0.0, 0
    for day in scenario.planned:
        own = drawn_w[first : first + day.delivery.count]
        total += scenario.supply.cost_eur(np.nan_to_num(own), day.delivery, zone=scenario.timezone)
        first += day.delivery.count
    return total


def _noticed(game: Game, folder: Path, organisations: Mapping[str, str]) -> dict[str, Any]:
    """What the operator's reports say of the player, and of others."""
    planned = game.scenario.planned
    since, until = planned[0].delivery.start, planned[-1].delivery.end
    engine = open_engine(f"sqlite:///{folder / DATABASE}")
    try:
        with UnitOfWork(engine) as work:
            network = game.scenario.network_name()
            gaming = gaming_report(network, since=since, until=until, work=work)
            watched = surveillance_report(network, since=since, until=until, work=work)
    finally:
        engine.dispose()
    player = organisations[game.player]
    flagged = _flagged(gaming, watched)
    own = [each for each in gaming if each.participant == player]
    supplier = next((each for each in watched.suppliers if each.participant == player), None)
    return {
        "nominated": len(own),
        "inflated": sum(each.verdict == "conspicuous" for each in own),
        "inflation_w": float(max((each.inflation_w for each in own), default=0)),
        "pivotal_index": supplier.pivotal_index if supplier else 0.0,
        "ask_score": supplier.ask_score if supplier else 0.0,
        "offer_score": supplier.offer_score if supplier else 0.0,
        "flagged": player in flagged,
        "wrongly_flagged": len(flagged - {player}),
    }


def _flagged(gaming: Sequence[GamingFinding], watched: SurveillanceReport) -> set[str]:
    """Participants that some report finds conspicuous."""
    nominating = {each.participant for each in gaming if each.verdict == "conspicuous"}
    offering = {each.participant for each in watched.suppliers if each.verdict == "conspicuous"}
    alike = (each for each in watched.similarities if each.verdict == "conspicuous")
    return nominating | offering | {who for each in alike for who in (each.first, each.second)}
