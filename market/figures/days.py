"""A run of several deliveries, day by day."""

from collections.abc import Iterator
from datetime import date, tzinfo

import plotly.graph_objects as go
import pyarrow as pa
from numpy.typing import ArrayLike

from market.figures.chart import Chart
from market.figures.style import AFTER, frame
from market.figures.tidy import titled, words

_FIRST = ("peak_loading", "overload_minutes", "dso_flexibility_eur", "unmet_kwh")
_TICKS = 14
_BARS = 60


def day_by_day(measures: pa.Table, _: tzinfo) -> Iterator[Chart]:
    """Every measure of every delivery; nothing of a run that has only one."""
    if len(measures) < 2:
        return
    days = measures["delivery"].to_pylist()
    loading = measures["peak_loading"].to_pylist()
    worst = days[loading.index(max(loading))]
    others = (name for name in measures.column_names if name not in (*_FIRST, "delivery"))
    names = [*_FIRST, *others]
    yield Chart.choice(
        "days",
        "Day by day",
        f"{len(days)} deliveries, {days[0]} to {days[-1]}. Pictures of a single one are of {worst:%A, %-d %B %Y}, "
        "which has the highest loading.",
        [
            (words(name), measure_by_day(days, measures[name].to_pylist(), title=titled(measures.schema.field(name))))
            for name in names
        ],
    )


def measure_by_day(days: list[date], values: ArrayLike, *, title: str) -> go.Figure:
    """A bar for every delivery; of many a line, which shows what differs between them."""
    dates: dict[str, object] = {"type": "date", "tickformat": "%-d %b\n%Y"}
    if len(days) <= _TICKS:
        dates["dtick"] = 86_400_000  # or a few days get a tick every twelve hours, too
    figure = frame(x_title="delivery", y_title=title, x_axis=dates, bargap=0.15)
    if len(days) <= _BARS:
        figure.add_bar(x=days, y=values, marker={"color": AFTER}, hovertemplate="%{y:,.4~g}")
    else:
        figure.add_scatter(
            x=days,
            y=values,
            mode="lines+markers",
            line={"color": AFTER, "width": 1},
            marker={"size": 3},
            hovertemplate="%{y:,.4~g}",
        )
    return figure
