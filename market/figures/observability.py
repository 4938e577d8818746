"""The study of observability for people: the same columns at the terminal and in a report of one file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import plotly.graph_objects as go
import pyarrow.parquet as pq

from market.figures.chart import Chart
from market.figures.page import write_page
from market.figures.style import frame

TABLE: Final = "results/observability.parquet"
Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """heading : with its unit. name : of the table's column; what is shown is its value over `per_unit`."""

    heading: str
    meaning: str
    name: str
    form: str = ",.1f"
    per_unit: float = 1.0

    def text(self, row: Row) -> str:
        """What stands there for a degree; nothing where nothing is known."""
        value = row[self.name]
        return "" if value is None else f"{value / self.per_unit:{self.form}}"


COLUMNS: Final = (
    Column("known %", "bus-periods of the week before that the DSO knows anything of", "known", ",.0f", 0.01),
    Column("estimate kW", "what it is off by there, root mean square", "estimate_error_w", ",.2f", 1e3),
    Column("forecast kW", "what its forecast of a bus is off by, root mean square", "forecast_error_w", ",.2f", 1e3),
    Column("bias kW", "mean of what its forecast of the whole network is too high by", "forecast_bias_w", ",.1f", 1e3),
    Column("requests", "that it posts", "requests", ",.0f"),
    Column("requested kWh", "by which it expects its limits to be exceeded", "requested_kwh"),
    Column("bought kWh", "what it buys", "bought_kwh"),
    Column("cost EUR", "what it pays", "cost_eur", ",.2f"),
    Column("load %", "highest current over its rating, as drawn", "peak_loading", ",.1f", 0.01),
    Column("over min", "minutes of overload as drawn, over all elements", "overload_minutes", ",.0f"),
    Column("volt min", "minutes outside of the voltage band as drawn, over all buses", "voltage_minutes", ",.0f"),
    Column("min pu", "lowest voltage as drawn", "lowest_voltage_pu", ",.4f"),
    Column("unmet kWh", "what drivers lack at departure", "unmet_kwh"),
)
_BARS: Final = (
    ("bought", "What the DSO buys", "bought_kwh", 1.0, "energy [kWh]"),
    ("cost", "What it pays", "cost_eur", 1.0, "money [EUR]"),
    ("overload", "Overloads that remain", "overload_minutes", 1.0, "element minutes"),
    ("voltage", "Voltages that remain outside", "voltage_minutes", 1.0, "bus minutes"),
    ("forecast", "How far forecasts are off", "forecast_error_w", 1e3, "root mean square of a bus [kW]"),
    ("estimate", "How far what it takes for drawn is off", "estimate_error_w", 1e3, "root mean square of a bus [kW]"),
)


def write_observability_report(folder: Path, *, title: str, notes: Mapping[str, str]) -> Path:
    """Write `report.html` into a study's folder from its table. notes : what each degree is, by its title."""
    rows: list[Row] = pq.read_table(folder / TABLE).to_pylist()
    charts = [_bars(rows, *each) for each in _BARS]
    return write_page(folder, "observability.html", title=title, rows=rows, notes=notes, columns=COLUMNS, charts=charts)


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
