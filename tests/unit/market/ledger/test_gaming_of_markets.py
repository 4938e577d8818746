"""Made-up markets in which awards fall on evenings of high load: who is honest is not named, who overstates is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pytest

from api_spec.baselines import GamingFinding
from market.ledger.baselines.history import FloatArray
from market.ledger.gaming import THRESHOLD, Nominated, findings

DAYS: Final = 28
HOMES: Final = 12
PERIODS: Final = 6
LIMIT_W: Final = 40_000
"""What the street can carry: five of its homes are expected to charge in the evening on half of the days."""
PLAYERS: Final = slice(0, 4)

Forecast = Callable[[np.random.Generator, FloatArray], tuple[FloatArray, FloatArray]]
"""From an expected evening (day, home, period) [W] to what is nominated and what is drawn."""


def exact(random: np.random.Generator, expected_w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """An agent that knows."""
    return expected_w, expected_w


def noise_w(random: np.random.Generator) -> FloatArray:
    """Errors of whole evenings, a quarter of a vehicle's power."""
    errors: FloatArray = 2_750 * random.standard_normal((DAYS, HOMES, 1))
    return errors


def misread(random: np.random.Generator, expected_w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What is drawn, with an error: where it is too high, more is ordered."""
    return expected_w + noise_w(random), expected_w


def surprised(random: np.random.Generator, expected_w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The mean of what may be drawn."""
    return expected_w, expected_w + noise_w(random)


def wrong_evenings(random: np.random.Generator, expected_w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One evening of five is another one's: a vehicle that is expected does not come, or one comes that is not."""
    other = random.permutation(DAYS)
    swapped = random.random((DAYS, HOMES, 1)) < 0.2
    return np.where(swapped, expected_w[other], expected_w), expected_w


HONEST: Final = (exact, misread, surprised, wrong_evenings)


@dataclass(frozen=True)
class Evenings:
    """A street for 28 evenings; all (day, home, period) [W]."""

    nominated_w: FloatArray
    drawn_w: FloatArray
    ordered_w: FloatArray

    def report(self) -> list[GamingFinding]:
        """Homes of three aggregators, four each."""
        everything = [
            {
                (f"agg-{home // 4}", f"home-{home}"): self._at(day, home)
                for home in range(HOMES)
            }
            for day in range(DAYS)
        ]  # fmt: skip
        return findings("street", everything)

    def named(self) -> set[str]:
        return {each.participant for each in self.report() if each.verdict == "overstated"}

    def _at(self, day: int, home: int) -> Nominated:
        ordered_w = self.ordered_w[day, home]
        return Nominated(
            clock_min=tuple(range(17 * 60, 17 * 60 + 15 * PERIODS, 15)),
            nominated_w=self.nominated_w[day, home],
            usual_w=self.drawn_w[:, home].mean(axis=0),
            ordered_w=ordered_w,
            delivered_w=ordered_w,
            metered_w=np.where(ordered_w < 0, self.nominated_w[day, home] + ordered_w, self.drawn_w[day, home]),
            price_eur_per_mwh=np.full(PERIODS, 100.0),
            others_w={},
            hours=0.25,
        )


def evenings(seed: int, forecast: Forecast, *, factor: float = 1.0, always: bool = False) -> Evenings:
    """Every home charges at 11 kW on half of the evenings; whatever is above the limit is reduced, by who nominated it.

    factor : by which the first aggregator overstates; always, or on evenings on which an award is to be expected.
    """
    random = np.random.default_rng(seed)
    arrives = random.integers(0, PERIODS // 2, (DAYS, HOMES, 1))
    stays = random.integers(2, PERIODS // 2 + 1, (DAYS, HOMES, 1))
    period = np.arange(PERIODS)
    charging = (random.random((DAYS, HOMES, 1)) < 0.5) & (period >= arrives) & (period < arrives + stays)
    nominated_w, drawn_w = forecast(random, 11_000 * charging + random.uniform(300, 1_500, (DAYS, HOMES, PERIODS)))
    played = np.full(DAYS, always) | (nominated_w.sum(axis=1).max(axis=1) > LIMIT_W)
    told_w = nominated_w.copy()
    told_w[played, PLAYERS] *= factor
    total_w = told_w.sum(axis=1, keepdims=True)
    ordered_w = np.rint(np.minimum(0, LIMIT_W / np.maximum(total_w, 1) - 1) * np.maximum(told_w, 0))
    return Evenings(told_w, drawn_w, np.where(ordered_w > -500, 0.0, ordered_w))


@pytest.mark.parametrize("forecast", HONEST)
def test_nobody_honest_is_named_where_awards_fall_on_evenings_of_high_load(forecast: Forecast) -> None:
    """40 streets of three honest aggregators: 0.16 of 120 are expected to be named, more than two once in 1600.

    Nominations of every second home move with awards all the same, as they do by chance once in 740 reports.
    """
    streets = [evenings(seed, forecast).report() for seed in range(40)]
    named = {
        (at, each.participant) for at, street in enumerate(streets) for each in street if each.verdict == "overstated"
    }
    scores = [each.score for street in streets for each in street]

    assert len(named) <= 2
    assert np.mean(np.array(scores) >= THRESHOLD) > 0.3


@pytest.mark.parametrize("always", [True, False])
def test_who_nominates_half_as_much_again_is_named_always_or_when_an_award_is_expected(*, always: bool) -> None:
    """An agent that knows what it draws; evenings are seen beside the periods that were ordered."""
    streets = [evenings(seed, exact, factor=1.5, always=always).named() for seed in range(20)]

    assert sum("agg-0" in each for each in streets) >= 19
    assert not any(each - {"agg-0"} for each in streets)
