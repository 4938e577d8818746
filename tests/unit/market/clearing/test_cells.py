"""Columns by cells: each sum has its transpose, and the answer to prices is what dense algebra says."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from api_spec.case import Case
from market.clearing.cells import Cells
from market.clearing.problem import ClearingProblem, problem_of
from market.clearing.response import Response, _inverse
from market.clearing.ties import Tie
from market.network.model import FloatArray
from tests.random_markets import markets
from tests.small_cases import Document, block, chain, curve, document, envelope, load

SOME = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    derandomize=True,
)
PERIODS = 4
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def books(draw: st.DrawFn) -> Document:
    """Curves both ways, two blocks and some fleets at two buses; fleets are held by none, one or several energies."""
    fleets = [_fleet(draw, f"f{number}") for number in range(draw(st.integers(1, 4)))]
    return document(
        lines=chain("s", "a", "b"),
        baseline=[load("b", *(1e5,) * PERIODS)],
        offers=[
            curve("up", "a", (50_000, 10.0), (20_000, 20.0), count=PERIODS),
            curve("down", "b", (-70_000, 15.0), count=PERIODS),
            block("early", "a", (-40_000, -20_000, 0, 10_000), 30.0),
            block("late", "b", (0, 0, 25_000, -50_000), 35.0),
            *fleets,
        ],
    )


def _fleet(draw: st.DrawFn, name: str) -> Document:
    down, up = (draw(st.sampled_from([0, 10_000, 30_000])) for _ in range(2))
    present = [int(each) for each in draw(st.lists(st.booleans(), min_size=PERIODS, max_size=PERIODS))]
    energies = st.lists(st.integers(0, 60_000), min_size=PERIODS, max_size=PERIODS)
    least, most = [-each for each in draw(energies)], draw(energies)
    return envelope(name, draw(st.sampled_from("ab")), _power(down, up, present), (least, most), 40.0)


def _power(down: int, up: int, present: list[int]) -> tuple[list[int], list[int]]:
    return [-down * each for each in present], [up * each for each in present]


@st.composite
def chosen(draw: st.DrawFn) -> Cells:
    """Some columns, or all, of such a book or of any random market."""
    problem = problem_of(Case.model_validate(draw(st.one_of(books(), markets()))))
    own = draw(st.lists(st.booleans(), min_size=len(problem.columns), max_size=len(problem.columns)))
    picked = np.flatnonzero(own if draw(st.booleans()) else np.ones(len(own), dtype=np.bool_))
    assume(len(picked) > 0)
    return Cells.of(problem, picked)


def spread(cells: Cells) -> FloatArray:
    """S : (cell, k), from the market's own columns."""
    problem, places = cells.problem, cells.shape[0]
    found = np.zeros((places, len(cells.times), len(cells.chosen)))
    for number, column in enumerate(np.eye(len(problem.columns))[cells.chosen]):
        found[:, :, number] = problem.change(column)[np.ix_(cells.times, cells.places)].T
    return found.reshape(-1, len(cells.chosen))


def running(cells: Cells) -> FloatArray:
    """G : (e, k), from the running energies of the market's envelopes."""
    return np.array([_energies(cells.problem, column, cells) for column in np.eye(len(cells.problem.columns))]).T[
        :, cells.chosen
    ]


def _energies(problem: ClearingProblem, accepted: FloatArray, cells: Cells) -> FloatArray:
    envelope_of, period = cells.energies.T
    energies: FloatArray = problem.envelopes.running(accepted, envelope_of)[np.arange(len(period)), period]
    return energies


def positive(random: np.random.Generator, count: int, *, decades: float = 3.0) -> FloatArray:
    """Numbers of very different sizes."""
    return 10 ** random.uniform(-decades, decades, count)


