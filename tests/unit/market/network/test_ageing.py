"""Transformers under IEC 60076-7: steady states by hand, and the standard's differences as another way to count."""

from math import exp

import numpy as np
import pytest

from market.network.ageing import ONAN, Cooling, ageing, ageing_rate


def test_kraft_paper_ages_as_made_for_at_98_degrees_and_twice_as_fast_at_104() -> None:
    assert ageing_rate(np.array([92.0, 98.0, 104.0, 110.0])).tolist() == pytest.approx([0.5, 1.0, 2.0, 4.0])


def test_upgraded_paper_ages_as_made_for_at_110_degrees() -> None:
    """At 98 C the standard's table gives 0.282."""
    assert ageing_rate(np.array([98.0, 110.0]), "upgraded").tolist() == pytest.approx([0.282, 1.0], abs=5e-4)


def test_rated_load_at_20_degrees_costs_a_day_of_life_a_day() -> None:
    """20 + 55 top oil, + 23 hot spot = 98 C."""
    day = ageing(np.ones((288, 1)), np.full(288, 20.0), step_minutes=5)
    assert day.oil_c[:, 0] == pytest.approx(75.0)
    assert day.hot_spot_c[:, 0] == pytest.approx(98.0)
    assert day.lost_h == pytest.approx([24.0])


def test_half_load_in_the_steady_state() -> None:
    """Oil 20 + 55 ((1 + 5/4) / 6)^0.8 = 45.09 C; hot spot 23 x 0.5^1.6 = 7.59 K above."""
    oil_c = 20 + 55 * (2.25 / 6) ** 0.8
    still = ageing(np.full((12, 1), 0.5), np.full(12, 20.0), step_minutes=60)
    assert still.oil_c[-1, 0] == pytest.approx(oil_c)
    assert still.hot_spot_c[-1, 0] == pytest.approx(oil_c + 23 * 0.5**1.6)


def test_oil_warms_up_with_its_time_constant_and_the_day_closes() -> None:
    """12 h idle, 12 h at rated load: the rise over no load closes the gap by exp(-t / 180 min)."""
    load = np.repeat([0.0, 1.0], 144)[:, None]
    day = ageing(load, np.full(288, 20.0), step_minutes=5)
    idle_c = 20 + 55 * (1 / 6) ** 0.8
    left = exp(-720 / 180)
    coldest = idle_c + (75 - idle_c) * (1 - left) * left / (1 - left**2)
    assert day.oil_c[143, 0] == pytest.approx(coldest)
    assert day.oil_c[179, 0] == pytest.approx(75 - (75 - coldest) * exp(-1))


def test_it_agrees_with_the_differences_of_the_standard() -> None:
    """Large power transformer: k11 = 0.5, k21 = k22 = 2, tau_o = 210, tau_w = 10 min, in steps of 1 min."""
    large = Cooling(
        oil_rise_k=52, gradient_k=26, loss_ratio=6, winding_exponent=1.3,
        oil_min=210, winding_min=10, k11=0.5, k21=2, k22=2,
    )  # fmt: skip
    random = np.random.default_rng(1)
    load = np.repeat(random.uniform(0.2, 1.4, 96), 15)[:, None]
    ambient_c = np.repeat(random.uniform(-5, 25, 96), 15)
    exact = ageing(load, ambient_c, step_minutes=1, cooling=large)
    differences = np.array(_differences(load[:, 0], ambient_c, large))
    assert exact.hot_spot_c[:, 0] == pytest.approx(differences, abs=0.5), "the error of differences in such steps"


def test_a_day_that_repeats_is_that_of_another_program() -> None:
    """Alliander's transformer-thermal-model 0.6.0, fourth day of four alike; top oil and hot spot after every hour."""
    load = [*[0.4] * 6, 0.6, 0.9, 0.8, *[0.7] * 4, 0.6, 0.6, 0.7, 0.9, 1.2, 1.4, 1.3, 1.1, 0.9, 0.7, 0.5]
    oil_c = [
        50.06, 43.23, 38.35, 34.84, 32.34, 30.54, 31.77, 37.77, 40.2, 40.23, 40.26, 40.28,
        43.13, 43.63, 43.99, 45.78, 50.64, 60.55, 72.59, 78.69, 78.37, 73.99, 67.28, 59.58,
    ]  # fmt: skip
    hot_spot_c = [
        55.37, 48.54, 43.66, 40.15, 37.64, 35.85, 41.93, 57.19, 56.29, 53.23, 53.26, 53.28,
        56.13, 53.79, 54.14, 58.78, 70.07, 91.34, 111.99, 113.69, 105.17, 93.43, 80.28, 67.17,
    ]  # fmt: skip
    found = ageing(np.array(load)[:, None], np.repeat([5.0, 15.0], 12), step_minutes=60)
    assert found.oil_c[:, 0] == pytest.approx(oil_c, abs=0.006)
    assert found.hot_spot_c[:, 0] == pytest.approx(hot_spot_c, abs=0.006)


def test_a_finer_step_changes_nothing_but_what_the_load_does_within_it() -> None:
    load = np.array([[0.3], [1.2], [0.8], [0.1]])
    coarse = ageing(load, np.zeros(4), step_minutes=60)
    fine = ageing(np.repeat(load, 60, axis=0), np.zeros(240), step_minutes=1)
    assert fine.hot_spot_c[59::60] == pytest.approx(coarse.hot_spot_c)
    assert fine.lost_h == pytest.approx(coarse.lost_h)


def _differences(load: np.ndarray, ambient_c: np.ndarray, own: Cooling) -> list[float]:
    """8.2.3 of the standard, two rounds of the same series so that it begins as it ends."""
    oil, first, second, found = 60.0, 0.0, 0.0, list[float]()
    for _ in range(2):
        found = []
        for k, outside in zip(load, ambient_c, strict=True):
            goal = own.oil_rise_k * ((1 + k**2 * own.loss_ratio) / (1 + own.loss_ratio)) ** own.oil_exponent
            oil += (goal - (oil - outside)) / (own.k11 * own.oil_min)
            rise = own.gradient_k * k**own.winding_exponent
            first += (own.k21 * rise - first) / (own.k22 * own.winding_min)
            second += ((own.k21 - 1) * rise - second) / (own.oil_min / own.k22)
            found.append(oil + first - second)
    return found


def test_defaults_are_those_of_a_distribution_transformer() -> None:
    assert (ONAN.oil_exponent, ONAN.winding_exponent, ONAN.loss_ratio) == (0.8, 1.6, 5.0)
