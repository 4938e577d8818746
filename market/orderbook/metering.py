"""Meter readings: do they fit the auction, and which value counts in each period."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from api_spec.auction import Auction
from api_spec.defects import MOST_DEFECTS, Defect, unknown
from api_spec.metering import Reading, ReadingTerms
from api_spec.period import MarketPeriod


def reading_defects(
    reading: ReadingTerms, auction: Auction, nominated: Collection[str], *, now: datetime
) -> tuple[Defect, ...]:
    """What is wrong with a message of readings: its periods, its buses, or a future it cannot know.

    nominated : buses for which the participant has a baseline.
    """
    delivery = auction.delivery
    offset, rest = divmod(reading.start - delivery.start, delivery.resolution)
    if rest or not 0 <= offset < delivery.count:
        return (Defect("/start", "is not the start of a period of the delivery"),)
    return tuple(islice(_bus_defects(reading, delivery, nominated, now=now), MOST_DEFECTS))


def _bus_defects(
    reading: ReadingTerms, delivery: MarketPeriod, nominated: Collection[str], *, now: datetime
) -> Iterator[Defect]:
    names = tuple(nominated)
    for at, each in enumerate(reading.buses):
        end = reading.start + len(each.power_w) * delivery.resolution
        if each.bus not in nominated:
            yield Defect(f"/buses/{at}/bus", unknown("baseline for bus", each.bus, names, "is yours"))
        if end > delivery.end:
            yield Defect(f"/buses/{at}/power_w", "goes on after the end of delivery")
        elif end > now:
            yield Defect(f"/buses/{at}/power_w", "has periods that are not over yet")


def metered(readings: Iterable[Reading], delivery: MarketPeriod) -> dict[tuple[str, str], tuple[int | None, ...]]:
    """What counts per participant and bus in each period [W]: the newest reading, None without one.

    readings : each participant's in the order they came.
    """
    values: dict[tuple[str, str], list[int | None]] = {}
    for message in readings:
        first = delivery.index(message.start)
        for each in message.buses:
            own = values.setdefault((message.participant, each.bus), [None] * delivery.count)
            _put(own, first, each.power_w)
    return {place: tuple(own) for place, own in values.items()}


def late_periods(
    readings: Iterable[Reading], delivery: MarketPeriod, *, due: datetime
) -> dict[tuple[str, str], frozenset[int]]:
    """Numbers of the periods, per participant and bus, whose newest reading came after `due`.

    readings : each participant's in the order they came.
    """
    late: dict[tuple[str, str], set[int]] = {}
    for message in readings:
        first = delivery.index(message.start)
        for each in message.buses:
            own = late.setdefault((message.participant, each.bus), set())
            periods = range(first, first + len(each.power_w))
            if message.received_at > due:
                own.update(periods)
            else:
                own.difference_update(periods)
    return {place: frozenset(own) for place, own in late.items()}


def _put(values: list[int | None], first: int, power_w: Sequence[int]) -> None:
    values[first : first + len(power_w)] = power_w