@SOME
@given(chosen(), SEEDS)
def test_what_columns_change_in_cells_is_what_the_market_says(cells: Cells, seed: int) -> None:
    move = np.random.default_rng(seed).normal(size=len(cells.chosen))

    assert cells.spread(move).ravel() == pytest.approx(spread(cells) @ move)
    assert cells.matrix.toarray() == pytest.approx(spread(cells))


@SOME
@given(chosen(), SEEDS)
def test_worth_is_the_transpose_of_spread(cells: Cells, seed: int) -> None:
    random = np.random.default_rng(seed)
    move, price = random.normal(size=len(cells.chosen)), random.normal(size=cells.shape)

    assert cells.worth(price) @ move == pytest.approx(float((price * cells.spread(move)).sum()))


@SOME
@given(chosen())
def test_energies_are_the_bounds_that_count_and_that_the_columns_move(cells: Cells) -> None:
    envelopes, every = cells.problem.envelopes, np.zeros(len(cells.problem.columns))
    every[cells.chosen] = 1.0
    change = np.stack(
        [np.abs(envelopes.running(each * every, np.arange(len(envelopes)))) for each in np.eye(len(every))]
    ).sum(axis=0)

    assert cells.energies.tolist() == np.argwhere(envelopes.kept & (change > 0)).tolist()


@SOME
@given(chosen(), SEEDS)
def test_energy_is_the_running_energy_of_the_market(cells: Cells, seed: int) -> None:
    move = np.random.default_rng(seed).normal(size=len(cells.chosen))
    accepted = np.zeros(len(cells.problem.columns))
    accepted[cells.chosen] = move

    assert cells.energy(move) == pytest.approx(_energies(cells.problem, accepted, cells))


@SOME
@given(chosen(), SEEDS)
def test_energy_worth_is_the_transpose_of_energy(cells: Cells, seed: int) -> None:
    random = np.random.default_rng(seed)
    move, price = random.normal(size=len(cells.chosen)), random.normal(size=len(cells.energies))

    assert cells.energy_worth(price) @ move == pytest.approx(float(price @ cells.energy(move)))


@SOME
@given(chosen())
def test_every_cell_with_columns_is_among_the_occupied_ones_once(cells: Cells) -> None:
    taken = np.abs(spread(cells)).sum(axis=1).reshape(cells.shape) > 0
    found = np.zeros(cells.shape, dtype=np.int64)
    for places, times in cells.occupied:
        np.add.at(found, (places[:, None], times), 1)

    assert found.max() == 1
    assert found[taken].all()
    assert [each.tolist() for each in cells.places_at] == [np.flatnonzero(there).tolist() for there in taken.T]


@pytest.mark.parametrize("whole", [True, False], ids=["over all times", "over their own"])
@SOME
@given(cells=chosen(), seed=SEEDS)
def test_the_response_is_what_dense_algebra_says(whole: bool, cells: Cells, seed: int) -> None:
    """S (D + G'W^-1 G)^-1 S', D one over the loosenesses and W the slacks, which ties no two places."""
    random = np.random.default_rng(seed)
    loose, slack = positive(random, len(cells.chosen)), positive(random, len(cells.energies))
    s, g = spread(cells), running(cells)
    places, times = cells.shape

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tie, "as_whole", lambda widest, many, energies: whole)
        matrix = Response(cells, loose, slack).matrix

    every = np.zeros((places, times, places, times))
    every[np.arange(places), :, np.arange(places), :] = matrix
    dense = s @ np.linalg.solve(np.diag(1 / loose) + g.T @ np.diag(1 / slack) @ g, s.T)
    assert every.reshape(dense.shape) == pytest.approx(dense, rel=1e-7, abs=1e-9 * np.abs(dense).max())


