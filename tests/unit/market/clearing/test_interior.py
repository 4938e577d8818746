"""The central path ends at the optimum of its quadratic programme, as an independent solver finds it."""

from dataclasses import dataclass, replace
from typing import Any

import highspy
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from api_spec.case import Case
from market.clearing import cells
from market.clearing.cells import Cells
from market.clearing.columns import NONE
from market.clearing.curvature import Curvature
from market.clearing.dispatch import baseline_dispatch
from market.clearing.interior import CentralPath
from market.clearing.linearisation import Linearisation
from market.clearing.problem import problem_of
from market.clearing.program import Bounds
from market.clearing.quadratic import Quadratic
from market.clearing.response import Response
from market.clearing.system import System
from market.network.model import FloatArray, IntArray
from tests.random_markets import markets
from tests.small_cases import Document, chain, curve, document, load

SOME = settings(
    max_examples=30,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    derandomize=True,
)
SEEDS = st.integers(0, 2**32 - 1)
TIGHT = 1e-11


@st.composite
def quadratics(draw: st.DrawFn) -> Quadratic:
    """A random market around its baseline, with a random convex curvature of full or of low rank."""
    model = around_baseline(draw(markets()))
    assume(len(model.time) > 0)
    (places, times), random = model.cells.shape, np.random.default_rng(draw(SEEDS))
    size, rank = 10 ** draw(st.floats(-2, 2)), draw(st.integers(0, places))
    roots = size * random.normal(size=(times, places, rank))
    return replace(model, curvature=Curvature.whole(roots @ roots.transpose(0, 2, 1)))


def around_baseline(document: Document) -> Quadratic:
    """All columns and the limits that are exceeded or not far from it, without curvature."""
    problem = problem_of(Case.model_validate(document))
    point = Linearisation(problem, baseline_dispatch(problem))
    rows = point.rows(point.dispatch.excess > -0.3)
    cells = Cells.of(problem, np.arange(len(problem.columns)))
    bounds = Bounds(np.zeros(len(problem.columns)), problem.columns.upper_mw)
    own = np.flatnonzero(np.isin(rows.period, cells.times))
    return Quadratic.around(point, rows, own, cells, bounds, None)


def followed(model: Quadratic, centrality: float = 3.0) -> CentralPath:
    """From far enough that limits which are exceeded at first do not matter."""
    path = CentralPath(model, np.zeros(len(model.time)), np.zeros(len(model.energy_low)), centrality)
    assert path.follow(TIGHT, exact=True)
    return path


@dataclass(frozen=True, eq=False)
class Dense:
    """The programme in x, with plain matrices: hessian (k, k), limits (r, k), energies (e, k), sharing (r, w)."""

    model: Quadratic
    hessian: FloatArray
    limits: FloatArray
    energies: FloatArray
    sharing: FloatArray

    @classmethod
    def of(cls, model: Quadratic) -> "Dense":
        places, times = model.cells.shape
        spread = model.cells.matrix.toarray().reshape(places, times, -1)
        curvature = np.zeros((times, places, places)) if model.curvature is None else model.curvature.dense()
        unit = np.eye(len(model.at))
        return cls(
            model,
            hessian=np.einsum("pti,tpq,qtj->ij", spread, curvature, spread),
            limits=np.einsum("rp,prj->rj", model.slope, spread[:, model.time]),
            energies=np.array([model.cells.energy(each) for each in unit]).T,
            sharing=np.eye(len(model.price))[model.unmet],
        )

    def cost(self, x: FloatArray) -> float:
        """With what stays unmet at x at its price."""
        move, unmet = x - self.model.at, np.zeros(len(self.model.price))
        np.maximum.at(unmet, self.model.unmet, self.model.excess + self.limits @ move)
        return float(self.model.cost @ move + move @ self.hessian @ move / 2 + self.model.price @ unmet)


