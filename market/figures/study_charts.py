"""The charts of a study of instruments: what grows with penetration, the night itself, and who pays."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go

from market.figures.chart import Chart
from market.figures.comparison import SERIES, Look, look, measure_over
from market.figures.local_time import TimeAxis
from market.figures.study import DUMB, SYNCHRONISING, Row, Study
from market.figures.study_findings import findings
from market.figures.style import INK, LIMIT, frame, time_frame
from market.network.model import FloatArray

_GROWING: Final = (
    ("fleet", "Peak of the fleet", "fleet_peak_w", 1e3, "power [kW]"),
    ("over-dumb", "Peak of the fleet against dumb charging", "over_dumb", 1.0, "times dumb charging's peak"),
    ("avoided", "What is avoided of the time-of-use peak", "avoided", 1e-2, "part of that peak [%]"),
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
    for key, title, figure, per_unit, unit in _GROWING:
        yield Chart.of(key, title, _highest(study, figure, per_unit, unit), growth(study, figure, per_unit, unit))
    yield Chart.choice(
        "money",
        "Who pays what",
        "Of the whole run, at one penetration; means where there are several seeds.",
        [(f"{each:.0%}", money(study.at(each))) for each in reversed(study.penetrations)],
    )


def growth(study: Study, figure: str, per_unit: float, unit: str) -> go.Figure:
    """A figure over penetration, a line for each instrument: means, with the standard deviation over seeds."""
    found = {
        title: [study.spread(name, share, figure) for share in study.penetrations]
        for name, title in study.titles.items()
    }
    return measure_over(
        [100 * share for share in study.penetrations],
        {title: _numbers([each.mean for each in own], per_unit) for title, own in found.items()},
        parameter="homes with a vehicle [%]",
        measure=unit,
        looks=_looks(study),
        spread={title: _numbers([each.deviation for each in own], per_unit) for title, own in found.items()},
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
        values = [each.figures[name].mean for each in rows]
        figure.add_bar(x=[each.title for each in rows], y=values, name=label, marker={"color": colour})
    return figure


def _nights(study: Study) -> Chart:
    """Of one seed: a mean of several nights would have no peaks."""
    first = study.seeds[0]
    which = "" if len(study.seeds) < 2 else f" The pictures are of seed {first}."
    return Chart.choice(
        "night",
        "The night",
        f"{findings(study)[0]}{which}",
        [(f"{each:.0%}", night(study.at(each), study)) for each in reversed(study.penetrations)],
    )


def _highest(study: Study, figure: str, per_unit: float, unit: str) -> str:
    """From where to where it goes at the highest penetration."""
    known = [(mean, row) for row in study.at(study.penetrations[-1]) if (mean := row.figures[figure].mean) is not None]
    if not known:
        return "Nothing is known of it."
    most, least = (pick(known, key=lambda each: each[0]) for pick in (max, min))
    return (
        f"At {study.penetrations[-1]:.0%}: from {least[0] / per_unit:,.1f} ({least[1].title}) to "
        f"{most[0] / per_unit:,.1f} ({most[1].title}), {unit}."
    )


def _numbers(values: Sequence[float | None], per_unit: float) -> FloatArray:
    """Nan where one is not known."""
    return np.array([np.nan if each is None else each / per_unit for each in values])


def _looks(study: Study) -> dict[str, Look]:
    """By title: dumb charging in ink, the tariff that synchronises in the colour of limits, the others in turn."""
    marked = {DUMB: Look({"width": 3, "dash": "dot"}, INK), SYNCHRONISING: Look({"width": 3, "color": LIMIT})}
    others = [name for name in study.titles if name not in marked]
    return {title: marked.get(name) or look(others.index(name)) for name, title in study.titles.items()}
