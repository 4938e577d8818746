"""A fleet that nobody plans: as soon and as fast as it can, whatever energy costs; only a duty holds it back."""

from dataclasses import replace

import numpy as np

from aggregator_agents.fleet import FloatArray
from aggregator_agents.planning import Corridor, Grid, OnArrival, Planner, Prices, Problem, Valuation
from tests.unit.aggregator_agents.places import FULL_W, quarters, site, vehicle

DEAR_FIRST = np.array([300.0] * 8 + [0.0] * 8)


def asked(*, corridor: Corridor | None = None, most_w: FloatArray | None = None) -> Problem:
    """One vehicle at noon that wants an hour of full power and stays four; energy is dear for the first two."""
    grid, prices = Grid.of(quarters(16)), Prices.bought(DEAR_FIRST)
    return Problem(site(), grid, (vehicle(),), Valuation(), prices, corridor=corridor, most_w=most_w, whole=False)


def ceiling(missed_eur_per_mwh: float) -> Corridor:
    """6 A for the first hour."""
    high_w = np.array([6 * 690.0] * 4 + [np.inf] * 12)
    return Corridor(high_w, np.full(16, -np.inf), np.full(16, missed_eur_per_mwh))


def test_where_nobody_comes_nothing_is_drawn() -> None:
    assert not OnArrival().plan(replace(asked(), sessions=())).total_w.any()


def test_it_charges_from_arrival_on_where_a_plan_would_wait_for_the_cheap_hours() -> None:
    first_hour = np.array([FULL_W] * 4 + [0.0] * 12)

    assert OnArrival().plan(asked()).total_w.tolist() == first_hour.tolist()
    assert Planner().plan(asked()).total_w[:8].sum() == 0


def test_a_called_right_holds_it_back_and_a_promise_does_not() -> None:
    """A driver is owed 2000 EUR/MWh: a duty of 10 000 comes before that, a promise of 1000 does not."""
    assert OnArrival().plan(asked(corridor=ceiling(10_000))).total_w[:4].tolist() == [6 * 690.0] * 4
    assert OnArrival().plan(asked(corridor=ceiling(1_000))).total_w[:4].tolist() == [FULL_W] * 4


def test_what_a_duty_puts_off_comes_at_full_power_when_it_is_over() -> None:
    """16 Ah per phase are wanted and 6 had in the first hour: 10 are left, 4 of them in the next quarter."""
    power_w = OnArrival().plan(asked(corridor=ceiling(10_000))).total_w

    assert power_w[4:6].tolist() == [FULL_W, FULL_W]
    assert power_w.sum() == 4 * FULL_W


def test_nobody_draws_more_than_the_contract_lets_the_connection() -> None:
    """4.2 kW are 6.09 A on three phases: 6 A can be signalled."""
    most_w = np.array([4_200.0] * 4 + [np.inf] * 12)

    assert OnArrival().plan(asked(most_w=most_w)).total_w[:4].tolist() == [6 * 690.0] * 4
    planned = Planner().plan(asked(most_w=np.full(16, 4_200.0)))
    assert planned.total_w.max() <= 4_200.0
    assert planned.shortfall_wh.sum() == 0


def test_without_anybody_nothing_is_drawn() -> None:
    nobody = replace(asked(), sessions=())
    assert OnArrival().plan(nobody).total_w.tolist() == [0.0] * 16