def solved(dense: Dense) -> FloatArray:
    """The optimal x, by the active set method of HiGHS."""
    model = dense.model
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)  # as everywhere in this process, or HiGHS refuses
    k, w, r = len(model.at), len(model.price), len(model.time)
    matrix = np.block([[dense.limits, -dense.sharing], [dense.energies, np.zeros((len(dense.energies), w))]])
    programme: Any = highspy.HighsModel()
    linear, hessian = programme.lp_, programme.hessian_
    linear.num_col_, linear.num_row_ = k + w, len(matrix)
    linear.col_cost_ = np.concatenate([model.cost - dense.hessian @ model.at, model.price])
    linear.col_lower_ = np.concatenate([model.low, np.zeros(w)])
    linear.col_upper_ = np.concatenate([model.high, np.full(w, np.inf)])
    linear.row_lower_ = np.concatenate([np.full(r, -np.inf), model.energy_low])
    linear.row_upper_ = np.concatenate([dense.limits @ model.at - model.excess, model.energy_high])
    linear.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    linear.a_matrix_.start_, linear.a_matrix_.index_, linear.a_matrix_.value_ = _sparse(matrix)
    hessian.dim_, hessian.format_ = k + w, highspy.HessianFormat.kTriangular
    lower = np.zeros((k + w, k + w))
    lower[:k, :k] = np.triu(dense.hessian)  # its rows are the columns of the lower triangle
    hessian.start_, hessian.index_, hessian.value_ = _sparse(lower)
    highs.passModel(programme)
    highs.run()
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return np.array(highs.getSolution().col_value)[:k]


