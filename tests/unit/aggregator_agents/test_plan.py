"""Plans to check with a pencil: one or two vehicles, quarter-hours from noon, 690 W for an amp on three phases."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from aggregator_agents.fleet import Session, Site, Vehicle
from aggregator_agents.planning import AtPlug, Corridor, Grid, Peak, Plan, Planner, Prices, Problem, Valuation
from aggregator_agents.planning import solver as solver_module
from aggregator_agents.planning.solver import NoPlan, Solver
from tests.unit.aggregator_agents.places import FULL_W, HOUR, NOON, quarters, site, vehicle

PATIENT = Valuation(waiting_eur_per_mwh_hour=1)
FAIR = Valuation(fairness=1.0)
FOUR = Grid.of(quarters(4))
FIVE_MINUTES = Grid(NOON, np.array([1 / 12]))


def planned(
    *sessions: Session,
    place: Site | None = None,
    grid: Grid = FOUR,
    buy: Any = 100.0,
    sell: Any = None,
    value: Valuation = PATIENT,
    **asked: Any,
) -> Plan:
    prices = np.broadcast_to(np.asarray(buy, dtype=np.float64), grid.count)
    sold = np.minimum(prices, 0.0) if sell is None else np.broadcast_to(np.asarray(sell, dtype=np.float64), grid.count)
    return Planner(gap=1e-6).plan(Problem(place or site(), grid, sessions, value, Prices(prices, sold), **asked))


def one_phase(session: Session) -> Session:
    return replace(session, vehicle=replace(session.vehicle, phases=1))


def other(*rows: list[float]) -> np.ndarray:
    """The same on all three phases [A], step by step."""
    return np.tile(np.array(rows, dtype=np.float64), (3, 1)) if len(rows) == 1 else np.array(rows, dtype=np.float64)


def test_half_an_hour_of_charging_waits_for_the_cheap_half_hour() -> None:
    """5.52 kWh at 50 instead of 300 EUR/MWh, 45 minutes after arrival in the mean."""
    made = planned(vehicle(wants_wh=FULL_W / 2), buy=[300, 300, 50, 50], whole=False)

    assert made.total_w == pytest.approx([0, 0, FULL_W, FULL_W])
    assert made.cost_eur == pytest.approx((50 + 0.75) * FULL_W / 2 * 1e-6)
    assert made.how == "optimal"


def test_two_one_phase_vehicles_share_the_first_phase_unless_a_charger_is_rotated() -> None:
    """A fuse of 11 A: both on L1 get 11 A together; behind another rotation each gets its own 11 A."""
    both = [one_phase(vehicle("lot-1-1", stays_h=1)), one_phase(vehicle("lot-2-1", stays_h=1))]
    straight = Site.of("lot", chargers=2, plugs_per_charger=1, fuse_a=11)
    rotated = Site.of("lot", chargers=2, plugs_per_charger=1, fuse_a=11, rotations=("RST", "STR"))

    assert planned(*both, place=straight).total_w == pytest.approx(11 * 230)
    assert planned(*both, place=rotated).total_w == pytest.approx(2 * 11 * 230)


def test_unknown_phases_count_on_all_three_until_they_are_learned() -> None:
    """Two one-phase vehicles on different phases, 11 A: while one is unknown, it takes room on the other's phase."""
    both = [one_phase(vehicle("lot-1-1", stays_h=1)), one_phase(vehicle("lot-2-1", stays_h=1))]
    place = Site.of("lot", chargers=2, plugs_per_charger=1, fuse_a=11, rotations=("RST", "STR"))
    known, unknown = AtPlug(phases=(1,)), AtPlug(phases=None)

    for seen, amps in ((known, 22), (unknown, 11)):
        made = planned(*both, place=place, at_plug={both[0].id: AtPlug(phases=(0,)), both[1].id: seen})
        assert sum(made.setpoint_a.values()) == amps


def test_a_load_on_one_phase_limits_only_those_that_use_it() -> None:
    """A two-phase vehicle on L1 and L2, 20 of 25 A gone on L2: 5 A are left, which is not enough to charge at all."""
    two = replace(vehicle(stays_h=1), vehicle=Vehicle(phases=2))

    for busy, amps in ((1, 0), (2, 16)):
        load = np.zeros((3, 4))
        load[busy] = 20
        assert planned(two, place=site(fuse_a=25), other_a=load).setpoint_a[two.id] == amps


