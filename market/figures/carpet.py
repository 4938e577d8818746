"""A run of many deliveries at one glance: a column for every day, a row for every quarter of an hour of its clock."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from typing import Final

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from market.figures.chart import Chart
from market.figures.style import DRAWN, RISING, colour_axis, frame
from market.network.model import FloatArray

_LEAST_DAYS: Final = 7
_ROWS: Final = 96
_POWERS: Final[Mapping[str, tuple[str, Mapping[str, list[str]]]]] = {
    "taken from the source": ("source_w", RISING),
    "drawn by devices": ("drawn_w", DRAWN),
}


@dataclass(frozen=True, eq=False)
class Carpet:
    """kw : (quarter of an hour, day) mean power [kW]; nan where there was no delivery. days : local dates, all of them.

    Of an hour that the local clock shows twice both count, and one that it leaves out is empty.
    """

    days: tuple[date, ...]
    kw: FloatArray

    @classmethod
    def of(cls, starts: pa.ChunkedArray, power_w: FloatArray, zone: tzinfo) -> "Carpet":
        """starts, power_w : of steps of equal length, in UTC, and the power in them [W]."""
        local = pc.local_timestamp(starts.cast(pa.timestamp("us", tz=str(zone))))
        numbers = pc.cast(pc.cast(local, pa.date32()), pa.int32()).to_numpy()
        first, last = int(numbers.min()), int(numbers.max())
        quarter = (pc.hour(local).to_numpy() * 60 + pc.minute(local).to_numpy()) // 15
        cell, size = quarter * (last - first + 1) + numbers - first, _ROWS * (last - first + 1)
        count = np.bincount(cell, minlength=size)
        total = np.bincount(cell, power_w / 1e3, minlength=size)
        mean = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
        begin = date(1970, 1, 1) + first * timedelta(days=1)
        days = tuple(begin + number * timedelta(days=1) for number in range(last - first + 1))
        return cls(days, mean.reshape(_ROWS, -1))

    @property
    def highest(self) -> tuple[date, str, float]:
        """Day, time and power of the cell with the most, the first of equal ones [kW]."""
        day, row = np.unravel_index(np.nanargmax(self.kw.T), self.kw.T.shape)
        return self.days[int(day)], _clock(int(row)), float(self.kw[row, day])

    def figure(self, rising: Mapping[str, list[str]]) -> go.Figure:
        """As a heat map, midnight at the top. rising : its colours."""
        figure = frame(
            x_title="day",
            y_title="local time",
            height=420,
            x_axis={"type": "date", "tickformat": "%-d %b\n%Y", "showgrid": False},
            hovermode="closest",
            **colour_axis(
                title="power [kW]",
                lowest=float(np.nanmin(self.kw)),
                highest=float(np.nanmax(self.kw)),
                rising=rising,
            ),
        )
        figure.add_heatmap(
            x=list(self.days),
            y=[(row + 0.5) / 4 for row in range(_ROWS)],
            z=np.round(self.kw, 2),
            text=[[_clock(row)] * len(self.days) for row in range(_ROWS)],
            coloraxis="coloraxis",
            hovertemplate="%{x|%a %-d %b %Y} %{text}: %{z:,.1f} kW<extra></extra>",
        )
        hours = list(range(0, 25, 3))
        clock = [f"{hour:02d}:00" for hour in hours]
        figure.update_yaxes(tickvals=hours, ticktext=clock, range=[24, 0], showgrid=False)
        return figure


def carpets(network: pa.Table, zone: tzinfo) -> Iterator[Chart]:
    """Power through the days of a run; nothing of less than a week.

    network : the table `physical_network` of all deliveries.
    """
    made = {label: Carpet.of(network["start"], network[name].to_numpy(), zone) for label, (name, _) in _POWERS.items()}
    taken = made["taken from the source"]
    if len(taken.days) < _LEAST_DAYS:
        return
    day, clock, kw = taken.highest
    yield Chart.choice(
        "carpet",
        "Every day at one glance",
        f"A column is a day, a row a quarter of an hour of the local clock. The network takes most at {clock} on "
        f"{day:%A, %-d %B %Y}: {kw:,.1f} kW.",
        [(label, made[label].figure(rising)) for label, (_, rising) in _POWERS.items()],
    )


def _clock(row: int) -> str:
    return f"{row // 4:02d}:{row % 4 * 15:02d}"