def _sparse(matrix: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Starts, columns and values, row by row."""
    row, column = np.nonzero(matrix)
    return np.searchsorted(row, np.arange(len(matrix) + 1)), column, matrix[row, column]


@SOME
@given(quadratics())
def test_the_path_ends_where_an_active_set_method_does(model: Quadratic) -> None:
    dense = Dense.of(model)

    path = followed(model)

    assert dense.cost(path.x) == pytest.approx(dense.cost(solved(dense)), rel=1e-6, abs=1e-6)


@SOME
@given(quadratics())
def test_the_end_of_the_path_satisfies_the_optimality_conditions(model: Quadratic) -> None:
    assert worst_breach(followed(model)) < 1e-7


def worst_breach(path: CentralPath) -> float:
    """Of stationarity, bounds and complementarity, the latter as products; prices relative to the scale."""
    model, dense, scale = path.model, Dense.of(path.model), path.scale
    move, (unmet, _) = path.x - model.at, path.unmet
    reduced = model.cost + dense.hessian @ move + dense.limits.T @ path.shadow - dense.energies.T @ path.energy_price
    energy = dense.energies @ path.x
    room = unmet[model.unmet] - model.excess - dense.limits @ move
    missing = model.price - dense.sharing.T @ path.shadow
    price, relative = path.energy_price / scale, reduced / scale
    parts = [
        *(-each for each in (path.x - model.low, model.high - path.x, energy - model.energy_low)),
        *(-each for each in (model.energy_high - energy, room, unmet, path.shadow / scale, missing / model.price)),
        np.abs(reduced - path.reduced) / scale,
        np.maximum(relative, 0) * (path.x - model.low),
        np.maximum(-relative, 0) * (model.high - path.x),
        np.maximum(price, 0) * (energy - model.energy_low),
        np.maximum(-price, 0) * (model.energy_high - energy),
        np.abs(path.shadow / scale * room),
        np.abs(missing / scale * unmet),
    ]
    return max(float(each.max(initial=0.0)) for each in parts)


@SOME
@given(quadratics(), st.floats(3, 100))
def test_where_the_path_begins_does_not_matter(model: Quadratic, centrality: float) -> None:
    dense = Dense.of(model)

    ends = [followed(model, each).x for each in (3.0, centrality)]

    assert dense.cost(ends[1]) == pytest.approx(dense.cost(ends[0]), rel=1e-7, abs=1e-7)


@SOME
@given(quadratics(), SEEDS)
def test_a_path_goes_on_to_the_optimum_of_a_programme_that_changed(model: Quadratic, seed: int) -> None:
    """From half of the limits and other costs to all of them."""
    random = np.random.default_rng(seed)
    kept = np.sort(random.permutation(len(model.time))[: (len(model.time) + 1) // 2])
    wholes, unmet = np.unique(model.unmet[kept], return_inverse=True)
    before = replace(
        model,
        cost=model.cost * random.uniform(0.9, 1.1, len(model.cost)),
        time=model.time[kept],
        slope=model.slope[kept],
        excess=model.excess[kept],
        unmet=unmet,
        price=model.price[wholes],
    )
    path = CentralPath(before, np.zeros(len(kept)), np.zeros(len(model.energy_low)), 3.0)
    assert path.follow(1e-2, exact=True)

    path.renew(model, numbers(kept, len(model.time)), numbers(wholes, len(model.price)))

    assert path.follow(TIGHT, exact=True)
    assert worst_breach(path) < 1e-7


def numbers(kept: IntArray, count: int) -> IntArray:
    """(count,) where each stands among those kept, or NONE."""
    found = np.full(count, NONE, dtype=np.intp)
    found[kept] = np.arange(len(kept))
    return found


@SOME
@given(quadratics())
def test_limits_that_cannot_be_met_are_left_unmet_at_exactly_their_price(model: Quadratic) -> None:
    """Each is exceeded by a hundred times more than all columns together could take away."""
    most = np.abs(Dense.of(model).limits) @ (model.high - model.low)
    impossible = replace(model, excess=100 * (1 + most))

    path = followed(impossible)

    unmet, _ = path.unmet
    assert model.shared(path.shadow) == pytest.approx(model.price, rel=1e-7)
    assert (unmet > 50).all()


@SOME
@given(quadratics())
def test_limits_that_are_far_away_cost_nothing(model: Quadratic) -> None:
    most = np.abs(Dense.of(model).limits) @ (model.high - model.low)

    path = followed(replace(model, excess=-100 * (1 + most)))

    assert np.abs(path.shadow).max() < 1e-7 * path.scale
    assert path.unmet[0].max() < 1e-7


@pytest.mark.parametrize(
    ("spoilt", "value"), [("cost", np.nan), ("cost", np.inf), ("excess", np.nan), ("curvature", np.nan)]
)
@SOME
@given(model=quadratics())
def test_where_numbers_are_none_the_path_leads_nowhere_and_warns_of_nothing(
    model: Quadratic, spoilt: str, value: float
) -> None:
    """Every warning is an error in tests."""
    path = CentralPath(model, np.ones(len(model.time)), np.zeros(len(model.energy_low)), 3.0)
    assert model.curvature is not None
    if spoilt == "curvature":
        path.model = replace(model, curvature=Curvature.whole(np.full_like(model.curvature.dense(), value)))
    else:
        path.model = replace(model, **{spoilt: np.full_like(getattr(model, spoilt), value)})

    assert not path.follow(TIGHT, exact=True)


def curved_among_nine_places(random: np.random.Generator) -> Quadratic:
    """A model whose curvature has more than four directions, and one limit."""
    buses = [f"b{k}" for k in range(9)]
    limit = {"id": "r", "kind": "capacity", "element": "l1", "import_limit_w": 8e5, "max_price_eur_per_mwh": 3000}
    offers = [curve(f"o{bus}", bus, (-100_000, 50.0)) for bus in buses]
    loads = [load(bus, 1e5) for bus in buses]
    model = around_baseline(document(lines=chain("s", *buses), baseline=loads, offers=offers, requests=[limit]))
    roots = random.normal(size=(1, 9, 9))
    return replace(model, curvature=Curvature.whole(roots @ roots.transpose(0, 2, 1)))


@pytest.mark.parametrize("seed", range(5))
def test_curvature_beside_its_main_directions_is_taken_in_where_asked_for(seed: int) -> None:
    """Of nine places, whose curvature has more than four directions."""
    random = np.random.default_rng(seed)
    model = curved_among_nine_places(random)
    dense, k, r, e = Dense.of(model), len(model.at), len(model.time), len(model.energy_low)
    loose, slack, give, unmet = (10 ** random.uniform(-1, 1, n) for n in (k, e, r, len(model.price)))
    push, room, energy = (random.normal(size=n) for n in (k, r, e))
    system = System(model, Response(model.cells, loose, slack), give, unmet)

    errors = []
    for exact in (False, True):
        move, shadow, y = system.solve(push, room, energy, exact=exact, refined=exact)
        pushed = move / loose + dense.hessian @ move + dense.limits.T @ shadow - dense.energies.T @ y
        errors.append(float(np.abs(pushed - push).max()))

    assert errors[0] > 0.1
    assert errors[1] < 1e-2 * errors[0]


@pytest.mark.parametrize("seed", range(3))
def test_a_refined_answer_keeps_to_limits_where_columns_are_very_loose(seed: int) -> None:
    """Columns that move by up to 10 000 units for one of price, and a limit that does not give way."""
    random = np.random.default_rng(seed)
    model = curved_among_nine_places(random)
    dense, k, r = Dense.of(model), len(model.at), len(model.time)
    loose, none = 10 ** random.uniform(-1, 4, k), np.zeros(0)
    push, room = random.normal(size=k), random.normal(size=r)
    system = System(model, Response(model.cells, loose, none), np.zeros(r), np.zeros(len(model.price)))

    errors = []
    for refined in (False, True):
        move, _, _ = system.solve(push, room, none, exact=True, refined=refined)
        errors.append(float(np.abs(dense.limits @ move - room).max()))

    assert errors[1] < 0.1 * errors[0] < 1e-6


@pytest.mark.parametrize("alike", [1, 8])
@SOME
@given(model=quadratics(), seed=SEEDS)
def test_a_newton_system_solves_its_three_equations(alike: int, model: Quadratic, seed: int) -> None:
    """Up to four directions of curvature, beside the diagonal, are solved for directly.

    alike : numbers of times by which places are worked on together; with 1, none that has no column is in the way.
    """
    random = np.random.default_rng(seed)
    assert model.curvature is not None
    curvature = model.curvature.dense()
    few = curvature * (np.linalg.matrix_rank(curvature) <= 4)[:, None, None]
    model = replace(model, curvature=Curvature.whole(few))
    dense, k, r, e = Dense.of(model), len(model.at), len(model.time), len(model.energy_low)
    loose, slack, give, unmet = (10 ** random.uniform(-1, 1, n) for n in (k, e, r, len(model.price)))
    push, room, energy = (random.normal(size=n) for n in (k, r, e))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_ALIKE", alike)
        system = System(model, Response(model.cells, loose, slack), give, unmet)
    move, shadow, y = system.solve(push, room, energy)

    pushed = move / loose + dense.hessian @ move + dense.limits.T @ shadow - dense.energies.T @ y
    given_way = np.diag(give) + dense.sharing @ np.diag(unmet) @ dense.sharing.T
    assert pushed == pytest.approx(push, abs=1e-7 * (1 + np.abs(dense.hessian).max()))
    assert dense.limits @ move - given_way @ shadow == pytest.approx(room, abs=1e-7)
    assert dense.energies @ move + slack * y == pytest.approx(energy, abs=1e-7)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_direction_that_is_no_number_is_not_taken(monkeypatch: pytest.MonkeyPatch, number: float) -> None:
    """The path is given up where it stands, at powers that are numbers."""
    terms = {"power_w": [-100_000] * 2, "price_eur_per_mwh": 5.0}
    offer = {"id": "o", "participant": "agg", "bus": "b1", "kind": "curve", "steps": [terms]}
    model = around_baseline(document(lines=chain("s", "b1"), baseline=[load("b1", 1e6, 2e6)], offers=[offer]))
    path = CentralPath(model, np.zeros(len(model.time)), np.zeros(len(model.energy_low)), 3.0)
    before = path.x.copy()

    def lost(_: System, push: FloatArray, gap: FloatArray, lack: FloatArray, **_how: bool) -> tuple[FloatArray, ...]:
        return tuple(np.full_like(each, number) for each in (push, gap, lack))

    monkeypatch.setattr(System, "solve", lost)

    assert not path.follow(TIGHT, exact=True)
    assert (path.x == before).all()


def test_a_way_that_takes_too_long_is_given_up_in_the_middle_of_a_stage() -> None:
    """A time limit that has passed already stops it at its first round."""
    terms = {"power_w": [-100_000], "price_eur_per_mwh": 5.0}
    offer = {"id": "o", "participant": "agg", "bus": "b1", "kind": "curve", "steps": [terms]}
    model = around_baseline(document(lines=chain("s", "b1"), baseline=[load("b1", 1e6)], offers=[offer]))
    path = CentralPath(model, np.zeros(len(model.time)), np.zeros(len(model.energy_low)), 3.0)
    before = path.gap

    assert not path.follow(TIGHT, exact=True, until=0.0)
    assert path.gap == before
    assert path.follow(TIGHT, exact=True)