def test_on_eleven_amps_one_of_two_charges_and_never_both_with_less_than_six() -> None:
    both = [vehicle("lot-1-1", stays_h=1), vehicle("lot-2-1", stays_h=1)]
    made = planned(*both, place=site(chargers=2, fuse_a=11))

    assert sorted(made.setpoint_a.values()) == [0, 11]


def test_at_most_ten_of_sixteen_three_phase_vehicles_are_on() -> None:
    """63 A: 16 x 3.9 A do not exist. 7 A for every charger, and 7 more: of its plugs one is on, at eight or nine."""
    place = Site.of("lot", chargers=8, plugs_per_charger=2, fuse_a=63)
    on = [
        each for each in planned(*(vehicle(plug.id) for plug in place.plugs), place=place).setpoint_a.values() if each
    ]

    assert sum(on) == 63
    assert len(on) <= 10
    assert min(on) >= 6


def test_a_charger_without_contact_may_fall_back_so_its_share_is_left_alone() -> None:
    """Two chargers on 25 A fall back to 12 A each: alone, one vehicle gets 12 + 1 A, not 16."""
    place = site(chargers=2, fuse_a=25)

    assert planned(vehicle(stays_h=1), place=place).setpoint_a == {"lot-1-1 today": 13}


def test_where_floors_are_yielded_only_chargers_with_a_vehicle_keep_theirs() -> None:
    """Three chargers with 7 A each of 21: of the two that are used each leaves 7 to the other, so 14 beside 7."""
    both = [vehicle("lot-1-1"), vehicle("lot-2-1", wants_wh=4_830)]
    place = replace(site(chargers=3, fuse_a=21), yields_floors=True)
    kept, yielded = (planned(*both, place=each) for each in (replace(place, yields_floors=False), place))

    assert kept.amps.max() == pytest.approx(7)
    assert sorted(yielded.amps[:, 0]) == pytest.approx([7, 14])
    assert planned(vehicle(), place=place).setpoint_a == {"lot-1-1 today": 16}


def test_discharging_pays_when_the_spread_is_wider_than_losses_and_wear() -> None:
    """Feeds 6.9 kWh at 300 and charges them again at 100 EUR/MWh: 0.9 x 0.9 of what is bought comes back."""
    able = Vehicle(efficiency=0.9, discharge_a=10)
    car = replace(vehicle(stays_h=4, wants_wh=0), vehicle=able, stored_wh=20_000, floor_wh=5_000)
    value = Valuation(waiting_eur_per_mwh_hour=1e-3, wear_eur_per_mwh=20)
    buy = np.array([300.0] * 4 + [100.0] * 8)
    made = planned(car, grid=Grid.of(quarters(12)), buy=buy, sell=buy, value=value, whole=False)

    assert made.total_w[:4] == pytest.approx(-6_900)
    assert made.total_w[4:].sum() / 4 == pytest.approx(6_900 / 0.81)
    assert made.cost_eur == pytest.approx((6.9 * (20 - 300) + 6.9 / 0.81 * 100) / 1e3, abs=1e-4)


def test_wear_keeps_a_narrow_spread_from_turning_the_battery_over() -> None:
    car = replace(vehicle(wants_wh=0), vehicle=Vehicle(discharge_a=10), stored_wh=20_000)
    buy = np.array([150.0] * 2 + [100.0] * 2)

    assert planned(car, buy=buy, sell=buy).total_w == pytest.approx(0)


def test_nothing_is_fed_back_below_the_drivers_floor_nor_by_who_cannot() -> None:
    """5 kWh stored of which the floor is 5: nothing to give, though energy is dear now and free later."""
    buy = np.array([900.0, 900.0, 0.0, 0.0])
    for vehicle_, stored_wh, floor_wh in ((Vehicle(discharge_a=16), 5_000, 5_000), (Vehicle(), 20_000, 0)):
        car = replace(vehicle(wants_wh=0), vehicle=vehicle_, stored_wh=stored_wh, floor_wh=floor_wh)
        assert planned(car, buy=buy, sell=buy).total_w.min() >= 0


def test_a_vehicle_below_its_floor_is_lifted_to_it_although_energy_is_dear() -> None:
    """4 kWh below what its driver never wants to be below: charged now, and not when energy costs nothing."""
    car = replace(vehicle(wants_wh=4_000), vehicle=Vehicle(discharge_a=16), stored_wh=1_000, floor_wh=5_000)
    made = planned(car, buy=[300, 300, 0, 0])

    assert made.total_w[:2].sum() / 4 == pytest.approx(4_000, rel=1e-3)


