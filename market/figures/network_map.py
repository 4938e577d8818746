"""The network as a map through time: buses in the colour of a value, lines in the colour of how full they are."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from api_spec.grid import Network
from market.figures.local_time import TimeAxis
from market.figures.one_line import Diagram, Point, one_line
from market.figures.style import AFTER, BEFORE, LIMIT, SETPOINT, colour_axis, frame

CLASSES: Final[tuple[tuple[float, str, str, float], ...]] = (
    (0.5, "up to 50 %", BEFORE, 1.5),
    (0.8, "up to 80 %", AFTER, 2.5),
    (1.0, "up to 100 %", SETPOINT, 4.0),
    (np.inf, "above its rating", LIMIT, 6.0),
)
"""How full an element is: up to which share of its rating, in words, colour, width [px]."""
_NOT_RATED: Final = 0.0
_LANE_PX: Final = 46
_STEPS: Final = 100


def network_map(
    network: Network,
    axis: TimeAxis,
    *,
    values: Mapping[str, ArrayLike],
    loading: Mapping[str, ArrayLike],
    quantity: str,
    unit: str,
    places: int = 2,
    first: int = 0,
) -> go.Figure:
    """A map with a slider over the periods of `axis`; it opens at period `first`.

    values : by bus, each (period,) of `quantity` in `unit`. loading : by element, each (period,), 1 = at its rating,
    nan or left out where it has none. Of more than a hundred periods every second, third, ... is shown.
    """
    diagram = one_line(network)
    buses, elements = list(diagram.buses), list(diagram.elements)
    periods = len(axis.starts)
    of_bus = _rows(values, buses, periods)
    of_element = np.nan_to_num(_rows(loading, elements, periods), nan=_NOT_RATED)
    step = -(-periods // _STEPS)
    shown = range(first % step, periods, step)

    figure = frame(
        x_title="elements from the source",
        y_title="",
        height=190 + _LANE_PX * min(max(diagram.lanes, 4), 24),
        hovermode="closest",
        **_colours(of_bus, f"{quantity} [{unit}]"),
    )
    for (_, words, colour, width), way in zip(CLASSES, _by_class(diagram, of_element[:, first]), strict=True):
        line = {"color": colour, "width": width}
        figure.add_scatter(**way, mode="lines", name=words, line=line, hoverinfo="skip")
    figure.add_scatter(**_middles(diagram, elements), **_element_hover(elements, of_element[:, first]))
    figure.add_scatter(
        x=[diagram.buses[bus][0] for bus in buses],
        y=[diagram.buses[bus][1] for bus in buses],
        text=buses,
        mode="markers",
        showlegend=False,
        marker={"size": 15, "color": of_bus[:, first], "coloraxis": "coloraxis", "line": {"width": 1}},
        hovertemplate=f"%{{text}}: %{{marker.color:,.{places}f}} {unit}<extra></extra>",
    )
    figure.frames = [_frame(axis, at, diagram, of_bus[:, at], of_element[:, at], places) for at in shown]
    figure.update_layout(sliders=[_slider(axis, shown, first)], margin_b=104)
    furthest = max(x for x, _ in diagram.buses.values())
    figure.update_xaxes(showgrid=False, dtick=max(1, int(furthest) // 12), range=[-0.5, furthest + 0.5])
    figure.update_yaxes(visible=False, autorange="reversed")
    return figure


def _rows(series: Mapping[str, ArrayLike], names: Sequence[str], periods: int) -> np.ndarray:
    nothing = np.full(periods, np.nan)
    return np.array([np.asarray(series.get(name, nothing), dtype=float) for name in names]).reshape(-1, periods)


def _colours(of_bus: np.ndarray, title: str) -> dict[str, Any]:
    low, high = float(np.nanmin(of_bus)), float(np.nanmax(of_bus))
    colours = colour_axis(title=title, lowest=low, highest=high)
    if low > 0:
        # From the lowest value on: voltages and prices far above zero would all have one colour.
        colours["coloraxis"] |= {"cmin": low, "cmax": max(high, low + 1e-6)}
    return colours


def _by_class(diagram: Diagram, loading: np.ndarray) -> list[dict[str, list[float | None]]]:
    """The lines of each class, as coordinates with gaps between them."""
    ways = list(diagram.elements.values())
    at = np.searchsorted([limit for limit, *_ in CLASSES], loading)
    return [_lines([ways[each] for each in np.flatnonzero(at == number)]) for number in range(len(CLASSES))]


def _lines(ways: Sequence[tuple[Point, ...]]) -> dict[str, list[float | None]]:
    x: list[float | None] = []
    y: list[float | None] = []
    for way in ways:
        x += [*(point[0] for point in way), None]
        y += [*(point[1] for point in way), None]
    return {"x": x, "y": y}


def _middles(diagram: Diagram, elements: Sequence[str]) -> dict[str, list[float]]:
    ends = [diagram.elements[each][-2:] for each in elements]
    return {axis: [(a[at] + b[at]) / 2 for a, b in ends] for at, axis in enumerate(("x", "y"))}


def _element_hover(elements: Sequence[str], loading: np.ndarray) -> dict[str, Any]:
    return {
        "mode": "markers",
        "text": elements,
        "customdata": _share(loading),
        "showlegend": False,
        "marker": {"size": 12, "opacity": 0},
        "hovertemplate": "%{text}: %{customdata:.1%} of its rating<extra></extra>",
    }


def _share(loading: np.ndarray) -> list[float]:
    return [round(each, 4) for each in loading.tolist()]


def _frame(
    axis: TimeAxis, at: int, diagram: Diagram, of_bus: np.ndarray, of_element: np.ndarray, places: int
) -> go.Frame:
    lines = [{"type": "scatter", **way} for way in _by_class(diagram, of_element)]
    middles = {"type": "scatter", "customdata": _share(of_element)}
    buses = {"type": "scatter", "marker": {"color": [round(each, places + 1) for each in of_bus.tolist()]}}
    return go.Frame(name=_name(axis, at), data=[*lines, middles, buses], traces=list(range(len(lines) + 2)))


def _slider(axis: TimeAxis, shown: Sequence[int], first: int) -> dict[str, Any]:
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    names = [_name(axis, at) for at in shown]
    return {
        "active": list(shown).index(first),
        "currentvalue": {"prefix": f"{axis.title}: "},
        "pad": {"t": 44},
        "steps": [{"label": name, "method": "animate", "args": [[name], at_once]} for name in names],
    }


def _name(axis: TimeAxis, at: int) -> str:
    return f"{axis.starts[at]:%a %H:%M}"
