"""Nodal prices (DLMP): where and when a MWh more is dear, and what it is made of."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from market.figures.local_time import TimeAxis
from market.figures.style import INK, PRICE_PARTS, colour_axis, time_frame

UNIT = "EUR/MWh"


def price_map(axis: TimeAxis, buses: Sequence[str], prices: ArrayLike, *, name: str = "DLMP") -> go.Figure:
    """Heat map of prices, (bus, period) [EUR/MWh]; buses from top to bottom in their natural order."""
    values = np.asarray(prices, dtype=float)
    order = sorted(range(len(buses)), key=lambda at: natural(buses[at]))
    figure = time_frame(
        axis,
        y_title="bus",
        height=120 + max(240, min(18 * len(buses), 900)),
        **colour_axis(title=f"{name} [{UNIT}]", lowest=float(values.min()), highest=float(values.max())),
    )
    figure.add_heatmap(
        x=list(axis.edges),
        y=[buses[at] for at in order],
        z=values[order],
        coloraxis="coloraxis",
        hovertemplate=f"bus %{{y}}<br>%{{x|%a %H:%M}}: %{{z:,.2f}} {UNIT}<extra></extra>",
    )
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(type="category", autorange="reversed", tickfont={"size": 10}, showgrid=False)
    figure.update_xaxes(showgrid=False)
    return figure


def price_parts(axis: TimeAxis, parts: Mapping[str, ArrayLike], total: ArrayLike) -> go.Figure:
    """Stacked parts of one bus's price per period [EUR/MWh], and their sum as a line.

    parts : each (period,), named as in the contract (energy, losses, congestion, voltage, unbalance); a part that is
    zero all along is left out.
    """
    figure = time_frame(axis, y_title=f"DLMP [{UNIT}]", barmode="relative", bargap=0.0)
    for part, colour in PRICE_PARTS.items():
        values = np.asarray(parts[part], dtype=float)
        if np.any(values):
            hover = f"%{{y:,.2f}} {UNIT}"
            figure.add_bar(
                **axis.bars, y=values, name=part, marker={"color": colour, "line": {"width": 0}}, hovertemplate=hover
            )
    sums = np.asarray(total, dtype=float)
    figure.add_scatter(
        x=list(axis.edges),
        y=np.append(sums, sums[-1]),
        name="total",
        meta=INK,
        mode="lines",
        line={"shape": "hv", "width": 1.5},
        hovertemplate=f"%{{y:,.2f}} {UNIT}",
    )
    figure.update_yaxes(zeroline=True)
    return figure


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts `b2` before `b10`."""
    pieces = re.split(r"(\d+)", name)
    return tuple((0, int(piece), "") if piece.isdigit() else (1, 0, piece.casefold()) for piece in pieces if piece)