def test_pv_is_charged_before_it_is_sold_for_less_than_energy_costs() -> None:
    """12 A of PV in the third quarter-hour, sold for 50 or used for what costs 300 EUR/MWh at any other time."""
    made = planned(vehicle(wants_wh=12 * 690 / 4), buy=300, sell=50, other_a=other([0, 0, -12, 0]))

    assert made.total_w == pytest.approx([0, 0, 12 * 690, 0])
    assert made.cost_eur == pytest.approx(12 * 690 / 4 * (50 + 0.625) * 1e-6)


def test_pv_does_not_make_the_fuse_bigger() -> None:
    """It can be gone before a lease is: 10 A stay 10 A."""
    made = planned(vehicle(), place=site(fuse_a=10), other_a=other([-12, -12, -12, -12]))

    assert made.amps.max() == pytest.approx(10)


def test_what_may_not_be_fed_in_is_only_fed_back_to_the_house() -> None:
    """A house of 4 A per phase and no feed-in: of 10 A that the vehicle could give, 4 A are used.

    Its driver can do with 10 kWh less than there is.
    """
    car = replace(vehicle(wants_wh=-10_000), vehicle=Vehicle(discharge_a=10), stored_wh=20_000)
    made = planned(car, buy=[500, 500, 500, 500], sell=0, other_a=other([4, 4, 4, 4]), export_a=0, whole=False)

    assert made.amps == pytest.approx(-4)


def test_a_price_of_the_peak_spreads_charging_over_the_time_there_is() -> None:
    """11.04 kWh in two hours: 5.52 kW throughout instead of 11.04 kW for an hour; 3 kW were drawn already."""
    peak = Peak(1.0, 3_000.0, np.ones(8, dtype=np.bool_))
    made = planned(vehicle(stays_h=2), grid=Grid.of(quarters(8)), peaks=(peak,), whole=False)

    assert made.total_w == pytest.approx(FULL_W / 2)
    assert made.cost_eur == pytest.approx(2.52 + (100 + 1) * FULL_W * 1e-6)


def test_a_flat_shortfall_misses_energy_anywhere_and_a_fair_one_finishes_the_small_demand() -> None:
    """An hour of 11 A for 4 and 12 kWh: 7.59 kWh. The small demand is met, the rest goes to the other."""
    both = [vehicle("lot-1-1", wants_wh=12_000, stays_h=1), vehicle("lot-2-1", wants_wh=4_000, stays_h=1)]
    place = site(chargers=2, fuse_a=11)
    flat, fair = (
        planned(*both, place=place, value=Valuation(fairness=fairness), whole=False) for fairness in (0.0, 1.0)
    )

    assert flat.shortfall_wh.sum() == pytest.approx(16_000 - 7_590)
    assert fair.shortfall_wh == pytest.approx([12_000 - 3_590, 0])


def test_equal_demands_are_missed_equally_where_drivers_count_the_same() -> None:
    """Two ask for 11 kWh and 4.14 kWh can be had: the last quarters that both miss are dear, so each gets 2.07."""
    both = [vehicle("lot-1-1", stays_h=1), vehicle("lot-2-1", stays_h=1)]
    made = planned(*both, place=site(chargers=2, fuse_a=8), value=Valuation(fairness=1), whole=False)

    assert made.shortfall_wh == pytest.approx(FULL_W - 8 * 690 / 2)


def test_an_urgent_driver_of_twice_the_priority_comes_first() -> None:
    both = [vehicle("lot-1-1", stays_h=1), replace(vehicle("lot-2-1", stays_h=1), priority=2.0)]

    assert planned(*both, place=site(chargers=2, fuse_a=11)).setpoint_a == {both[0].id: 0, both[1].id: 11}


def test_an_order_is_followed_in_whole_amps_and_what_is_not_is_said() -> None:
    """Not above 5 kW: 7 A are 4.83 kW. At least 10 kW: 15 A are 10.35 kW. Without a vehicle, all is missed."""
    ceiling = Corridor(np.full(4, 5_000.0), np.full(4, -np.inf), np.full(4, 5_000.0))
    floor = Corridor(np.full(4, np.inf), np.array([10_000.0] * 2 + [-np.inf] * 2), np.full(4, 5_000.0))

    assert planned(vehicle(), corridor=ceiling).setpoint_a == {"lot-1-1 today": 7}
    assert planned(vehicle(wants_wh=6_000), buy=[300, 300, 0, 0], corridor=floor).setpoint_a == {"lot-1-1 today": 15}
    assert planned(corridor=floor).missed_w == pytest.approx([10_000, 10_000, 0, 0])


