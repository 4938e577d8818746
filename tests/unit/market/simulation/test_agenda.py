"""When what happens: local days around the change of the clock, and the order within one instant."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from api_spec.period import MarketPeriod
from market.simulation.agenda import days_of, moments

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
QUARTER = timedelta(minutes=15)


def at(day: int, hour: int, minute: int = 0, *, month: int = 3) -> datetime:
    """Local time in 2026; in Denmark the clock goes forward on 29 March and back on 25 October."""
    return datetime(2026, month, day, hour, minute, tzinfo=COPENHAGEN)


def whole_day(day: int, *, month: int) -> MarketPeriod:
    return MarketPeriod(start=at(day, 0, month=month), resolution=QUARTER, count=96)


@pytest.mark.parametrize(
    ("first", "month", "counts"), [(28, 3, [96, 92, 96]), (24, 10, [96, 100, 96]), (10, 6, [96, 96, 96])]
)
def test_a_local_day_has_92_or_100_quarter_hours_where_the_clock_changes(
    first: int, month: int, counts: list[int]
) -> None:
    gate = at(first - 1, 12, month=month)
    days = days_of(whole_day(first, month=month), gate, days=3, zone=COPENHAGEN)

    assert [each.delivery.count for each in days] == counts
    assert all(before.delivery.end == own.delivery.start for before, own in pairwise(days))
    assert {each.gate_closure.astimezone(COPENHAGEN).hour for each in days} == {12}
    assert [each.name for each in days] == [f"2026-{month:02}-{first + number:02}" for number in range(3)]


def test_an_evening_keeps_its_length() -> None:
    evening = MarketPeriod(start=at(28, 18), resolution=QUARTER, count=12)
    days = days_of(evening, at(28, 14), days=2, zone=COPENHAGEN)

    assert [each.delivery.count for each in days] == [12, 12]
    assert days[1].delivery.start == datetime(2026, 3, 29, 16, tzinfo=UTC), "18:00 in summer is two hours before"


def test_deliveries_of_more_than_a_day_cannot_come_again_every_day() -> None:
    long = MarketPeriod(start=at(10, 0), resolution=QUARTER, count=97)
    with pytest.raises(ValueError, match="over after a day"):
        days_of(long, at(9, 12), days=2, zone=COPENHAGEN)
    assert len(days_of(long, at(9, 12), days=1, zone=COPENHAGEN)) == 1


def test_one_delivery_has_its_cycles_gate_and_minutes() -> None:
    """From 12:00 to a gate at 13:00: 4 cycles. Delivery 18:00 to 18:30: cycles at 18:00, 18:15, 18:30, 31 minutes."""
    delivery = MarketPeriod(start=at(10, 18), resolution=QUARTER, count=2)
    found = list(moments(at(10, 12), days_of(delivery, at(10, 13), days=1, zone=COPENHAGEN)))

    cycles = [f"{each.at.astimezone(COPENHAGEN):%H:%M}" for each in found if each.cycle]
    assert cycles == ["12:00", "12:15", "12:30", "12:45", "18:00", "18:15", "18:30"]
    assert sum(each.control for each in found) == 31
    assert [each.at for each in found if each.closes is not None] == [at(10, 13)]
    assert [each.at for each in found if each.ends is not None] == [at(10, 18, 30)]


def test_agents_may_look_at_the_market_less_often_and_chargers_are_told_every_minute_all_the_same() -> None:
    """Every 45 minutes from 12:00 to the gate at 13:00, and from 18:00 on; the end at 19:30 is not missed."""
    delivery = MarketPeriod(start=at(10, 18), resolution=QUARTER, count=6)
    days = days_of(delivery, at(10, 13), days=1, zone=COPENHAGEN)
    found = list(moments(at(10, 12), days, every=timedelta(minutes=45)))

    cycles = [f"{each.at.astimezone(COPENHAGEN):%H:%M}" for each in found if each.cycle]
    assert cycles == ["12:00", "12:45", "18:00", "18:45", "19:30"]
    assert sum(each.control for each in found) == 91


def test_days_go_over_into_each_other() -> None:
    """Two whole days: one continuous time from the first beginning to the last end, and every minute once."""
    days = days_of(whole_day(10, month=6), at(9, 18, month=6), days=2, zone=COPENHAGEN)
    found = list(moments(at(9, 12, month=6), days))

    assert [each.at for each in found] == sorted({each.at for each in found})
    assert sum(each.control for each in found) == 2 * 24 * 60 + 1
    between = next(each for each in found if each.at == at(11, 0, month=6))
    assert (between.ends, between.cycle, between.control) == (days[0], True, True)
    second_gate = next(each for each in found if each.closes == days[1])
    assert second_gate.at == at(10, 18, month=6)
    assert second_gate.cycle, "the first delivery goes on meanwhile"


def test_periods_that_are_no_quarter_hours_have_their_own_cycles() -> None:
    """Ten minutes each, from 18:00: cycles at 18:00, 18:10, 18:20 and, at the end, 18:30."""
    delivery = MarketPeriod(start=at(10, 18), resolution=timedelta(minutes=10), count=3)
    found = moments(at(10, 12), days_of(delivery, at(10, 12, 15), days=1, zone=COPENHAGEN))
    assert [f"{each.at.astimezone(COPENHAGEN):%H:%M}" for each in found if each.cycle] == [
        "12:00", "18:00", "18:10", "18:20", "18:30",
    ]  # fmt: skip
