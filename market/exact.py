"""Exact amounts, and the one place where each of them is rounded."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from api_spec.calendar import Span, months, year_of
from api_spec.units import MONEY_PLACES

_MONEY: Final = Decimal(1).scaleb(-MONEY_PLACES)


def in_money(amount: Fraction) -> Decimal:
    """Rounded half to even to 1e-4 EUR, from the exact value."""
    return Decimal(round(amount * 10**MONEY_PLACES)) * _MONEY


def hours(length: timedelta) -> Fraction:
    """A length of time [h], exactly."""
    return Fraction(length // timedelta(microseconds=1), 3_600_000_000)


def part(start: datetime, end: datetime, whole: Span) -> Fraction:
    """Which part of a whole span a part of it is."""
    return hours(end - start) / hours(whole.end - whole.start)


def years(span: Span, zone: str) -> Fraction:
    """A span in local calendar years: a leap year's day is 1/366 of it."""
    return sum((part(each.start, each.end, year_of(each.start, zone)) for each in months(span, zone)), Fraction(0))
