"""The study of observability for people: the same columns at the terminal and in a report of one file.

Of several seeds, mean and standard deviation. What is compared with another degree is compared with it under the same
seed: the same days and drivers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import plotly.graph_objects as go
import pyarrow.parquet as pq

from market.figures.chart import Chart
from market.figures.study import Spread
from market.figures.study_page import STUDY, Column, StudyPage, StudyTable, meanings_of
from market.figures.style import frame

TABLE: Final = "results/observability.parquet"
_PLACE: Final = ("degree", "seed")
Run: TypeAlias = Mapping[str, Any]
"""A row of the table: a degree under one seed."""


@dataclass(frozen=True, eq=False)
class Row:
    """A degree, or two of them compared. figures : over all seeds, by column of the table."""

    title: str
    figures: Mapping[str, Spread]


def _figure(heading: str, meaning: str, name: str, form: str, *, per_unit: float = 1.0) -> Column[Row]:
    return Column(heading, meaning, lambda row: row.figures[name].text(form, per_unit=per_unit))


COLUMNS: Final = (
    _figure("known %", "bus-periods of the week before that the DSO knows anything of", "known", ".0f", per_unit=0.01),
    _figure("estimate kW", "what it is off by there, root mean square", "estimate_error_w", ".2f", per_unit=1e3),
    _figure(
        "forecast kW", "what its forecast of a bus is off by, root mean square", "forecast_error_w", ".2f", per_unit=1e3
    ),
    _figure(
        "bias kW", "what its forecast of the whole network is too high by, mean", "forecast_bias_w", ".1f", per_unit=1e3
    ),
    _figure("requests", "that it posts", "requests", ".0f"),
    _figure("requested kWh", "by which it expects its limits to be exceeded", "requested_kwh", ",.0f"),
    _figure("bought kWh", "what it buys", "bought_kwh", ",.0f"),
    _figure("cost EUR", "what it pays", "cost_eur", ",.2f"),
    _figure("load %", "highest current over its rating, as drawn", "peak_loading", ".1f", per_unit=0.01),
    _figure("over min", "minutes of overload as drawn, over all elements", "overload_minutes", ",.0f"),
    _figure("volt min", "minutes outside of the voltage band as drawn, over all buses", "voltage_minutes", ",.0f"),
    _figure("unmet kWh", "what drivers lack at departure", "unmet_kwh", ".1f"),
)
_FOOT: Final = (
    "Same days, drivers, network and weather. Everything as drawn is AC power flow of what was really drawn. "
    "Of several seeds: mean ± standard deviation."
)
_BARS: Final = (
    ("bought", "What the DSO buys", "bought_kwh", 1.0, "energy [kWh]"),
    ("cost", "What it pays", "cost_eur", 1.0, "money [EUR]"),
    ("overload", "Overloads that remain", "overload_minutes", 1.0, "element minutes"),
    ("voltage", "Voltages that remain outside", "voltage_minutes", 1.0, "bus minutes"),
    ("forecast", "How far forecasts are off", "forecast_error_w", 1e3, "root mean square of a bus [kW]"),
    ("estimate", "How far what it takes for drawn is off", "estimate_error_w", 1e3, "root mean square of a bus [kW]"),
)


def observability_page(folder: Path) -> StudyPage:
    """What a study's folder has to say, from its table."""
    told = json.loads((folder / STUDY).read_text(encoding="utf-8"))
    runs: list[Run] = pq.read_table(folder / TABLE).to_pylist()
    rows, against = by_degree(runs, told["degrees"]), compared(runs, told["degrees"])
    tables = [StudyTable.of("", "Degree", COLUMNS, [(row.title, row) for row in rows])]
    if against:
        title = "What is more, or less, than under the degree that it is compared with, on the same days"
        tables.append(StudyTable.of(title, "Degree", COLUMNS, [(row.title, row) for row in against]))
    return StudyPage(
        title=f"{told['title']}: how well the DSO sees it",
        findings=(),
        tables=tuple(tables),
        meanings=meanings_of(COLUMNS),
        charts=tuple(_bars(rows, *each) for each in _BARS),
        foot=_FOOT,
        notes={each["title"]: each["note"] for each in told["degrees"].values() if each["note"]},
    )


def by_degree(runs: Sequence[Run], degrees: Mapping[str, Any]) -> tuple[Row, ...]:
    """Every degree that was run, in the order of the catalogue. degrees : what study.json tells of them."""
    found = {name: [each for each in runs if each["degree"] == name] for name in degrees}
    return tuple(Row(degrees[name]["title"], _spreads(own)) for name, own in found.items() if own)


def compared(runs: Sequence[Run], degrees: Mapping[str, Any]) -> tuple[Row, ...]:
    """Every degree less the one that it is compared with, under the seeds under which both were run."""
    at = {tuple(each[key] for key in _PLACE): each for each in runs}
    found = []
    for name, told in degrees.items():
        pairs = [
            (each, other)
            for each in runs
            if each["degree"] == name and (other := at.get((told["against"], each["seed"]))) is not None
        ]
        if pairs:
            title = f"{told['title']}, less {degrees[told['against']]['title']}"
            found.append(Row(title, _spreads([_less(*pair) for pair in pairs])))
    return tuple(found)


def _less(one: Run, other: Run) -> Run:
    figures = [name for name in one if name not in _PLACE]
    known = {name: None not in (one[name], other[name]) for name in figures}
    return {name: one[name] - other[name] if known[name] else None for name in figures}


def _spreads(runs: Sequence[Run]) -> dict[str, Spread]:
    figures = [name for name in runs[0] if name not in _PLACE]
    return {name: Spread(tuple(each[name] for each in runs if each[name] is not None)) for name in figures}


def _bars(rows: Sequence[Row], key: str, title: str, name: str, per_unit: float, unit: str) -> Chart:
    known = [(row.title, row.figures[name]) for row in rows if row.figures[name].mean is not None]
    figure: go.Figure = frame(x_title="", y_title=unit, height=360)
    means = np.array([spread.mean for _, spread in known], dtype=np.float64) / per_unit
    deviations = np.array([spread.deviation or 0.0 for _, spread in known]) / per_unit
    figure.add_bar(x=[title for title, _ in known], y=means, error_y={"array": deviations, "thickness": 1, "width": 3})
    if not known:
        return Chart.of(key, title, "Nothing is known.", figure)
    (least, low), (most, high) = ((known[at][0], means[at]) for at in (int(means.argmin()), int(means.argmax())))
    return Chart.of(key, title, f"From {low:,.2f} ({least}) to {high:,.2f} ({most}).", figure)