def test_a_vehicle_that_needs_less_than_the_minimum_for_a_whole_step_still_finishes() -> None:
    """100 Wh, and 6 A for five minutes are 345 Wh: on at 6 A until it is full."""
    made = planned(vehicle(wants_wh=100), grid=FIVE_MINUTES)

    assert made.setpoint_a == {"lot-1-1 today": 6}
    assert made.shortfall_wh == pytest.approx([0])
    assert made.power_w == pytest.approx(1_200)


def test_who_is_on_stays_on_among_equals() -> None:
    both = [vehicle("lot-1-1"), vehicle("lot-2-1")]
    for on, off in (both, reversed(both)):
        made = planned(*both, place=site(chargers=2, fuse_a=11), at_plug={on.id: AtPlug(11, phases=(0, 1, 2))})
        assert made.setpoint_a == {on.id: 11, off.id: 0}


def a_small_demand_comes(*, stops: int, signal_a: int = 11, **asked: Any) -> Plan:
    """11 A, on which one of two can charge: the large demand does, when a small one comes for a quarter of an hour.

    1.8 kWh are 10.4 A of it: 10 A, which a pilot can signal.
    """
    large, small = vehicle("lot-1-1", wants_wh=12_000, stays_h=1), vehicle("lot-2-1", wants_wh=1_800, stays_h=0.25)
    known = {large.id: AtPlug(signal_a, 0.0, (0, 1, 2), stops), small.id: AtPlug(phases=(0, 1, 2))}
    return planned(large, small, place=site(chargers=2, fuse_a=11), value=FAIR, at_plug=known, **asked)


def test_who_is_on_again_after_a_stop_stays_on_until_it_is_full() -> None:
    """Once it may be switched off for another one; so it is switched off twice at most, the last time included."""
    assert list(a_small_demand_comes(stops=0).setpoint_a.values()) == [0, 10]
    assert list(a_small_demand_comes(stops=1).setpoint_a.values()) == [11, 0]
    assert list(a_small_demand_comes(stops=1, signal_a=0).setpoint_a.values()) == [0, 10], "it is not on"


def test_what_was_sold_and_the_fuse_switch_off_who_was_stopped_before() -> None:
    """6 A are 4.14 kW: below 4 kW, or beside 6 of 11 A, nobody charges."""
    low = Corridor(np.full(4, 4_000.0), np.full(4, -np.inf), np.full(4, 1e6))

    assert set(a_small_demand_comes(stops=1, corridor=low).setpoint_a.values()) == {0}
    assert set(a_small_demand_comes(stops=1, other_a=other([6, 0, 0, 0])).setpoint_a.values()) == {0}


def test_of_equal_drivers_whoever_leaves_first_goes_first_where_drivers_count_the_same() -> None:
    """Both can have all they want of 11 A, one after the other."""
    late, early = vehicle("lot-1-1", wants_wh=2_000, stays_h=1), vehicle("lot-2-1", wants_wh=2_000, stays_h=0.75)
    made = planned(late, early, place=site(chargers=2, fuse_a=11), value=FAIR)

    assert made.setpoint_a[late.id] == 0 and made.setpoint_a[early.id] >= 8
    assert made.shortfall_wh == pytest.approx([0, 0])


def test_a_house_that_draws_more_than_the_fuse_leaves_nothing_and_no_exception() -> None:
    made = planned(vehicle(), place=site(fuse_a=20), other_a=other([25, 25, 0, 0]))

    assert made.amps[:, :2].max() == 0
    assert made.amps[:, 2:].max() > 0


def test_a_limit_below_six_amps_and_a_limit_of_none_keep_the_vehicle_off() -> None:
    for fuse_a in (0, 5):
        assert planned(vehicle(), place=Site("lot", fuse_a, site().chargers)).setpoint_a == {"lot-1-1 today": 0}


def test_a_site_without_vehicles_has_a_plan() -> None:
    made = planned(other_a=other([-5, 1, 1, 1]), sell=50)

    assert made.total_w == pytest.approx([0] * 4)
    assert made.cost_eur == 0


class _Silent(Solver):
    def linear(self, *args: object, **kwargs: object) -> Any:
        raise NoPlan("out of time")


