"""Many days at one glance, counted by hand."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from market.figures.carpet import Carpet, carpets
from market.figures.days import day_by_day

COPENHAGEN = ZoneInfo("Europe/Copenhagen")


def steps(begins: datetime, count: int, minutes: int = 5) -> pa.ChunkedArray:
    starts = [begins + number * timedelta(minutes=minutes) for number in range(count)]
    return pa.chunked_array([pa.array(starts, pa.timestamp("us", tz="UTC"))])


def test_a_cell_is_the_mean_of_its_quarter_of_an_hour_on_the_local_clock() -> None:
    """From 23:00 UTC, midnight in Denmark: 3, 6 and 9 kW are 6 kW at 00:00; then 12 kW at 00:15; nothing later."""
    made = Carpet.of(steps(datetime(2026, 1, 14, 23, tzinfo=UTC), 4), np.array([3e3, 6e3, 9e3, 12e3]), COPENHAGEN)

    assert made.days == (date(2026, 1, 15),)
    assert made.kw[:2, 0].tolist() == [6, 12]
    assert np.isnan(made.kw[2:]).all()
    assert made.highest == (date(2026, 1, 15), "00:15", 12)


def test_clocks_leave_an_hour_out_in_spring_and_show_one_twice_in_autumn() -> None:
    """29 March has no 02:15; on 25 October it is 02:15 twice, at 2 and at 4 kW: 3 kW."""
    spring = Carpet.of(steps(datetime(2026, 3, 28, 23, tzinfo=UTC), 92, 15), np.full(92, 1e3), COPENHAGEN)
    power_w = np.full(100, 1e3)
    power_w[9], power_w[13] = 2e3, 4e3
    autumn = Carpet.of(steps(datetime(2026, 10, 24, 22, tzinfo=UTC), 100, 15), power_w, COPENHAGEN)

    assert np.flatnonzero(np.isnan(spring.kw[:, 0])).tolist() == [8, 9, 10, 11]
    assert (autumn.days, autumn.kw[9, 0], autumn.kw[8, 0]) == ((date(2026, 10, 25),), 3, 1)


def test_a_week_has_a_carpet_and_a_few_days_have_none() -> None:
    def of(days: int) -> pa.Table:
        count = 96 * days
        start = steps(datetime(2026, 1, 1, tzinfo=UTC), count, 15)
        return pa.table({"start": start, "source_w": np.arange(count) * 1e3, "drawn_w": np.zeros(count)})

    (chart,) = carpets(of(7), UTC)

    assert chart.labels == ("taken from the source", "drawn by devices")
    assert "at 23:45 on Wednesday, 7 January 2026: 671.0 kW" in chart.summary
    assert list(carpets(of(6), UTC)) == []


def test_many_days_are_a_line_and_the_one_that_is_shown_is_named() -> None:
    days = [date(2026, 1, 1) + number * timedelta(days=1) for number in range(61)]
    names = ("peak_loading", "overload_minutes", "dso_flexibility_eur", "unmet_kwh")
    values = {name: np.where(np.arange(61) == 4, 2.0, 1.0) for name in names}

    (line,) = day_by_day(pa.table({"delivery": days, **values}), UTC)
    (bars,) = day_by_day(pa.table({"delivery": days[:60], **{name: each[:60] for name, each in values.items()}}), UTC)

    assert "Monday, 5 January 2026, which has the highest loading" in line.summary
    assert [each.figures[0].data[0].type for each in (line, bars)] == ["scatter", "bar"]
