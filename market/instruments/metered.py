"""What was consumed: a metered series that bills are made from."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from api_spec.calendar import Span
from market.exact import hours


@dataclass(frozen=True)
class Metered:
    """Mean power in one period [W]; consumed_w leaves out what is fed in."""

    start: datetime
    length: timedelta
    power_w: int

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        return self.start + self.length

    @property
    def consumed_w(self) -> int:
        """Consumption alone [W]."""
        return max(0, self.power_w)

    @property
    def consumed_mwh(self) -> Fraction:
        """Energy consumed [MWh], exactly."""
        return self.consumed_w * hours(self.length) / 10**6


def series_of(readings: Iterable[Metered], span: Span) -> tuple[Metered, ...]:
    """The readings within a span, in order and each time once: of several, the one that comes first counts."""
    kept: list[Metered] = []
    for each in readings:
        at = bisect_left(kept, each.start, key=lambda other: other.start)
        free = (at == len(kept) or each.end <= kept[at].start) and (at == 0 or kept[at - 1].end <= each.start)
        if free and span.start <= each.start and each.end <= span.end:
            kept.insert(at, each)
    return tuple(kept)


def gaps(series: Sequence[Metered], span: Span) -> Iterator[Span]:
    """The parts of a span in which nothing was metered."""
    at = span.start
    for each in series:
        if at < each.start:
            yield Span(start=at, end=each.start)
        at = each.end
    if at < span.end:
        yield Span(start=at, end=span.end)


def interval_means_w(series: Iterable[Metered], span: Span, interval: timedelta) -> dict[datetime, Fraction]:
    """Mean consumption in every interval from the start of a span [W], by its start; where nothing was metered, less.

    A reading that is longer than an interval counts with its mean in each of them.
    """
    energy: dict[datetime, Fraction] = {}
    for each in series:
        at = max(each.start, span.start)
        while at < min(each.end, span.end):
            start = span.start + (at - span.start) // interval * interval
            until = min(each.end, span.end, start + interval)
            energy[start] = energy.get(start, Fraction(0)) + each.consumed_w * hours(until - at)
            at = until
    return {start: amount / hours(interval) for start, amount in energy.items()}
