"""What a forecast learns from days: hand-made days first, then months of made-up weeks."""

from datetime import timedelta

import numpy as np
import pytest

from dso_agents.backtest import coverage, pinball_loss
from dso_agents.load_scenarios import Learning, LoadScenarios, load_scenarios
from dso_agents.past_days import PastDays, past_days
from market.network.model import FloatArray
from tests.unit.dso_agents.synthetic_weeks import BUSES, CALENDAR, FIRST, Metered, local_day, profile_w, weeks

LEVEL = Learning(level_share=0.0, prior_days=0.0, half_life_days=1e6, season_days=1e6)


def days(*power_w: FloatArray | list[list[float]], alike: float = 1.0) -> PastDays:
    """Newest first, each (period, bus)."""
    stacked = np.array(power_w, dtype=np.float64)
    return PastDays(tuple(f"b{at}" for at in range(stacked.shape[2])), stacked, np.full(len(stacked), alike))


def forecast(
    past: PastDays, learning: Learning = LEVEL, *, profile: float = 100.0, **more: FloatArray
) -> LoadScenarios:
    shape = past.power_w.shape[1:]
    draw = np.random.default_rng(1)
    return load_scenarios(past, profile_w=np.full(shape, profile), learning=learning, draw=draw, **more)


def test_without_a_reading_the_profile_is_expected_with_its_own_error() -> None:
    """100 W with a standard deviation of 25 %: 58.9 to 141.1 W nine times of ten."""
    found = forecast(days(*[[[np.nan]]] * 7), Learning(profile_error=0.25))

    assert found.known_days.tolist() == [0]
    assert found.expected_w == pytest.approx(np.array([[100.0]]))
    assert [found.quantile_w(level)[0, 0] for level in (0.05, 0.95)] == pytest.approx([58.9, 141.1], abs=2.0)


def test_the_mean_of_like_days_is_expected_and_the_profile_forgotten() -> None:
    found = forecast(days([[80.0]], [[120.0]], [[130.0]], [[70.0]]))

    assert found.expected_w[0, 0] == pytest.approx(100.0)
    assert found.known_days == pytest.approx([4.0])


def test_a_profile_counts_by_the_square_of_its_share_of_days() -> None:
    """(2 / (2 + 2))^2 = a quarter of 100 W, three quarters of 200 W."""
    found = forecast(days([[190.0]], [[210.0]]), Learning(prior_days=2.0, level_share=0.0, half_life_days=1e6))

    assert found.expected_w[0, 0] == pytest.approx(175.0, rel=1e-3)


def test_a_day_as_old_as_the_half_life_counts_half() -> None:
    """Ages 1 and 2 with a half-life of a day: (2 x 100 + 1 x 40) / 3."""
    learning = Learning(prior_days=0.0, level_share=0.0, half_life_days=1.0, season_days=1e6)

    assert forecast(days([[100.0]], [[40.0]]), learning).expected_w[0, 0] == pytest.approx(80.0)


def test_days_of_another_type_say_nothing() -> None:
    found = forecast(days(*[[[500.0]]] * 5, alike=0.0))

    assert found.known_days.tolist() == [0]
    assert found.expected_w[0, 0] == pytest.approx(100.0)


def test_buses_that_rise_together_do_so_in_every_scenario() -> None:
    """The second bus always draws twice the first: so it does in days that may happen; marginals would not say so."""
    levels = np.random.default_rng(4).normal(100.0, 20.0, 20)
    found = forecast(days(*([[level, 2 * level]] for level in levels)))

    assert found.p_w[:, 0, 1] == pytest.approx(2 * found.p_w[:, 0, 0])
    assert found.total_quantile_w(0.95)[0] == pytest.approx(3 * found.quantile_w(0.95)[0, 0])


def test_buses_that_draw_by_turns_do_not_add_up_in_any_scenario() -> None:
    """One of two draws 1.1 kW and the other 0.9: 2 kW in all, whatever happens, though each errs by 0.1 kW."""
    found = forecast(days(*[[[1100.0, 900.0]], [[900.0, 1100.0]]] * 8))

    assert found.expected_w[0] == pytest.approx([1000.0, 1000.0])
    assert found.p_w.sum(axis=2) == pytest.approx(np.full((100, 1), 2000.0))
    assert found.p_w.std(axis=0)[0] == pytest.approx([100.0, 100.0], rel=0.2)


