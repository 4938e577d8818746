"""A study of strategies as its table and report show it: what playing earned, who paid for it, whether it showed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import plotly.graph_objects as go
import pyarrow.parquet as pq

from market.figures.chart import Chart
from market.figures.comparison import SERIES
from market.figures.study_page import STUDY, Column, Row, StudyPage, StudyTable, meanings_of, number
from market.figures.style import frame

STRATEGIES: Final = "results/strategies.parquet"
HONEST: Final = "honest"
_FOOT: Final = "Same days, same drivers, same network. Drivers' waiting is not counted: it costs the player nothing."


@dataclass(frozen=True)
class Strategies:
    """A study's folder. designs, strategies : titles by name. rows : one for each game, see the data dictionary."""

    title: str
    player: str
    designs: Mapping[str, str]
    strategies: Mapping[str, str]
    rows: tuple[Row, ...]

    @classmethod
    def at(cls, folder: Path) -> "Strategies":
        """Read what a study has written."""
        told = json.loads((folder / STUDY).read_text(encoding="utf-8"))
        rows = tuple(pq.read_table(folder / STRATEGIES).to_pylist())
        return cls(told["title"], told["player"], told["designs"], told["strategies"], rows)

    def of(self, design: str) -> list[Row]:
        """The games under one design."""
        return [row for row in self.rows if row["design"] == design]

    def findings(self) -> tuple[str, ...]:
        """What the study says, in sentences."""
        return tuple(self._finding(design) for design in self.designs if self.of(design))

    def _finding(self, design: str) -> str:
        played = [row for row in self.of(design) if row["strategy"] != HONEST]
        if not played:
            return f"{self.designs[design]}: nothing was played."
        best = max(played, key=lambda row: row["gain_eur"])
        caught = [row for row in played if row["flagged"]]
        earning = [row for row in played if row["gain_eur"] > 0]
        unseen = [row for row in earning if not row["flagged"]]
        return (
            f"{self.designs[design]}: {len(earning)} of {len(played)} ways to play earn more than honesty, at most "
            f"{best['gain_eur']:.2f} EUR (“{self.strategies[best['strategy']]}”); the monitoring names "
            f"{len(caught)}{_soonest(caught)}, and {len(unseen)} that earn stay unseen."
        )


def _soonest(caught: Sequence[Row]) -> str:
    return f", the first after {min(row['seen_after'] for row in caught)} deliveries" if caught else ""


def _seen(row: Row) -> str:
    by = {
        "what is drawn": row["overstated"] > 0,
        "asks": row["ask_score"] >= row["threshold"],
        "offers": row["offer_score"] >= row["threshold"],
        "likeness": row["alike"],
    }
    return ", ".join(name for name, named in by.items() if named) or "no"


COLUMNS: Final = (
    number("gain EUR", "what the player is left with more than honestly", "gain_eur"),
    number("paid EUR", "what the player was paid", "paid_eur"),
    number("rivals EUR", "what all others were paid", "rivals_eur"),
    number("DSO EUR", "what the DSO paid", "dso_flexibility_eur"),
    number("DSO more EUR", "what the DSO paid more than when all were honest", "dso_more_eur"),
    number("sold kWh", "what the player sold", "flexible_kwh", ",.0f"),
    number("over min", "minutes of overload, over all elements", "overload_minutes", ",.0f"),
    number("pivotal", "share of needed periods in which nobody can do without the player", "pivotal_index", ".0%"),
    number("ask z", "how much dearer it asks where it is pivotal", "ask_score", ".1f"),
    number("offer z", "how much less it offers where it is pivotal", "offer_score", ".1f"),
    number("inflated W", "the most that its nominations rise with an award; names nobody", "inflation_w", ",.0f"),
    number("not drawn %", "most of what it nominates where nothing is ordered", "overstatement", ".0f", per_unit=0.01),
    Column("seen by", "what of the platform's monitoring names the player", _seen),
    number("after", "deliveries, and after every later one", "seen_after", ".0f"),
    number("others", "participants that it names wrongly", "wrongly_flagged", ".0f"),
)


def strategy_charts(study: Strategies) -> tuple[Chart, ...]:
    """What each way to play earns the player, and costs the DSO, under each design."""
    return (
        Chart.of(
            "gain",
            "What playing earns",
            "More than honestly under the same design; striped where the monitoring names the player.",
            _bars(study, "gain_eur", "gain of the player [EUR]"),
        ),
        Chart.of(
            "dso",
            "What it costs the DSO",
            "More than when all are honest under the same design.",
            _bars(study, "dso_more_eur", "the DSO pays more [EUR]"),
        ),
    )


def strategies_page(folder: Path) -> StudyPage:
    """What a study's folder has to say, from its tables."""
    study = Strategies.at(folder)
    found = {title: study.of(design) for design, title in study.designs.items()}
    return StudyPage(
        title=f"{study.title}: what {study.player} gains by playing the market, and whether the monitoring notices",
        findings=study.findings(),
        tables=tuple(
            StudyTable.of(title, "Strategy", COLUMNS, [(study.strategies[row["strategy"]], row) for row in rows])
            for title, rows in found.items()
            if rows
        ),
        meanings=meanings_of(COLUMNS),
        charts=strategy_charts(study),
        foot=_FOOT,
    )


def _bars(study: Strategies, column: str, title: str) -> go.Figure:
    figure = frame(x_title="design of the market", y_title=title, height=380, barmode="group", hovermode="closest")
    names = [name for name in study.strategies if name != HONEST]
    for at, name in enumerate(names):
        rows: Sequence[Row] = [row for row in study.rows if row["strategy"] == name]
        figure.add_bar(
            x=[study.designs[row["design"]] for row in rows],
            y=[row[column] for row in rows],
            name=study.strategies[name],
            marker={
                "color": SERIES[at % len(SERIES)],
                "pattern": {"shape": ["/" if row["flagged"] else "" for row in rows], "size": 5},
            },
            hovertemplate=f"{study.strategies[name]}: %{{y:,.2f}} EUR<extra></extra>",
        )
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(zeroline=True)
    return figure
