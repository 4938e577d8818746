"""Runs beside each other: a measure over a parameter, for each instrument; over two parameters; one against another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from market.figures.style import LIMIT, colour_axis, frame

SERIES: Final = (
    "#2f7ed8", "#e07b28", "#12a594", "#9a5fd0", "#d1598c", "#7a869a", "#b08b1e", "#3c9a4b", "#c2503a", "#4f6bd6",
    "#8f5a2b", "#1f8fb3", "#a34bb0",
)  # fmt: skip
"""Colours of series that are told apart and mean nothing else; middle tones, as in `style`."""
_DASHES: Final = ("solid", "dash", "dot")


@dataclass(frozen=True)
class Look:
    """How a series is drawn. line : as plotly words it. meta : of the trace, for the page that draws it."""

    line: Mapping[str, object]
    meta: str | None = None


def look(at: int) -> Look:
    """Of the series in this place, when nothing else is told of it."""
    return Look({"color": SERIES[at % len(SERIES)], "dash": _DASHES[at // len(SERIES) % len(_DASHES)], "width": 2})


def measure_over(
    values: Sequence[float],
    series: Mapping[str, ArrayLike],
    *,
    parameter: str,
    measure: str,
    limit: float | None = None,
    looks: Mapping[str, Look] | None = None,
    spread: Mapping[str, ArrayLike] | None = None,
) -> go.Figure:
    """A line for every series over the values of one parameter.

    series : by name, each (value,), nan where a run is missing. parameter, measure : axis titles with their units.
    limit : drawn red and dashed where there is one. looks : of all series, by name; absent = in turn.
    spread : of all series, half the height of a bar at each value, nan for none.
    """
    figure = frame(x_title=parameter, y_title=measure, height=400)
    for at, (name, points) in enumerate(series.items()):
        own = looks[name] if looks else look(at)
        figure.add_scatter(
            x=list(values),
            y=np.asarray(points, dtype=float),
            name=name,
            mode="lines+markers",
            line=own.line,
            meta=own.meta,
            marker={"size": 7},
            hovertemplate="%{y:,.4~g}",
            error_y=_bars(spread[name]) if spread else None,
        )
    if limit is not None:
        figure.add_hline(y=limit, line={"color": LIMIT, "dash": "dash", "width": 1.5})
    figure.update_layout(legend={"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top"})
    return figure


def _bars(spread: ArrayLike) -> dict[str, object] | None:
    """As plotly words them; None where no value has one."""
    half = np.asarray(spread, dtype=float)
    return None if np.isnan(half).all() else {"array": np.nan_to_num(half), "thickness": 1, "width": 3}


def measure_map(
    across: Sequence[object], down: Sequence[object], measure: ArrayLike, *, x_title: str, y_title: str, title: str
) -> go.Figure:
    """A cell for every pair of two parameters' values; measure : (down, across), nan where a run is missing."""
    values = np.asarray(measure, dtype=float)
    figure = frame(
        x_title=x_title,
        y_title=y_title,
        height=160 + max(180, 34 * len(down)),
        hovermode="closest",
        **colour_axis(title=title, lowest=float(np.nanmin(values)), highest=float(np.nanmax(values))),
    )
    figure.add_heatmap(
        x=[str(each) for each in across],
        y=[str(each) for each in down],
        z=values,
        coloraxis="coloraxis",
        hovertemplate=f"{x_title}: %{{x}}<br>{y_title}: %{{y}}<br>{title}: %{{z:,.4~g}}<extra></extra>",
    )
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(type="category", showgrid=False)
    return figure


def trade_off(names: Sequence[str], *, across: ArrayLike, up: ArrayLike, x_title: str, y_title: str) -> go.Figure:
    """A point with its name for every run: one measure against another."""
    figure = frame(x_title=x_title, y_title=y_title, height=400, hovermode="closest", showlegend=False)
    figure.add_scatter(
        x=np.asarray(across, dtype=float),
        y=np.asarray(up, dtype=float),
        text=list(names),
        mode="markers+text",
        textposition="top center",
        cliponaxis=False,
        marker={"size": 11, "color": [SERIES[at % len(SERIES)] for at in range(len(names))]},
        hovertemplate=f"%{{text}}<br>{x_title}: %{{x:,.4~g}}<br>{y_title}: %{{y:,.4~g}}<extra></extra>",
    )
    return figure
