"""A stopwatch counts every second once."""

import pytest

from market.simulation.timing import Stopwatch, total


def test_what_is_timed_within_another_part_is_taken_off_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part from second 0 to 10, another from 2 to 5 within it: 7 and 3."""
    seconds = iter([0.0, 2.0, 5.0, 10.0])
    monkeypatch.setattr("market.simulation.timing.time.perf_counter", lambda: next(seconds))
    watch = Stopwatch()
    with watch.timed("agents"), watch.timed("market"):
        pass

    assert watch.taken() == {"agents": 7.0, "market": 3.0}
    assert watch.taken() == {}, "it begins anew"


def test_seconds_of_several_deliveries_add_up() -> None:
    assert total([{"a": 1.0, "b": 2.0}, {"b": 0.5}]) == {"a": 1.0, "b": 2.5}
