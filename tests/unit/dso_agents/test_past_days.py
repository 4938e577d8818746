"""Which hours of the past a delivery is compared with: wall clocks, day types, and nothing from the future."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from api_spec.metering import Calendar
from api_spec.period import MarketPeriod
from dso_agents.past_days import day_type, past_days, same_day
from market.network.model import FloatArray
from tests.unit.dso_agents.synthetic_weeks import CALENDAR, local_day

CHRISTMAS = Calendar(zone="Europe/Copenhagen", holidays=frozenset({date(2026, 12, 25)}))


class HourOfUtc:
    """A meter whose power is the hour of UTC it was read in."""

    def power_w(self, buses: Sequence[str], period: MarketPeriod) -> FloatArray:
        hours = [start.hour + start.minute / 60 for start in period.starts()]
        return np.repeat(np.array(hours)[:, None], len(buses), axis=1)


def hours(day: date, *, before: int = 1, now: datetime | None = None) -> list[float]:
    """What the meter says of the same clock times `before` days before."""
    period = local_day(day)
    past = past_days(HourOfUtc(), ("b",), period, now=now or period.start, calendar=CALENDAR, days=before)
    return [float(each) for each in past.power_w[before - 1, :, 0]]


def test_a_holiday_is_a_sunday() -> None:
    """Friday 25 December 2026."""
    kinds = [day_type(date(2026, 12, day), CHRISTMAS) for day in (24, 25, 26, 27)]
    assert kinds == ["workday", "sunday", "saturday", "sunday"]


def test_an_hour_is_compared_with_the_same_hour_on_the_clock_when_clocks_have_changed() -> None:
    """Summer time began on 29 March 2026: 18:00 local is 16:00 UTC on the 30th and 17:00 UTC on the 28th."""
    assert hours(date(2026, 3, 30), before=1)[18] == 16
    assert hours(date(2026, 3, 30), before=2)[18] == 17


def test_a_clock_time_that_was_skipped_is_read_an_hour_later() -> None:
    """02:00 did not exist on 29 March: 03:00 summer time, 01:00 UTC, stands for it."""
    assert hours(date(2026, 3, 30), before=1)[1:4] == [0, 1, 1]


def test_an_hour_that_comes_twice_is_compared_with_the_one_hour_of_an_ordinary_day() -> None:
    """25 October 2026 has 25 hours: 02:00 twice, at 00:00 and 01:00 UTC; on the 24th it was 00:00 UTC."""
    (twice,) = (hours(date(2026, 10, 25), before=1),)
    assert len(twice) == 25
    assert twice[2:4] == [0, 0]


def test_what_ends_after_now_is_not_known() -> None:
    now = datetime(2026, 1, 14, 12, 30, tzinfo=UTC)

    known = ~np.isnan(hours(date(2026, 1, 15), before=1, now=now))

    assert known.tolist() == [hour < 13 for hour in range(24)]


def test_a_night_from_friday_to_saturday_is_three_quarters_like_one_between_workdays() -> None:
    """06:00 to 06:00: 18 hours of Friday and 6 of Saturday; nights before ended on workdays, or began on a weekend."""
    friday = MarketPeriod(start=datetime(2026, 1, 16, 5, tzinfo=UTC), resolution=timedelta(hours=1), count=24)

    past = past_days(HourOfUtc(), ("b",), friday, now=friday.start, calendar=CALENDAR, days=7)

    assert past.alike.tolist() == [0.75, 0.75, 0.75, 0.75, 0.0, 0.0, 1.0]


def test_longer_periods_are_means_and_stay_on_the_clock() -> None:
    """Four hours from midnight local, 23:00 UTC: (23 + 0 + 1 + 2) / 4."""
    day = MarketPeriod(start=datetime(2026, 1, 14, 23, tzinfo=UTC), resolution=timedelta(hours=4), count=6)

    past = past_days(HourOfUtc(), ("b",), day, now=day.start, calendar=CALENDAR, days=1)

    assert past.power_w[0, :2, 0].tolist() == pytest.approx([6.5, 4.5])


def test_the_same_day_before_clocks_changed_is_an_hour_shorter() -> None:
    assert same_day(local_day(date(2026, 3, 30)), 1, CALENDAR) == local_day(date(2026, 3, 29))
    assert same_day(local_day(date(2026, 3, 28)), -1, CALENDAR).count == 23
