"""Of what is offered at a level at least that part is delivered, on real days that no quantile was learned from."""

from functools import cache

import pytest

from aggregator_agents.offering.asking import Asking
from tests.acn.days import Delivery, delivered, workdays

FORENOON = (10, 12)
DAYS = 10


@cache
def deliveries(level: float) -> tuple[Delivery, ...]:
    """Two weeks of working days; the deepest rung of two hours before noon is awarded every day."""
    asking = Asking(kind="blocks", level=level, steps=2)
    made = (delivered(each, each.window(*FORENOON), asking) for each in workdays(DAYS))
    return tuple(each for each in made if each is not None)


def reliability(level: float) -> float:
    return sum(each.delivered_wh for each in deliveries(level)) / sum(each.ordered_wh for each in deliveries(level))


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_at_a_level_at_least_that_part_of_awarded_energy_is_delivered(level: float) -> None:
    assert len(deliveries(level)) >= 8, "something is offered on most days"
    assert sum(each.ordered_wh for each in deliveries(level)) > DAYS * 20_000, "and it is worth delivering"
    assert reliability(level) >= level


def test_without_the_quantile_it_would_not_be() -> None:
    """A level of 1 % takes the best that happened in a hundred cases for granted, which is what a plan does."""
    assert reliability(0.01) < 0.8


def test_what_is_learned_from_is_over_before_the_day_begins() -> None:
    for day in workdays(DAYS):
        assert len(day.known) > 500
        assert all(
            each.did.departs <= day.period.start <= other.did.arrives for each in day.known for other in day.stays
        )