def test_without_a_solver_the_most_urgent_are_filled_and_the_order_is_kept() -> None:
    """25 A are 12 A for each charger and one more: the one with 30 minutes left comes first. Then below 5 kW."""
    both = (vehicle("lot-1-1", stays_h=4), vehicle("lot-2-1", stays_h=0.5))
    prices = Prices.bought(np.full(4, 100.0))
    asked = Problem(site(chargers=2, fuse_a=25), FOUR, both, PATIENT, prices)
    low = Corridor(np.full(4, 5_000.0), np.full(4, -np.inf), np.full(4, 500.0))

    made = Planner(solver=_Silent()).plan(asked)
    assert made.how == "water-fill"
    assert made.setpoint_a == {both[0].id: 12, both[1].id: 13}
    kept = Planner(solver=_Silent()).plan(replace(asked, corridor=low))
    assert kept.setpoint_a == {both[0].id: 0, both[1].id: 7}
    on_again = {both[0].id: AtPlug(6, 0.0, (0, 1, 2), stops=1)}
    kept = Planner(solver=_Silent()).plan(replace(asked, corridor=low, at_plug=on_again))
    assert kept.setpoint_a == {both[0].id: 7, both[1].id: 0}


def test_no_time_at_all_still_makes_a_plan() -> None:
    both = (vehicle("lot-1-1"), vehicle("lot-2-1"))
    asked = Problem(site(chargers=2, fuse_a=11), FOUR, both, PATIENT, Prices.bought(np.full(4, 100.0)))

    assert sum(Planner(within_s=0).plan(asked).setpoint_a.values()) == 11


def _hard() -> Problem:
    """Sixteen vehicles that were to draw 13 A together, no more and no less: whole amps have to be searched for."""
    random = np.random.default_rng(3)
    grid, place = Grid(NOON, np.full(40, 0.25)), Site.of("lot", chargers=8, plugs_per_charger=2, fuse_a=63)
    lot = tuple(
        Session(each.id, each.id, NOON, NOON + float(random.uniform(2, 9)) * HOUR, float(random.uniform(3e3, 2e4)))
        for each in place.plugs
    )
    narrow = Corridor(np.full(40, 9_000.0), np.full(40, 8_900.0), np.full(40, 500.0))
    seen = {each.id: AtPlug(int(random.integers(6, 16)), 0.0, (0, 1, 2)) for each in lot}
    return Problem(
        place, grid, lot, Valuation(), Prices.bought(random.uniform(50, 300, 40)), corridor=narrow, at_plug=seen
    )


def test_no_clock_decides_a_plan_unless_somebody_waits_for_it() -> None:
    solver = Solver()
    assert Planner(gap=1e-7, solver=solver).plan(_hard()).how == "optimal"
    assert solver._highs.getOptionValue("time_limit")[1] == np.inf

    assert Planner(gap=1e-7, within_s=0.0).plan(_hard()).how == "water-fill"


@pytest.mark.parametrize(("limit", "how"), [("_ITERATIONS_EACH", "water-fill"), ("_NODES", "relaxed")])
def test_steps_of_the_solver_are_counted_and_a_simpler_plan_has_to_do_after_too_many(
    limit: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solver_module, limit, 0)
    made = Planner(gap=1e-7).plan(_hard())
    assert made.how == how
    assert 0 < sum(made.setpoint_a.values()) <= 63


def test_energy_must_not_be_sold_for_more_than_it_costs() -> None:
    with pytest.raises(ValueError, match="sold for more"):
        Prices(np.array([100.0]), np.array([101.0]))


def test_steps_are_five_minutes_for_an_hour_and_then_quarters_of_the_clock() -> None:
    """From 12:02: three minutes, then fives to 13:15, then quarters."""
    grid = Grid.ahead(NOON + timedelta(minutes=2), count=20)
    starts = [(each - NOON) / timedelta(minutes=1) for each in grid.starts()]

    assert starts == [2, *range(5, 75, 5), 75, 90, 105, 120, 135]
    assert grid.end == NOON + 2.5 * HOUR
    assert Grid.ahead(NOON, count=96).length_h.tolist() == pytest.approx([1 / 12] * 12 + [0.25] * 84)


def test_prices_of_a_market_are_those_of_the_period_in_which_a_step_starts() -> None:
    grid = Grid.ahead(NOON + timedelta(minutes=50), count=4)
    values = grid.sample(quarters(4), np.array([1.0, 2.0, 3.0, 4.0]), otherwise=-1.0)

    assert values.tolist() == [4, 4, -1, -1]
