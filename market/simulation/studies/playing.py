"""A game of a study of strategies, simulated: what was paid to whom, and what was noticed."""

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from api_spec.units import NonNegative, Real
from market.figures.strategies import HONEST
from market.ledger.gaming import THRESHOLD
from market.simulation.measures import Measures
from market.simulation.run import simulate
from market.simulation.scenario import Scenario
from market.simulation.studies.folder import write_table, write_words
from market.simulation.studies.monitoring import Noticed, noticed
from market.simulation.studies.pieces import Came
from market.simulation.studies.strategies import Game, Plays
from market.simulation.world import DATABASE


class Played(Came):
    """What came of a game.

    paid_eur : to the player by settlements; energy_eur : what the player paid for the energy it drew. rivals_eur : paid
    to all others. flexible_kwh : sold by the player. noticed : what the monitoring says.
    """

    design: str
    strategy: str
    measures: Measures
    paid_eur: Real
    energy_eur: Real
    rivals_eur: Real
    flexible_kwh: NonNegative
    noticed: Noticed

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands in a table."""
        return self.design, self.strategy

    @property
    def margin_eur(self) -> float:
        """What is left to the player."""
        return self.paid_eur - self.energy_eur


def run_game(game: Game) -> Played:
    """Simulate a game in a folder that is not kept, and ask the platform's monitoring what it has noticed."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="flexmarket-game-") as name:
        folder = Path(name)
        finished = asyncio.run(simulate(game.scenario, folder=folder))
        player = finished.last.fleets[game.player].organisation
        return Played(
            design=game.design,
            strategy=game.strategy,
            key=game.key,
            measures=finished.measures,
            **_money(game, folder),
            noticed=noticed(game.scenario, folder / DATABASE, player=player),
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


def write_strategies(played: Sequence[Played], plays: Plays, scenario: Scenario, player: str, folder: Path) -> None:
    """The table of all games, and the words of the report."""
    write_table(folder, "strategies", strategies_table(played))
    words = {
        "title": scenario.title,
        "player": player,
        "days": scenario.days,
        "designs": {name: each.title for name, each in plays.designs.items()},
        "strategies": {name: each.title for name, each in plays.strategies.items()},
    }
    write_words(folder, words)


def strategies_table(played: Sequence[Played]) -> pa.Table:
    """One row for each game, compared with the honest one under the same design."""
    honest = {each.design: each for each in played if each.strategy == HONEST}
    told = [name for name in Played.model_fields if name not in ("key", "measures", "noticed", "seconds")]
    rows = []
    for each in played:
        other = honest.get(each.design)
        if other is None:
            continue
        more = each.measures.dso_flexibility_eur - other.measures.dso_flexibility_eur
        compared = {"gain_eur": each.margin_eur - other.margin_eur, "dso_more_eur": more, "threshold": THRESHOLD}
        own = {name: getattr(each, name) for name in told} | each.noticed.model_dump()
        rows.append(own | compared | each.measures.model_dump())
    table = pa.Table.from_pylist(rows)
    # Where nobody is seen, rows do not tell its type.
    kinds = {"seen_after": pa.int64()}
    return table.cast(pa.schema([each.with_type(kinds.get(each.name, each.type)) for each in table.schema]))
