"""Plans of random small sites: every limit holds, and none costs more than what an independent model finds."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator_agents.fleet import ROTATIONS, FloatArray, Session, Site, Vehicle
from aggregator_agents.planning import AtPlug, Corridor, Grid, Peak, Plan, Planner, Prices, Problem, Valuation
from aggregator_agents.planning.merit import MeritOrder
from aggregator_agents.planning.model import build_model
from aggregator_agents.planning.solver import NoPlan, Solver
from tests.unit.aggregator_agents.places import HOUR, NOON, site, vehicle
from tests.unit.aggregator_agents.reference_plan import Reference

STEPS = 5


@st.composite
def vehicles(draw: st.DrawFn) -> Vehicle:
    return Vehicle(
        phases=draw(st.sampled_from([1, 2, 3, 3])),
        min_a=draw(st.sampled_from([6, 6, 8])),
        max_a=draw(st.sampled_from([10, 16, 16, 32])),
        efficiency=draw(st.sampled_from([1.0, 0.9])),
        discharge_a=draw(st.sampled_from([0, 0, 10, 16])),
        battery_wh=draw(st.sampled_from([None, 30_000.0])),
    )


@st.composite
def problems(draw: st.DrawFn, *, whole: bool | None = None) -> Problem:
    fuse_a = draw(st.sampled_from([10, 16, 20, 25, 40]))
    site = Site.of(
        "lot", chargers=2, plugs_per_charger=2, fuse_a=fuse_a, rotations=draw(st.permutations(ROTATIONS).map(tuple))
    )
    grid = Grid(NOON, np.array(draw(st.lists(st.sampled_from([1 / 12, 0.25]), min_size=STEPS, max_size=STEPS))))
    plugs = draw(st.lists(st.sampled_from([each.id for each in site.plugs]), unique=True, min_size=1))
    sessions, at_plug = list[Session](), dict[str, AtPlug]()
    for plug in plugs:
        arrives = NOON + draw(st.sampled_from([-0.5, -0.5, 0.0, 0.2])) * HOUR
        departs = NOON + draw(st.floats(0.05, 1.5)) * HOUR
        vehicle, stored_wh = draw(vehicles()), draw(st.sampled_from([5_000.0, 8_000.0]))
        energy_wh = draw(st.sampled_from([-2_000.0, 0.0, 100.0, 1_000.0, 4_000.0, 12_000.0]))
        floor_wh, priority = draw(st.sampled_from([0.0, 5_000.0])), draw(st.sampled_from([1.0, 2.0]))
        sessions.append(
            Session(plug, plug, arrives, departs, energy_wh, vehicle, priority, stored_wh=stored_wh, floor_wh=floor_wh)
        )
        if arrives <= NOON:
            seen = site.charger_of(plug).phases_of(vehicle)
            signal_a = draw(st.sampled_from([0, 10, -6 if vehicle.discharge_a else 6]))
            at_plug[plug] = AtPlug(signal_a, draw(st.sampled_from([0.0, 3_000.0])), draw(st.sampled_from([seen, None])))
    value = Valuation(fairness=draw(st.sampled_from([0.0, 0.5, 1.0])), wear_eur_per_mwh=20)
    return Problem(
        site,
        grid,
        tuple(sessions),
        value,
        draw(prices()),
        other_a=draw(st.one_of(st.none(), others(fuse_a + 5))),
        export_a=draw(st.sampled_from([None, 0, 10])),
        corridor=draw(st.one_of(st.none(), corridors())),
        peaks=draw(st.lists(peaks(), max_size=2).map(tuple)),
        at_plug=at_plug,
        whole=draw(st.booleans()) if whole is None else whole,
    )


def series(least: float, most: float) -> st.SearchStrategy[FloatArray]:
    return st.lists(st.integers(int(least), int(most)), min_size=STEPS, max_size=STEPS).map(
        lambda each: np.array(each, dtype=np.float64)
    )


@st.composite
def prices(draw: st.DrawFn) -> Prices:
    buy = draw(series(20, 400))
    return Prices(buy, buy - draw(series(0, 100)))


@st.composite
def others(draw: st.DrawFn, most_a: int) -> FloatArray:
    return np.array([draw(series(-8, most_a)) for _ in range(3)])


@st.composite
def corridors(draw: st.DrawFn) -> Corridor:
    floor = draw(series(-5_000, 5_000))
    return Corridor(floor + draw(series(0, 10_000)), floor, draw(series(10, 3_000)))


@st.composite
def peaks(draw: st.DrawFn) -> Peak:
    counts = np.array(draw(st.lists(st.booleans(), min_size=STEPS, max_size=STEPS)))
    return Peak(draw(st.sampled_from([0.1, 1.0])), draw(st.sampled_from([0.0, 4_000.0])), counts)


def objective_eur(problem: Problem, plan: Plan) -> float:
    """What a plan costs with what was missed, put off and stopped."""
    charging_a = np.maximum(plan.amps, 0.0)
    cost = plan.cost_eur + float((problem.hurry_eur_per_mwh * problem.amp_wh * charging_a).sum()) / 1e6
    if problem.corridor is not None:
        cost += float((problem.corridor.missed_eur_per_mwh * plan.missed_w) @ problem.grid.length_h) / 1e6
    now_a, was_a = plan.amps[:, 0], problem.signal_a
    stopped = problem.present & (((was_a > 0) & (now_a <= 0)) | ((was_a < 0) & (now_a >= 0)))
    return cost + problem.value.switching_eur * int(stopped.sum())


@settings(max_examples=60, deadline=None)
@given(problems())
def test_no_plan_costs_more_than_an_independent_model_finds(problem: Problem) -> None:
    made = Planner(gap=1e-7).plan(problem)

    assert made.how == "optimal"
    assert objective_eur(problem, made) == pytest.approx(Reference(problem).solve(), abs=2e-5, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from([(16, 25), (32, 40)]), st.data())
def test_vehicles_that_share_nothing_are_planned_as_cheaply_without_a_solver(
    problem: Problem, sizes: tuple[int, int], data: st.DataObject
) -> None:
    """Vehicles that only charge, one after the other, behind a fuse that carries each: 16 A of 25 A, 32 A of 40 A."""
    charger_a, fuse_a = sizes
    site = Site.of("lot", chargers=1, plugs_per_charger=2, charger_a=charger_a, fuse_a=fuse_a)
    first, *_ = (replace(each, vehicle=replace(each.vehicle, discharge_a=0)) for each in problem.sessions)
    here = replace(first, plug="lot-1-1", departs=min(first.departs, NOON + 0.5 * HOUR))
    later = replace(here, id="later", plug="lot-1-2", arrives=NOON + HOUR, departs=NOON + 2 * HOUR)
    other_a = data.draw(st.one_of(st.none(), series(-20, 7).map(lambda each: np.tile(each, (3, 1)))))
    at_plug = {id: replace(seen, signal_a=max(0, seen.signal_a)) for id, seen in problem.at_plug.items()}
    alone = replace(problem, site=site, sessions=(here, later), peaks=(), other_a=other_a, at_plug=at_plug)

    made = Planner(gap=1e-7, solver=Mute(knows_relaxed=False)).plan(alone)

    assert made.how == "optimal"
    assert objective_eur(alone, made) == pytest.approx(Reference(alone).solve(), abs=2e-5, rel=1e-5)


def test_who_was_switched_off_before_and_is_on_again_is_left_to_the_solver() -> None:
    """It must stay on, which ties its first step to more than its energy."""
    here = vehicle()
    grid, prices = Grid(NOON, np.full(STEPS, 0.25)), Prices.bought(np.zeros(STEPS))
    alone = [
        Problem(site(), grid, (here,), Valuation(), prices, at_plug={here.id: AtPlug(10, stops=stops)})
        for stops in (0, 1)
    ]
    assert [MeritOrder.of(each) is not None for each in alone] == [True, False]


class Mute(Solver):
    """Finds nothing, or nothing any more once the relaxed plan is known."""

    def __init__(self, *, knows_relaxed: bool) -> None:
        super().__init__()
        self._knows_relaxed = knows_relaxed

    def linear(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        if self._knows_relaxed:
            return super().linear(*args, **kwargs)  # type: ignore[arg-type]
        raise NoPlan("out of time")

    def fixed(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        raise NoPlan("out of time")


@pytest.mark.parametrize("how", ["optimal", "relaxed", "water-fill"])
@settings(max_examples=40, deadline=None)
@given(problem=problems(whole=True))
def test_fuse_chargers_whole_amps_and_the_drivers_floor_hold_however_a_plan_came_about(
    how: str, problem: Problem
) -> None:
    planner = Planner() if how == "optimal" else Planner(solver=Mute(knows_relaxed=how == "relaxed"))
    made = planner.plan(problem)

    if MeritOrder.of(problem) is not None:
        assert made.how == "optimal"
    elif how == "water-fill" or problem.present.any():
        assert made.how == how
    charging_a, fed_a = np.maximum(made.amps, 0.0), np.maximum(-made.amps, 0.0)
    site, safe_a = problem.site, problem.site.floor_a
    for phase in range(3):
        drawn_a = charging_a * problem.uses[:, [phase]]
        at_charger = np.array(
            [[site.charger_of(each.plug) is own for each in problem.sessions] for own in site.chargers]
        )
        each_a = at_charger @ drawn_a
        assert (each_a <= [[own.max_a] for own in site.chargers] + np.full((1, STEPS), 1e-6)).all()
        room_a = np.maximum(problem.room_a[phase], 0.0)
        assert (drawn_a.sum(axis=0) <= room_a + 1e-6).all()
        assert (np.maximum(each_a, safe_a).sum(axis=0) <= np.maximum(room_a, 2 * safe_a) + 1e-6).all()
        assert ((fed_a * problem.uses[:, [phase]]).sum(axis=0) <= problem.feed_a[phase] + 1e-6).all()
    for session, now_a, here in zip(problem.sessions, made.amps[:, 0].tolist(), problem.present.tolist(), strict=True):
        assert not here or now_a == int(now_a)
        assert now_a >= 0 or session.stored_wh > session.floor_wh
        assert not here or now_a <= 0 or session.vehicle.min_a <= now_a <= min(16, session.vehicle.max_a)
    only = ~problem.feeds_back
    assert (made.power_w[only] @ problem.grid.length_h <= problem.wanted_wh[only] + 1e-3).all()
    assert (made.amps[problem.share == 0] == 0).all()


def test_who_wants_nothing_and_fed_back_just_now_is_stopped_and_not_planned_by_halves() -> None:
    """With fractions of an amp it would go on, and charge as much; whole amps of feeding alone it does not have."""
    car = Vehicle(phases=1, min_a=6, max_a=10, discharge_a=10, battery_wh=30_000.0)
    leaving = Session("leaving", "lot-1-1", NOON - HOUR / 2, NOON + HOUR / 16, 0.0, car, stored_wh=5_000.0)
    problem = Problem(
        Site.of("lot", chargers=2, plugs_per_charger=2, charger_a=16, fuse_a=10),
        Grid(NOON, np.full(5, 1 / 12)),
        (leaving,),
        Valuation(switching_eur=0.05),
        Prices.bought(np.full(5, 20.0)),
        at_plug={"leaving": AtPlug(signal_a=-6)},
    )

    made = Planner().plan(problem)

    assert made.how == "optimal"
    assert (made.amps == 0).all()


@settings(max_examples=20, deadline=None)
@given(problems(whole=True), st.integers(0, 2))
def test_a_plan_from_the_last_ones_basis_costs_what_one_from_nothing_costs(problem: Problem, later: int) -> None:
    planner = Planner(gap=1e-7)
    planner.plan(problem)
    moved = Problem(
        problem.site,
        Grid(NOON + later * timedelta(minutes=5), problem.grid.length_h),
        problem.sessions,
        problem.value,
        problem.prices,
        at_plug=problem.at_plug,
    )

    warm, cold = planner.plan(moved), Planner(gap=1e-7).plan(moved)
    assert objective_eur(moved, warm) == pytest.approx(objective_eur(moved, cold), abs=2e-5, rel=1e-5)


@settings(deadline=None)
@given(problems(whole=False))
def test_an_optimum_that_is_known_takes_no_step_to_be_found_again(problem: Problem) -> None:
    """Its basis is kept by keys: which variables and rows are in it, and at which bound the others stand."""
    solver, program = Solver(), build_model(problem).program
    first = solver.linear(program)
    again = solver.linear(program)

    assert solver._highs.getInfo().simplex_iteration_count == 0
    assert again.values == pytest.approx(first.values)