def test_a_silent_meter_borrows_the_error_of_another_day() -> None:
    """The second bus was silent on the newest day: its mean is of the others, and its errors are theirs."""
    found = forecast(days([[100.0, np.nan]], [[100.0, 50.0]], [[100.0, 70.0]]))

    assert found.expected_w[0] == pytest.approx([100.0, 60.0])
    assert np.ptp(found.p_w[:, 0, 0]) == pytest.approx(0.0, abs=1e-9)
    assert np.ptp(found.p_w[:, 0, 1]) > 10


def test_half_of_a_change_of_level_lasts() -> None:
    """Weeks at 100 W, the last at 200 W: 200 W was the level of no like day's week before, so half of 100 W is added.

    Like days: the last seven at 200 W and seven before at 100 W, equally weighted, 150 W in the mean. The week before
    them drew 100 W (the newest of them saw a part of 200 W already).
    """
    power = np.array([200.0] * 7 + [100.0] * 14)[:, None, None]
    past = PastDays(("b",), power, np.ones(21))
    before = np.array([power[at + 1 : at + 8].mean() for at in range(14)])
    share = LEVEL.model_copy(update={"level_share": 0.5, "days": 14})

    found = load_scenarios(past, profile_w=np.zeros((1, 1)), learning=share, draw=np.random.default_rng(0))

    assert found.expected_w[0, 0] == pytest.approx(150.0 + 0.5 * (200.0 - before).mean())


def test_a_cold_day_is_forecast_warmer_weather_told_nothing_of() -> None:
    """10 W more for every degree below 15: days at 5 to 14 degrees drew 200 to 110 W; at 0 it will be about 250 W."""
    warmth = np.arange(5.0, 15.0)
    past = days(*([[250.0 - 10 * each]] for each in warmth))

    found = forecast(past, temperature_c=np.array([0.0, *warmth]))

    assert found.expected_w[0, 0] == pytest.approx(250.0, abs=3.0)
    assert np.ptp(found.p_w) < 10, "what temperature explains is no error any more"


def test_the_same_seed_gives_the_same_days() -> None:
    past = days(*([[float(level)]] for level in range(90, 110)))
    assert np.array_equal(forecast(past).p_w, forecast(past).p_w)


def calibration(history: Metered, *, first_week: int, count: int) -> dict[str, float]:
    """Of day-ahead forecasts made at 16:00 : mean over `count` days."""
    learning, rows = Learning(), []
    for number in range(count):
        period = local_day(FIRST + timedelta(days=7 * first_week + number))
        noon = period.start - timedelta(hours=8)
        past = past_days(history, BUSES, period, now=noon, calendar=CALENDAR, days=learning.reach_days)
        told, actual = profile_w(period), history.power_w(BUSES, period)
        found = load_scenarios(past, profile_w=told, learning=learning, draw=np.random.default_rng(number))
        total = [found.total_quantile_w(level) for level in (0.05, 0.95)]
        rows.append(
            {
                "bus": coverage(actual, found.quantile_w(0.05), found.quantile_w(0.95)),
                "total": coverage(actual.sum(axis=1), *total),
                "loss": sum(pinball_loss(actual, found.quantile_w(level), level) for level in (0.05, 0.5, 0.95)),
                "profile": sum(pinball_loss(actual, told, level) for level in (0.05, 0.5, 0.95)),
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def test_nine_of_ten_values_lie_within_the_band_after_six_weeks() -> None:
    """Four towns of six homes, four weeks each: 90 %, to within 4 % of buses and 6 % of the total.

    The total has a common level that persists for days, so its 112 days are worth some 50 independent ones: a standard
    deviation of 4 % of their coverage.
    """
    found = [calibration(weeks(11, seed=seed), first_week=6, count=28) for seed in range(4)]

    assert np.mean([each["bus"] for each in found]) == pytest.approx(0.90, abs=0.04)
    assert np.mean([each["total"] for each in found]) == pytest.approx(0.90, abs=0.06)
    assert all(each["loss"] < 0.7 * each["profile"] for each in found)


def test_a_forecast_beats_the_profile_after_one_week() -> None:
    found = calibration(weeks(3, seed=9), first_week=1, count=14)

    assert found["loss"] < found["profile"]
