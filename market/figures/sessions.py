"""Who was plugged in where, until when, when they charged, and what of the energy they asked for they got."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa
from numpy.typing import ArrayLike

from market.figures.local_time import TimeAxis
from market.figures.prices import natural
from market.figures.style import ACTUAL, BEFORE, LIMIT, SETPOINT, time_frame

CLASSES: Final = (
    (0.0, 0.01, "got what was asked for", BEFORE),
    (0.01, 0.1, "up to a tenth missing", SETPOINT),
    (0.1, 1.1, "more than a tenth missing", LIMIT),
)
"""Share that is missing: from, below, in words, colour."""


@dataclass(frozen=True)
class Stay:
    """A vehicle at a plug; asked_wh, delivered_wh : what its driver wanted and got [Wh]."""

    plug: str
    arrives: datetime
    departs: datetime
    asked_wh: float
    delivered_wh: float

    @property
    def unmet(self) -> float:
        """The share of the wish that was not met."""
        return max(0.0, 1 - self.delivered_wh / self.asked_wh) if self.asked_wh > 0 else 0.0


def stays_of(drivers: pa.Table) -> list[Stay]:
    """The rows of a run's table `drivers`."""
    names = [each.name for each in fields(Stay)]
    return [Stay(**{name: row[name] for name in names}) for row in drivers.to_pylist()]


def plug_gantt(axis: TimeAxis, stays: Sequence[Stay], charging: Mapping[str, ArrayLike]) -> go.Figure:
    """One row for every plug, one bar for every stay, in the colour of how much its driver did not get.

    Stays are cut at both ends of the axis. charging : by plug, (period,) of the axis, whether the vehicle drew power;
    drawn in green inside the stays.
    """
    plugs = sorted({stay.plug for stay in stays}, key=natural)
    figure = time_frame(axis, y_title="plug", height=120 + max(200, min(16 * len(plugs), 900)))
    for least, below, words, colour in CLASSES:
        _add_stays(figure, axis, [stay for stay in stays if least <= stay.unmet < below], words, colour)
    _add_charging(figure, axis, charging)
    figure.update_layout(hovermode="closest", barmode="overlay")
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=plugs[::-1], tickfont={"size": 10}, showgrid=False
    )
    return figure


def _add_stays(figure: go.Figure, axis: TimeAxis, stays: Sequence[Stay], words: str, colour: str) -> None:
    starts = [max(axis.local(stay.arrives), axis.starts[0]) for stay in stays]
    ends = [min(axis.local(stay.departs), axis.end) for stay in stays]
    if not stays:
        return
    figure.add_bar(
        orientation="h",
        base=starts,
        x=[(end - start).total_seconds() * 1e3 for start, end in zip(starts, ends, strict=True)],
        y=[stay.plug for stay in stays],
        width=0.7,
        name=words,
        marker={"color": colour, "opacity": 0.45, "line": {"width": 0}},
        customdata=[
            f"{stay.plug}: {stay.delivered_wh / 1e3:,.1f} of {stay.asked_wh / 1e3:,.1f} kWh<br>"
            f"{axis.local(stay.arrives):%a %H:%M} to {axis.local(stay.departs):%a %H:%M}"
            for stay in stays
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _add_charging(figure: go.Figure, axis: TimeAxis, charging: Mapping[str, ArrayLike]) -> None:
    edges = axis.edges
    spans = [(plug, edges[first], edges[after]) for plug, on in charging.items() for first, after in _stretches(on)]
    figure.add_bar(
        orientation="h",
        base=[start for _, start, _ in spans],
        x=[(end - start).total_seconds() * 1e3 for _, start, end in spans],
        y=[plug for plug, _, _ in spans],
        width=0.25,
        name="charging",
        marker={"color": ACTUAL, "line": {"width": 0}},
        customdata=[f"{start:%H:%M} to {end:%H:%M}" for _, start, end in spans],
        hovertemplate="%{y} charges from %{customdata}<extra></extra>",
    )


def _stretches(on: ArrayLike) -> list[tuple[int, int]]:
    """First period of every stretch of set flags, and the first after it."""
    steps = np.diff(np.concatenate([[0], np.asarray(on, dtype=np.int8), [0]]))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))
