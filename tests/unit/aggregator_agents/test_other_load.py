"""What else may be drawn behind the meter, by how far past days strayed from what had been expected."""

from datetime import timedelta

import numpy as np
import pytest

from aggregator_agents.fleet import FloatArray
from aggregator_agents.offering.other_load import other_cases_w
from aggregator_agents.premises import Load, Premises, PremisesTable
from api_spec.period import MarketPeriod
from tests.unit.aggregator_agents.places import HOUR, NOON

DAY = timedelta(days=1)
TOMORROW = MarketPeriod(start=NOON + DAY, resolution=timedelta(minutes=15), count=8)


def office(*, noise: float) -> Premises:
    return Premises(PremisesTable(loads=(Load(profile="office", annual_kwh=50_000, noise=noise),)), "lot", seed=3)


def test_where_nothing_else_is_there_no_case_is_needed() -> None:
    assert other_cases_w(Premises(PremisesTable(), "lot"), TOMORROW, now=NOON, days=5) is None


def test_an_office_without_surprises_does_what_is_expected() -> None:
    cases = other_cases_w(office(noise=0), TOMORROW, now=NOON, days=5)

    expected = office(noise=0).expected_w(TOMORROW, issued=NOON).sum(axis=1)
    assert cases == pytest.approx(np.tile(expected, (5, 1)))


def test_cases_lie_around_what_is_expected_as_widely_as_the_truth() -> None:
    cases = other_cases_w(office(noise=0.2), TOMORROW, now=NOON, days=60)
    assert cases is not None

    expected = office(noise=0.2).expected_w(TOMORROW, issued=NOON).sum(axis=1)
    assert cases.mean() == pytest.approx(expected.mean(), rel=0.05)
    assert 0.08 < (cases / expected).std() < 0.3


def test_no_case_is_made_of_hours_that_are_still_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a delivery that begins in an hour the day before is over, of one that began an hour ago as well."""
    asked: list[MarketPeriod] = []
    metered = Premises.metered_w

    def seen(self: Premises, period: MarketPeriod) -> FloatArray:
        asked.append(period)
        return metered(self, period)

    monkeypatch.setattr(Premises, "metered_w", seen)
    for start in (NOON + HOUR, NOON - HOUR, NOON + 3 * DAY):
        period = MarketPeriod(start=start, resolution=timedelta(minutes=15), count=8)
        other_cases_w(office(noise=0.2), period, now=NOON, days=2)

    assert len(asked) == 6
    assert all(each.end <= NOON for each in asked)
