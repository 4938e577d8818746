"""The report of a sweep: every measure over what was varied, one measure against another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.parquet as pq

from market.figures.chart import Chart
from market.figures.comparison import SERIES, measure_map, measure_over, trade_off
from market.figures.page import write_page
from market.figures.run_folder import REPORT
from market.figures.tidy import titled, words

RESULTS: Final = "results.parquet"
_RUN: Final = "run"
_SEED: Final = "seed"
_MOST_POINTS: Final = 60
_FIRST: Final = ("peak_loading", "dso_flexibility_eur", "unmet_kwh", "overload_minutes", "losses_kwh")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """A sweep's folder. varied : columns of what tells runs apart, with more than one value. rows : one for each run.

    titles : of every measure, with its unit; only measures that are not the same in all runs.
    """

    title: str
    varied: tuple[str, ...]
    titles: Mapping[str, str]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, title: str, results: pa.Table) -> Self:
        """From a sweep's table: its first columns are the run and what was varied, then come measures with units."""
        rows = tuple(results.to_pylist())
        told = (field for field in results.schema if field.metadata and b"meaning" in field.metadata)
        measures = {field.name: titled(field) for field in told}
        points = [name for name in results.column_names if name != _RUN and name not in measures]
        several = {name for name in results.column_names if len({row[name] for row in rows}) > 1}
        first = [name for name in _FIRST if name in measures]
        order = [*first, *(name for name in measures if name not in first)]
        return cls(
            title=title,
            varied=tuple(name for name in points if name in several),
            titles={name: measures[name] for name in order if name in several},
            rows=rows,
        )

    def values(self, column: str) -> list[Any]:
        """The different values of a column, in their own order where they have one."""
        found = {row[column]: None for row in self.rows}
        return sorted(found) if all(isinstance(each, int | float) for each in found) else list(found)

    @property
    def parameters(self) -> tuple[str, ...]:
        """What is varied but for the seed, over whose values means are taken; the seed where it is all."""
        return tuple(name for name in self.varied if name != _SEED) or self.varied

    @property
    def across(self) -> str | None:
        """What lines are drawn over: the parameter of numbers with most values; None where none has any."""
        numeric = [name for name in self.parameters if all(isinstance(row[name], int | float) for row in self.rows)]
        return max(numeric, key=lambda name: len(self.values(name)), default=None)

    def mean(self, measure: str, **where: Any) -> float:
        """Of all runs at these values, such as those of several seeds; nan where there is none."""
        found = [row[measure] for row in self.rows if all(row[name] == value for name, value in where.items())]
        return float(np.mean(found)) if found else float("nan")


def sweep_charts(sweep: Sweep) -> tuple[Chart, ...]:
    """Every measure that changes; nothing of a sweep in which nothing does."""
    if not sweep.titles or sweep.across is None:
        return ()
    others = [name for name in sweep.parameters if name != sweep.across]
    charts = [
        Chart.choice(
            "measures",
            f"Every measure over {words(sweep.across)}",
            "Means where several runs share a point. Measures that are the same in all runs are left out.",
            [(words(measure), _lines(sweep, sweep.across, others, measure)) for measure in sweep.titles],
        )
    ]
    if len(others) == 1:
        charts.append(
            Chart.choice(
                "map",
                f"{words(sweep.across).capitalize()} and {words(others[0])}",
                "The same as a map.",
                [(words(measure), _map(sweep, sweep.across, others[0], measure)) for measure in sweep.titles],
            )
        )
    against = [name for name in ("dso_flexibility_eur", "peak_loading") if name in sweep.titles]
    if len(against) == 2 and len(sweep.rows) <= _MOST_POINTS:
        summary = "One point for each run: what the DSO pays to the market, and how full its network gets all the same."
        charts.append(Chart.of("trade-off", "What it costs, what it brings", summary, _trade_off(sweep, *against)))
    return tuple(charts)


def write_sweep_report(folder: Path, title: str, *, missing: int = 0) -> Path | None:
    """Write `report.html` into a sweep's folder from its results; None where nothing changes that could be shown.

    missing : how many runs of the sweep have failed or are not done.
    """
    sweep = Sweep.of(title, pq.read_table(folder / RESULTS))
    charts = sweep_charts(sweep)
    if charts:
        return write_page(folder, "sweep.html", sweep=sweep, charts=charts, missing=missing)
    (folder / REPORT).unlink(missing_ok=True)
    return None


def _lines(sweep: Sweep, across: str, others: Sequence[str], measure: str) -> go.Figure:
    values = sweep.values(across)
    points = list(dict.fromkeys(tuple(row[name] for name in others) for row in sweep.rows))
    if len(points) > len(SERIES):  # such as a sample: no two runs share a line
        points, others = [()], ()
    series = {
        _label(others, point) or "all runs": [
            sweep.mean(measure, **{across: value}, **dict(zip(others, point, strict=True))) for value in values
        ]
        for point in points
    }
    return measure_over(values, series, parameter=words(across), measure=sweep.titles[measure])


def _map(sweep: Sweep, across: str, down: str, measure: str) -> go.Figure:
    columns, rows = sweep.values(across), sweep.values(down)
    cells = [[sweep.mean(measure, **{across: x, down: y}) for x in columns] for y in rows]
    return measure_map(columns, rows, cells, x_title=words(across), y_title=words(down), title=sweep.titles[measure])


def _trade_off(sweep: Sweep, across: str, up: str) -> go.Figure:
    names = [_label(sweep.varied, [row[name] for name in sweep.varied]) for row in sweep.rows]
    return trade_off(
        names,
        across=[row[across] for row in sweep.rows],
        up=[row[up] for row in sweep.rows],
        x_title=sweep.titles[across],
        y_title=sweep.titles[up],
    )


def _label(names: Sequence[str], values: Sequence[Any]) -> str:
    shown = (f"{value:.4g}" if isinstance(value, float) else f"{value}" for value in values)
    return ", ".join(f"{words(name)} {value}" for name, value in zip(names, shown, strict=True))
