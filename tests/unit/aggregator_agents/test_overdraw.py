"""I7: a tenth and half an amp above the signal for seven seconds opens the contactor."""

from collections.abc import Iterable

from aggregator_agents.dispatch.overdraw import Overdraw


def cut_off_at(amps: Iterable[float], *, charge_a: int = 0, feed_a: int = 0) -> int | None:
    """The second, of one measurement in each."""
    guard = Overdraw()
    for second, drawn_a in enumerate(amps):
        if guard.observe((drawn_a, 0.0, 0.0), charge_a=charge_a, feed_a=feed_a, now_s=float(second)):
            return second
    return None


def test_eighteen_point_one_amps_of_sixteen_are_tolerated_and_more_is_not() -> None:
    assert cut_off_at([18.1] * 60, charge_a=16) is None
    assert cut_off_at([18.2] * 60, charge_a=16) == 7


def test_six_seconds_above_are_forgotten() -> None:
    assert cut_off_at(([20.0] * 7 + [16.0]) * 5, charge_a=16) is None


def test_a_vehicle_that_comes_down_has_seven_seconds_from_its_last_amp_on() -> None:
    """Four seconds late and then 5 A a second: 1 A is left at second 7, and stays."""
    assert cut_off_at([16, 16, 16, 16, 16, 11, 6, 1, *[0] * 60]) is None
    assert cut_off_at([16, 16, 16, 16, 16, 11, 6, 1, *[1] * 60]) == 14


def test_feeding_back_more_than_asked_counts_as_well() -> None:
    assert cut_off_at([-9.2] * 60, feed_a=8) is None
    assert cut_off_at([-9.4] * 60, feed_a=8) == 7
    assert cut_off_at([-1.0] * 60, charge_a=16) == 7