@SOME
@given(chosen(), SEEDS)
def test_moves_and_energy_prices_solve_both_of_their_equations(cells: Cells, seed: int) -> None:
    random = np.random.default_rng(seed)
    loose, slack = (positive(random, len(each), decades=2.0) for each in (cells.chosen, cells.energies))
    push, energy = random.normal(size=len(loose)), random.normal(size=len(slack))
    price = random.normal(size=cells.shape)
    g, response = running(cells), Response(cells, loose, slack)

    lack = response.lack(push, energy)
    move, y = response.move(push, energy, lack, price)

    pushed = push - cells.worth(price)
    assert move / loose - g.T @ y == pytest.approx(pushed, abs=1e-9 * (np.abs(move / loose).max() + 1))
    assert g @ move + slack * y == pytest.approx(energy, abs=1e-9 * (np.abs(move).max() + 1))
    unpriced, _ = response.move(push, energy, lack, np.zeros_like(price))
    close = 1e-9 * (np.abs(unpriced).max() + 1)
    assert response.change(push, lack) == pytest.approx(cells.spread(unpriced), abs=close)


@SOME
@given(st.integers(1, 5), st.integers(1, 7), SEEDS)
def test_inverses_of_tridiagonal_systems_are_those_of_numpy(fleets: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    alone, slack = (positive(random, fleets * width, decades=2.0).reshape(fleets, width) for _ in range(2))
    matrix = np.zeros((fleets, width, width))
    for j in range(width):
        matrix[:, j, j] = alone[:, j] + slack[:, j] + (slack[:, j - 1] if j else 0.0)
        if j:
            matrix[:, j, j - 1] = matrix[:, j - 1, j] = -slack[:, j - 1]

    assert _inverse(alone, slack) == pytest.approx(np.linalg.inv(matrix), rel=1e-7)


@pytest.mark.parametrize("bounds", [(3, [2]), (2, [1]), (3, [0, 2]), (3, [0, 1, 2])], ids=str)
@pytest.mark.parametrize("at", [0, 1])
def test_no_digits_are_lost_where_energies_are_held_fast_and_one_column_is_loose(
    bounds: tuple[int, list[int]], at: int
) -> None:
    """Of 1e6 that one column gives way by all but 1e-9 is held back: still exact to the twelfth digit."""
    cells = held(*bounds)
    loose, slack = np.full(len(cells.chosen), 1e-9), np.full(len(cells.energies), 1e-14)
    loose[at] = 1e6

    (matrix,) = Response(cells, loose, slack).matrix

    assert cells.energies[:, 1].tolist() == bounds[1]
    assert matrix.ravel() == pytest.approx(np.array(exact(cells, loose, slack)).ravel(), rel=1e-12, abs=0)


def held(periods: int, bound_at: list[int]) -> Cells:
    """One fleet that may charge in every period, its running energy bound in some of them only."""
    most = [500 * (t + 1) if t in bound_at else 10**6 for t in range(periods)]
    book: dict[str, Any] = {
        "lines": chain("s", "a"),
        "baseline": [load("a", *(1e5,) * periods)],
        "offers": [envelope("f", "a", ([0] * periods, [10_000] * periods), ([0] * periods, most), 40.0)],
    }
    problem = problem_of(Case.model_validate(document(**book)))
    return Cells.of(problem, np.arange(len(problem.columns)))


def exact(cells: Cells, loose: FloatArray, slack: FloatArray) -> list[list[float]]:
    """(D + G'W^-1 G)^-1 in rational numbers, for one column in every cell."""
    g, d, w = (np.vectorize(Fraction, otypes=[object])(each) for each in (running(cells), loose, slack))
    matrix = g.T @ (g / w[:, None]) + np.diag(1 / d)
    return [[float(each) for each in row] for row in inverted(matrix.tolist())]


def inverted(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """By Gauss and Jordan; of positive definite matrices no pivot is zero."""
    size = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        rows[i] = [each / rows[i][i] for each in rows[i]]
        for j in range(size):
            if j != i:
                rows[j] = [one - rows[j][i] * other for one, other in zip(rows[j], rows[i], strict=True)]
    return [row[size:] for row in rows]
