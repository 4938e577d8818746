"""Critical windows: where congestion is expected, with shoulders, as far as there is time to say so."""

from datetime import UTC, datetime, timedelta

from api_spec.period import MarketPeriod
from dso_agents.announcing import critical_windows
from dso_agents.congestion import Congestion, Overload, VoltageViolation

MIDNIGHT = datetime(2026, 1, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = MarketPeriod(start=MIDNIGHT, resolution=HOUR, count=8)


def congested(*, over: set[int], outside: set[int]) -> Congestion:
    """A line that carries 10 A too much, and a bus that is too low, in some hours."""
    current_a = tuple(70.0 if hour in over else 10.0 for hour in range(8))
    voltage_pu = tuple(0.9 if hour in outside else 1.0 for hour in range(8))
    line = Overload("l1", rating_a=60.0, limit_a=(60.0,) * 8, current_a=current_a)
    low = tuple(hour in outside for hour in range(8))
    return Congestion(DAY, (line,), (VoltageViolation("far", 0.95, 1.05, voltage_pu, low),))


def windows(found: Congestion, *, shoulder: int, from_h: int = 0) -> list[tuple[int, int]]:
    made = critical_windows(found, shoulder, not_before=MIDNIGHT + from_h * HOUR)
    return [((each.start - MIDNIGHT) // HOUR, (each.end - MIDNIGHT) // HOUR) for each in made]


def test_what_touches_is_one_window_whatever_leaves_its_limits() -> None:
    assert windows(congested(over={1}, outside={2}), shoulder=0) == [(1, 3)]
    assert windows(congested(over={1, 6}, outside=set()), shoulder=1) == [(0, 3), (5, 8)]


def test_what_begins_too_soon_is_announced_from_when_it_can_be() -> None:
    found = congested(over={1, 2, 3}, outside=set())
    assert windows(found, shoulder=0, from_h=2) == [(2, 4)]
    assert windows(found, shoulder=0, from_h=4) == []
