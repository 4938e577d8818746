"""Colours with a fixed meaning, and the common frame of every figure.

Every colour is a middle tone that reads on white and on near-black alike. What has to differ between the two (ink, grid
lines, the colour scale of the heat maps) is set by the page that draws the figure, see `assets/figures.js`.
"""

from collections.abc import Mapping
from typing import Any, Final

import plotly.graph_objects as go

from market.figures.local_time import TimeAxis

BEFORE: Final = "#8b93a1"
AFTER: Final = "#2f7ed8"
ACTUAL: Final = "#12a594"
LIMIT: Final = "#d63b3b"
SETPOINT: Final = "#e07b28"
NOT_ACCEPTED: Final = "rgba(139, 147, 161, 0.35)"

PRICE_PARTS: Final[Mapping[str, str]] = {
    "energy": "#7a869a",
    "losses": "#1f9e89",
    "congestion": "#e07b28",
    "voltage": "#9a5fd0",
    "unbalance": "#d1598c",
}

INK: Final = "ink"
"""`meta` of a trace that is to be drawn in the text colour of the page."""

RISING: Final[Mapping[str, list[str]]] = {
    "light": ["#eef3fa", "#c3d8f0", "#86b2e3", "#4a86cf", "#7d4fa8", "#b3286a", "#7c0a2e"],
    "dark": ["#1b2430", "#1f3f66", "#2b68ad", "#5b8fe0", "#b07fd6", "#f0739f", "#ffd0c2"],
}
DRAWN: Final[Mapping[str, list[str]]] = {
    "light": ["#f1f5f4", "#b5e0d9", "#5fc0b1", "#12a594", "#0b5e55"],
    "dark": ["#1a222a", "#14504a", "#12857a", "#2fc4b2", "#b9f2e8"],
}
_BOTH_WAYS: Final = {
    "light": ["#0b6e63", "#5bb5a8", "#f3f4f6", "#e9a06a", "#a63a10"],
    "dark": ["#7fe0d2", "#2a8579", "#1f2630", "#b8652c", "#ffc79a"],
}
_PLAIN: Final[Mapping[str, Any]] = {}
_FONT: Final = 'system-ui, -apple-system, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif'


def frame(
    *, x_title: str, y_title: str, height: int = 340, x_axis: Mapping[str, Any] = _PLAIN, **layout: Any
) -> go.Figure:
    """An empty figure: titles with units on both axes, legend above, one hover label for all series."""
    axis = {"zeroline": False, "automargin": True}
    # One call with everything and an empty template: plotly's default one takes longer than all the rest.
    whole = {
        "template": {},
        "height": height,
        "margin": {"l": 64, "r": 16, "t": 36, "b": 52},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 13},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "x unified",
        "xaxis": {"title": {"text": x_title, "standoff": 8}, **axis, **x_axis},
        "yaxis": {"title": {"text": y_title, "standoff": 8}, **axis},
    }
    return go.Figure(layout=whole | layout)


def time_frame(axis: TimeAxis, *, y_title: str, height: int = 340, **layout: Any) -> go.Figure:
    """An empty figure over time: hours below, the date where it changes."""
    clock = {
        "type": "date",
        "tickformat": "%H:%M\n%a %-d %b",
        "hoverformat": "%a %H:%M",
        "range": [axis.starts[0], axis.end],
    }
    return frame(x_title=axis.title, y_title=y_title, height=height, x_axis=clock, **layout)


def colour_axis(
    *, title: str, lowest: float, highest: float, rising: Mapping[str, list[str]] = RISING
) -> dict[str, Any]:
    """A colour axis with a scale per theme: `rising`, or diverging around 0 where there are negative values.

    Returns the part of a layout that holds it (`coloraxis`, and `meta` for the drawing page).
    """
    diverging = lowest < 0
    scales = _BOTH_WAYS if diverging else rising
    reach = max(abs(lowest), abs(highest), 1e-9)
    return {
        "coloraxis": {
            "cmin": -reach if diverging else 0.0,
            "cmax": reach,
            "colorscale": graded(scales["light"]),
            "colorbar": {"title": {"text": title, "side": "right"}, "thickness": 12, "outlinewidth": 0},
        },
        "meta": {"colorscale": {theme: graded(colours) for theme, colours in scales.items()}},
    }


def graded(colours: list[str]) -> list[list[float | str]]:
    """Colours at equal distances from 0 to 1, as plotly words a scale."""
    return [[at / (len(colours) - 1), colour] for at, colour in enumerate(colours)]
