"""Money and stays as pictures."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from market.figures.comparison import measure_map, measure_over
from market.figures.days import day_by_day
from market.figures.local_time import TimeAxis
from market.figures.market_charts import payments
from market.figures.money import settlement_waterfall
from market.figures.sessions import Stay, plug_gantt
from market.simulation.dictionary import described, dictionary

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
AXIS = TimeAxis.over([NOON, NOON + HOUR, NOON + 2 * HOUR], HOUR, UTC)


def test_a_waterfall_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match=r"-1\.0000 is left"):
        settlement_waterfall(promised_eur=10.0, steps_eur={"penalties": -3.0}, paid_eur=8.0)


def test_the_waterfall_goes_from_what_was_promised_to_what_was_paid() -> None:
    """20 EUR were promised, 16 delivered, 3 lost to penalties: 13 are paid."""
    offers = pa.table({"participant": ["a", "b"], "payment_eur": [12, 6], "uplift_eur": [2, 0]})
    settled = pa.table(
        {
            "participant": ["a", "a", "b"],
            "payment_eur": [6, 2, 6],
            "uplift_eur": [1, 1, 0],
            "penalty_eur": [0, 3, 0],
            "adjustment_eur": [0, 0, 0],
            "net_eur": [7, 0, 6],
        }
    )
    (chart,) = payments(settled, offers, UTC)

    assert chart.labels == ("all participants", "a", "b")
    together = chart.figures[0].data[0]
    assert list(together.x) == ["promised", "not delivered", "penalties", "paid"]
    assert [Decimal(str(each)) for each in together.y] == [20, -4, -3, 13]


def test_a_stay_is_cut_at_the_ends_of_the_day_and_coloured_by_what_is_missing() -> None:
    """From before noon until 13:30 with a fifth missing; it drew power in the second of three hours."""
    stay = Stay("p1", NOON - HOUR, NOON + 1.5 * HOUR, asked_wh=10_000, delivered_wh=8_000)
    bar, charging = plug_gantt(AXIS, [stay], {"p1": [False, True, False]}).data

    assert bar.name == "more than a tenth missing"
    assert (bar.base[0], bar.x[0]) == (datetime(2026, 1, 15, 12), 1.5 * 3600e3)
    assert (charging.base[0], charging.x[0]) == (datetime(2026, 1, 15, 13), 3600e3)


def test_comparisons_have_a_line_for_every_series_and_a_cell_for_every_pair() -> None:
    lines = measure_over(
        [0, 50, 100], {"dumb": [1, 2, 3], "market": [1, 1, 2]}, parameter="EVs [%]", measure="peak [kW]", limit=2.5
    )
    cells = measure_map([1, 2], ["x"], [[3.0, float("nan")]], x_title="a", y_title="b", title="peak [kW]")

    assert [(line.name, list(line.y)) for line in lines.data] == [("dumb", [1, 2, 3]), ("market", [1, 1, 2])]
    assert lines.layout.shapes[0].y0 == 2.5
    assert cells.data[0].z.shape == (1, 2)


def test_a_run_of_several_days_shows_every_measure_by_day_and_one_of_a_single_day_does_not() -> None:
    days = [date(2026, 1, 15), date(2026, 1, 16)]
    measures = pa.table(
        {
            "delivery": days,
            "peak_w": [5e4, 6e4],
            "peak_loading": [0.8, 1.1],
            "overload_minutes": [0.0, 15.0],
            "dso_flexibility_eur": [1.0, 2.0],
            "unmet_kwh": [0.0, 0.5],
        }
    )
    measures = measures.cast(described(measures.schema, dictionary().measures))
    (chart,) = day_by_day(measures, UTC)

    assert chart.labels == ("peak loading", "overload minutes", "dso flexibility eur", "unmet kwh", "peak w")
    assert [figure.layout.yaxis.title.text for figure in chart.figures[1:]] == [
        "overload minutes [min]",
        "dso flexibility [EUR]",
        "unmet [kWh]",
        "peak [W]",
    ]
    assert list(chart.figures[0].data[0].y) == [0.8, 1.1]
    assert list(day_by_day(measures.slice(0, 1), UTC)) == []
