"""Which limits stand for others, and which fleets are left out of the way along the central path."""

import numpy as np
import pytest

from api_spec.case import Case
from market.clearing.busbar import feeders
from market.clearing.candidates import too_dear, worst_of_each
from market.clearing.cells import Cells
from market.clearing.dispatch import baseline_dispatch
from market.clearing.linearisation import Linearisation
from market.clearing.problem import ClearingProblem, problem_of
from tests.small_cases import Document, block, chain, document, envelope, line, load


def two_feeders(*, r_ohm: float = 1.0) -> ClearingProblem:
    """Source s, busbar h behind a line of r_ohm, and on it feeders a1-a2 and b1-b2, the second more heavily loaded.

    In the second of two periods every load is half as large. A fleet at a2 asks 50, one at b2 10 EUR/MWh.
    """
    lines = [line("sh", "s", "h", r_ohm=r_ohm), *chain("h", "a1", "a2")]
    lines += [each | {"id": f"k{number}"} for number, each in enumerate(chain("h", "b1", "b2"), start=1)]
    voltage = {"id": "v", "kind": "voltage", "buses": "all", "min_pu": 0.999, "max_pu": 1.1}
    asked: Document = document(
        lines=lines,
        baseline=[load(bus, w, w / 2) for bus, w in (("a1", 1e5), ("a2", 1e5), ("b1", 2e5), ("b2", 2e5))],
        offers=[
            envelope(f"o{bus}", bus, ([-50_000] * 2, [0] * 2), ([-20_000] * 2, [0] * 2), ask)
            for bus, ask in (("a2", 50.0), ("b2", 10.0))
        ],
        requests=[voltage | {"max_price_eur_per_mwh": 3000}],
    )
    return problem_of(Case.model_validate(asked))


def test_a_feeder_is_what_stays_connected_without_the_busbar() -> None:
    grid = two_feeders().grid
    number = dict(zip(grid.bus_ids, feeders(grid).tolist(), strict=True))

    assert number["a1"] == number["a2"] != number["b1"] == number["b2"]
    assert number["s"] not in (number["a1"], number["b1"])


def test_without_branches_what_lies_before_the_end_of_the_line_is_one_feeder() -> None:
    """The search for a busbar comes to the end."""
    case = document(lines=chain("s", "a", "b"), baseline=[load("b", 1e5)], offers=[], requests=[])
    grid = problem_of(Case.model_validate(case)).grid
    number = dict(zip(grid.bus_ids, feeders(grid).tolist(), strict=True))

    assert number["s"] == number["a"] != number["b"]


def test_the_worst_voltage_of_each_feeder_stands_for_those_that_are_low_there() -> None:
    """a1, a2 and b1, b2 are below 0.999 pu in the first period; the far ends are the lowest."""
    problem = two_feeders()
    excess = baseline_dispatch(problem).excess
    low = excess > 0
    element = np.array(problem.limits.element)

    many = worst_of_each(problem, excess, low)

    in_first = {str(name): int(number) for name, number in zip(element, many[0], strict=True) if number}
    below = {str(name) for name in element[low[0]]}
    assert below >= {"a1", "a2", "b1", "b2"}
    assert in_first["a2"] == in_first["b2"] == 2
    assert many[0].sum() == low[0].sum()


def test_the_networks_own_voltages_on_a_feeder_have_one_that_stands_for_them_too() -> None:
    """As if its own band, too, were at 0.999 pu: a2 and b2 stand for both of their feeder, h for itself."""
    asked = two_feeders().case
    problem = problem_of(Case.model_validate({**asked.model_dump(mode="json"), "requests": []}))
    limits = problem.limits
    low = np.array([kind == "voltage" for kind in limits.kind]) & (limits.sense < 0)
    excess = np.where(low, (0.999 - problem.baseline[:, limits.quantity]) / limits.scale, -1.0)

    many = worst_of_each(problem, excess, excess > 0)

    in_first = {limits.element[at]: int(many[0, at]) for at in np.flatnonzero(many[0])}
    assert in_first == {"a2": 2, "b2": 2, "h": 1}


def test_a_fleet_is_too_dear_where_its_place_is_never_worth_what_it_asks() -> None:
    """With a price on b2's voltage alone b2 is worth p, a2 what they share: the line to the busbar, a third of p."""
    problem = two_feeders()
    point = Linearisation(problem, baseline_dispatch(problem))
    rows = point.rows(point.dispatch.excess > 0)
    cells = Cells.of(problem, np.arange(len(problem.columns)))
    at = int(np.flatnonzero((np.array(problem.limits.element)[rows.limit] == "b2") & (rows.period == 0))[0])
    worth = np.abs(rows.slope[at])
    b2, a2 = (int(problem.offer_place[number]) for number in (1, 0))
    shadow = np.zeros(len(rows))

    for price, dear in ((9.0, {"oa2", "ob2"}), (40.0, {"oa2"}), (200.0, set[str]())):
        shadow[at] = price / worth[b2]
        left_out = too_dear(point, rows, shadow, cells)
        owner = problem.envelopes.offer[problem.envelopes.of_column[cells.chosen]]
        assert {problem.offers[each].id for each in owner[left_out]} == dear
        assert worth[a2] / worth[b2] == pytest.approx(1 / 3, rel=0.05)


def test_a_fleet_that_would_pay_in_one_period_stays_with_all_of_its_columns() -> None:
    """Only the first period has a price, and limits may enter in the other: the fleet is kept in both."""
    problem = two_feeders()
    point = Linearisation(problem, baseline_dispatch(problem))
    rows = point.rows(point.dispatch.excess > 0)
    cells = Cells.of(problem, np.arange(len(problem.columns)))
    shadow = np.where((rows.period == 0) & (rows.excess > 0), 1e3, 0.0)

    assert not too_dear(point, rows, shadow, cells).any()


def test_a_block_that_pays_back_where_power_costs_nothing_is_not_too_dear() -> None:
    """50 kW less in the first period, which alone has a price, 50 kW more in the other, for 30 EUR/MWh of each."""
    asked = two_feeders().case
    rebound = block("o", "b2", (-50_000, 50_000), 30.0)
    problem = problem_of(Case.model_validate({**asked.model_dump(mode="json"), "offers": [rebound]}))
    point = Linearisation(problem, baseline_dispatch(problem))
    rows = point.rows(point.dispatch.excess > 0)
    cells = Cells.of(problem, np.arange(len(problem.columns)))
    at = int(np.flatnonzero((np.array(problem.limits.element)[rows.limit] == "b2") & (rows.period == 0))[0])
    shadow = np.zeros(len(rows))

    for price, dear in ((59.0, True), (61.0, False)):
        shadow[at] = price / np.abs(rows.slope[at, problem.offer_place[0]])
        assert too_dear(point, rows, shadow, cells).tolist() == [dear]
