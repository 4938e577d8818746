"""The charts of a study of instruments: what grows with penetration, the night itself, and who pays."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import plotly.graph_objects as go

from market.figures.chart import Chart
from market.figures.comparison import SERIES, Look, look, measure_over
from market.figures.local_time import TimeAxis
from market.figures.study import DUMB, SYNCHRONISING, Row, Study
from market.figures.style import INK, LIMIT, frame, time_frame

_GROWING: Final = (
    ("fleet", "Peak of the fleet", "fleet_peak_w", 1e3, "power [kW]"),
    ("source", "Peak of the network", "peak_w", 1e3, "power [kW]"),
    ("overload", "Overloads as drawn", "overload_minutes", 1.0, "element minutes"),
    ("voltage", "Voltage outside of its band as drawn", "voltage_violation_minutes", 1.0, "bus minutes"),
    ("losses", "Losses", "losses_kwh", 1.0, "energy [kWh]"),
    ("unmet", "What drivers lack at departure", "unmet_kwh", 1.0, "energy [kWh]"),
)
_MONEY: Final = (
    ("drivers_bill_eur", "drivers' bills"),
    ("tariff_income_eur", "tariff income of the DSO"),
    ("dso_flexibility_eur", "DSO to the market"),
    ("dso_contracts_eur", "DSO under contracts"),
    ("aggregator_margin_eur", "aggregators' margin"),
)


def study_charts(study: Study) -> tuple[Chart, ...]:
    """All of them."""
    return tuple(_charts(study))


def _charts(study: Study) -> Iterator[Chart]:
    yield _nights(study)
    for key, title, measure, per_unit, unit in _GROWING:
        yield Chart.of(key, title, _highest(study, measure, per_unit, unit), growth(study, measure, per_unit, unit))
    yield Chart.choice(
        "money",
        "Who pays what",
        "Of the whole run, at one penetration.",
        [(f"{each:.0%}", money(study.at(each))) for each in reversed(study.penetrations)],
    )


def growth(study: Study, measure: str, per_unit: float, unit: str) -> go.Figure:
    """A measure over penetration, a line for each instrument."""
    places = {(each.instrument, each.penetration): each.measures[measure] / per_unit for each in study.rows}
    titles = {each.instrument: each.title for each in study.rows}
    return measure_over(
        [100 * share for share in study.penetrations],
        {title: [places.get((name, share), np.nan) for share in study.penetrations] for name, title in titles.items()},
        parameter="homes with a vehicle [%]",
        measure=unit,
        looks=_looks(study),
    )


def night(rows: tuple[Row, ...], study: Study) -> go.Figure:
    """What all vehicles draw together over the night, a line for each instrument."""
    starts = rows[0].starts
    axis = TimeAxis.over(starts, starts[1] - starts[0], study.zone)
    figure = time_frame(axis, y_title="fleet [kW]", height=420)
    looks = _looks(study)
    for each in rows:
        own = looks[each.title]
        figure.add_scatter(
            x=list(axis.starts),
            y=(each.fleet_w / 1e3).round(2).tolist(),
            name=each.title,
            mode="lines",
            line={**own.line, "shape": "hv"},
            meta=own.meta,
        )
    return figure


def money(rows: tuple[Row, ...]) -> go.Figure:
    """Bars of what flows, an instrument at a time."""
    figure = frame(x_title="", y_title="EUR", height=460, barmode="group")
    for (name, label), colour in zip(_MONEY, SERIES, strict=False):
        values = [each.measures[name] for each in rows]
        figure.add_bar(x=[each.title for each in rows], y=values, name=label, marker={"color": colour})
    return figure


def _nights(study: Study) -> Chart:
    return Chart.choice(
        "night",
        "The night",
        study.finding(),
        [(f"{each:.0%}", night(study.at(each), study)) for each in reversed(study.penetrations)],
    )


def _highest(study: Study, measure: str, per_unit: float, unit: str) -> str:
    rows = study.at(study.penetrations[-1])
    most, least = (pick(rows, key=lambda each: each.measures[measure]) for pick in (max, min))
    values = [each.measures[measure] / per_unit for each in (most, least)]
    return (
        f"At {study.penetrations[-1]:.0%}: from {values[1]:,.1f} ({least.title}) to {values[0]:,.1f} ({most.title}), "
        f"{unit}."
    )


def _looks(study: Study) -> dict[str, Look]:
    """By title: dumb charging in ink, the tariff that synchronises in the colour of limits, the others in turn."""
    titles = {each.instrument: each.title for each in study.rows}
    marked = {DUMB: Look({"width": 3, "dash": "dot"}, INK), SYNCHRONISING: Look({"width": 3, "color": LIMIT})}
    others = [name for name in titles if name not in marked]
    return {title: marked.get(name) or look(others.index(name)) for name, title in titles.items()}
