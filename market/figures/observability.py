"""The study of observability for people: the same columns at the terminal and in a report of one file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import plotly.graph_objects as go
import pyarrow.parquet as pq

from market.figures.chart import Chart
from market.figures.study_page import STUDY, Row, StudyPage, StudyTable, meanings_of, number
from market.figures.style import frame

TABLE: Final = "results/observability.parquet"

COLUMNS: Final = (
    number("known %", "bus-periods of the week before that the DSO knows anything of", "known", ",.0f", per_unit=0.01),
    number("estimate kW", "what it is off by there, root mean square", "estimate_error_w", per_unit=1e3),
    number("forecast kW", "what its forecast of a bus is off by, root mean square", "forecast_error_w", per_unit=1e3),
    number(
        "bias kW",
        "mean of what its forecast of the whole network is too high by",
        "forecast_bias_w",
        ",.1f",
        per_unit=1e3,
    ),
    number("requests", "that it posts", "requests", ",.0f"),
    number("requested kWh", "by which it expects its limits to be exceeded", "requested_kwh", ",.1f"),
    number("bought kWh", "what it buys", "bought_kwh", ",.1f"),
    number("cost EUR", "what it pays", "cost_eur"),
    number("load %", "highest current over its rating, as drawn", "peak_loading", ",.1f", per_unit=0.01),
    number("over min", "minutes of overload as drawn, over all elements", "overload_minutes", ",.0f"),
    number("volt min", "minutes outside of the voltage band as drawn, over all buses", "voltage_minutes", ",.0f"),
    number("min pu", "lowest voltage as drawn", "lowest_voltage_pu", ",.4f"),
    number("unmet kWh", "what drivers lack at departure", "unmet_kwh", ",.1f"),
)
_FOOT: Final = "Same days, drivers, network and weather. Everything as drawn is AC power flow of what was really drawn."
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
    rows: list[Row] = pq.read_table(folder / TABLE).to_pylist()
    return StudyPage(
        title=f"{told['title']}: how well the DSO sees it",
        findings=(),
        tables=(StudyTable.of("", "Degree", COLUMNS, [(row["title"], row) for row in rows]),),
        meanings=meanings_of(COLUMNS),
        charts=tuple(_bars(rows, *each) for each in _BARS),
        foot=_FOOT,
        notes=told["notes"],
    )


def _bars(rows: Sequence[Row], key: str, title: str, name: str, per_unit: float, unit: str) -> Chart:
    known = [each for each in rows if each[name] is not None]
    figure: go.Figure = frame(x_title="", y_title=unit, height=360)
    figure.add_bar(x=[each["title"] for each in known], y=[each[name] / per_unit for each in known])
    if not known:
        return Chart.of(key, title, "Nothing is known.", figure)
    least, most = (find(known, key=lambda each: each[name]) for find in (min, max))
    summary = (
        f"From {least[name] / per_unit:,.2f} ({least['title']}) to {most[name] / per_unit:,.2f} ({most['title']})."
    )
    return Chart.of(key, title, summary, figure)
