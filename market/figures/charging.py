"""What plugs were told and what they drew."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from market.figures.local_time import TimeAxis
from market.figures.prices import natural
from market.figures.style import ACTUAL, BEFORE, DRAWN, SETPOINT, colour_axis, time_frame


def setpoint_against_metered(
    axis: TimeAxis, *, setpoint: ArrayLike, metered: ArrayLike, quantity: str, unit: str
) -> go.Figure:
    """Setpoint (orange steps) and metered value (green area) of one plug, or of many together; each (period,)."""
    figure = time_frame(axis, y_title=f"{quantity} [{unit}]")
    times = _evenly(axis)
    hover = f"%{{y:,.1f}} {unit}"
    figure.add_scatter(
        **times,
        y=_compact(metered),
        name="metered",
        line={"color": ACTUAL, "width": 1, "shape": "hv"},
        fill="tozeroy",
        fillcolor="rgba(18, 165, 148, 0.22)",
        hovertemplate=hover,
    )
    figure.add_scatter(
        **times,
        y=_compact(setpoint),
        name="setpoint",
        line={"color": SETPOINT, "width": 1.5, "shape": "hv"},
        hovertemplate=hover,
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def plug_map(axis: TimeAxis, metered: Mapping[str, ArrayLike], *, quantity: str, unit: str) -> go.Figure:
    """Heat map of what every plug drew: who charged when."""
    plugs = sorted(metered, key=natural)
    values = np.array([np.asarray(metered[plug], dtype=np.float32) for plug in plugs])
    figure = time_frame(
        axis,
        y_title="plug",
        height=120 + max(200, min(16 * len(plugs), 900)),
        **colour_axis(title=f"{quantity} [{unit}]", lowest=0.0, highest=float(np.nanmax(values)), rising=DRAWN),
    )
    hover = f"plug %{{y}}<br>%{{x|%a %H:%M}}: %{{z:.1f}} {unit}<extra></extra>"
    figure.add_heatmap(**_evenly(axis, half=True), y=plugs, z=values, coloraxis="coloraxis", hovertemplate=hover)
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(type="category", autorange="reversed", tickfont={"size": 10}, showgrid=False)
    figure.update_xaxes(showgrid=False)
    return figure


def plan_against_metered(
    axis: TimeAxis, *, baseline_kw: ArrayLike, awarded_kw: ArrayLike, metered_kw: ArrayLike
) -> go.Figure:
    """An aggregator's delivery: baseline (grey), what the award leaves of it (orange), metered (green) [kW]."""
    figure = time_frame(axis, y_title="power [kW]")
    base = np.asarray(baseline_kw, dtype=float)
    series: Sequence[tuple[str, str, np.ndarray]] = (
        ("baseline", BEFORE, base),
        ("baseline and award", SETPOINT, base + np.asarray(awarded_kw, dtype=float)),
        ("metered", ACTUAL, np.asarray(metered_kw, dtype=float)),
    )
    for name, colour, values in series:
        figure.add_scatter(
            x=list(axis.edges),
            y=np.append(values, values[-1]),
            name=name,
            mode="lines",
            line={"color": colour, "shape": "hv", "width": 2},
            hovertemplate="%{y:,.1f} kW",
        )
    return figure


def _evenly(axis: TimeAxis, *, half: bool = False) -> dict[str, object]:
    """Start and step of an even axis, which keeps a day of minutes small; `half` for cells, which have a middle."""
    step = (axis.end - axis.starts[0]) / len(axis.starts)
    first = axis.starts[0] + (step / 2 if half else step * 0)
    return {"x0": first.isoformat(), "dx": step.total_seconds() * 1e3, **({} if half else {"mode": "lines"})}


def _compact(values: ArrayLike) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)
