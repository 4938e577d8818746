"""What surrounds the fleets: sun and heat pumps by hand, chance by what it must be on average."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from api_spec.case import Injection
from api_spec.period import MarketPeriod
from market.errors import NoLoadForPeriod, NotOnNetwork
from market.network.feeders import feeder
from market.network.surroundings import Surroundings, SurroundingsTable
from market.network.surroundings.chance import LoadNoise, Noise, noise
from market.network.surroundings.heat import HeatPump, Outdoors
from market.network.surroundings.sunshine import Modules, Sky
from market.network.surroundings.table import HeatPumps, Panels, Spread

WINTER = datetime(2026, 1, 14, 23, tzinfo=UTC)
SUMMER = datetime(2026, 6, 20, 22, tzinfo=UTC)


def minutes_of(start: datetime, count: int) -> np.ndarray:
    return int(start.timestamp()) // 60 + np.arange(count)


def day(start: datetime, minutes: int = 15, days: int = 1) -> MarketPeriod:
    return MarketPeriod(start=start, resolution=timedelta(minutes=minutes), count=days * 1440 // minutes)


def risoe(**table: object) -> Surroundings:
    return Surroundings(feeder("risoe"), SurroundingsTable.model_validate({"seed": 1, **table}))


def total_w(found: Iterable[Injection], *, bus: str | None = None) -> np.ndarray:
    power = np.array([each.p_w for each in found if bus in (None, each.bus)])
    total: np.ndarray = power.sum(axis=0)
    return total


def test_noise_is_standard_normal_and_forgets_with_its_time_constant() -> None:
    """Of 400 days: a minute is related to the one an hour later by exp(-1)."""
    series = noise("z", minutes_of(WINTER, 400 * 1440), hours=1.0, seed=5)
    assert series.mean() == pytest.approx(0, abs=0.05), "400 days are 4800 independent numbers"
    assert series.std() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(series[:-60], series[60:])[0, 1] == pytest.approx(np.exp(-1), abs=0.02)


def test_chance_does_not_depend_on_what_else_was_asked_for() -> None:
    whole = noise("z", minutes_of(WINTER, 3 * 1440), hours=6.0, seed=5)
    part = noise("z", minutes_of(WINTER + timedelta(hours=30), 60), hours=6.0, seed=5)
    assert (whole[30 * 60 : 31 * 60] == part).all()
    assert (noise("z", minutes_of(WINTER, 60), hours=6.0, seed=6) != whole[:60]).all()


def test_lognormal_factors_keep_the_mean() -> None:
    factor = Noise(std=0.4, hours=0.5).factor("load", minutes_of(WINTER, 200 * 1440), seed=2)
    assert factor.mean() == pytest.approx(1, abs=0.02)


def test_a_clear_noon_in_atlanta_is_that_of_the_textbook() -> None:
    """Masters, examples 7.8 to 7.11: 902 W/m2 beam; on a plane tilted by 52, facing 20 off south: 697 + 88 + 38."""
    atlanta = Sky(latitude_deg=33.7, longitude_deg=-84.4)
    may = minutes_of(datetime(2025, 5, 21, 4, tzinfo=UTC), 1440)
    level, tilted = (
        Modules(tilt_deg=tilt, azimuth_deg=azimuth).irradiance(atlanta, may) for tilt, azimuth in ((0, 180), (52, 160))
    )
    noon = int(level.argmax())
    assert level[noon] == pytest.approx(902 * (np.sin(np.radians(76.4)) + 0.121), rel=0.005)
    assert tilted[noon] == pytest.approx(697 + 88 + 38, rel=0.005)
    assert may[noon] % 1440 == pytest.approx(12 * 60 + 84.4 * 4 - 3.5, abs=2), "the equation of time is 3.5 min in May"


def test_there_is_no_sun_at_night_and_clouds_take_three_quarters_at_most() -> None:
    sky, minutes = Sky(), minutes_of(WINTER, 1440)
    gives = Modules().clear_sky(sky, minutes)
    assert (gives[: 6 * 60] == 0).all()
    assert gives.max() > 0.3
    passing = sky.passing(minutes_of(WINTER, 300 * 1440), seed=3)
    assert passing.min() >= 0.25
    assert passing.mean() == pytest.approx(sky.mean_passing, abs=0.02)


def test_a_heat_pump_at_minus_five() -> None:
    """180 W/K x 20 K = 3600 W; radiators at 45 C, 50 K above the air: COP 0.85 (6.08 - 4.5 + 1.25) = 2.4055."""
    outdoor_c = np.array([-5.0])
    assert HeatPump().demand_w(outdoor_c) == pytest.approx([3600])
    assert HeatPump().cop(outdoor_c) == pytest.approx([2.4055])
    assert HeatPump().mean_w(outdoor_c) == pytest.approx([3600 / 2.4055])


def test_beyond_its_capacity_the_electric_back_up_heats() -> None:
    """At -25 C 7.2 kW are needed: 7 kW at a COP of 0.85 (6.08 - 8.1 + 4.05), and 200 W with electricity alone."""
    outdoor_c = np.array([-25.0])
    expected_w = 7000 / (0.85 * 2.03) + 200
    assert HeatPump().mean_w(outdoor_c) == pytest.approx([expected_w])
    assert HeatPump().power_w(outdoor_c, np.array([0]), phase=0.5) == pytest.approx([expected_w])


@pytest.mark.parametrize("least", [0.3, 1.0])
def test_cycles_draw_on_average_what_is_needed(least: float) -> None:
    """At 5 C 1.8 of 7 kW: with the least level at 0.3, it runs in 0.857 of every cycle of 40 min; on or off, 0.257."""
    pump, outdoor_c = HeatPump(least=least), np.full(4000, 5.0)
    power_w = pump.power_w(outdoor_c, np.arange(4000), phase=0.3)
    assert (power_w > 0).mean() == pytest.approx(1.8 / 7 / least, abs=0.03), "a part of a minute counts as one"
    assert power_w.mean() == pytest.approx(pump.mean_w(outdoor_c)[0])


def test_beyond_its_capacity_it_never_stops_and_never_gives_more() -> None:
    """At -20 C 35 K x 180 W/K = 6.3 kW are needed of 5 kW: all the time, through the turn of every cycle."""
    outdoor_c, pump = np.full(400, -20.0), HeatPump(capacity_kw=5)

    power_w = pump.power_w(outdoor_c, np.arange(400), phase=0.3)

    assert power_w == pytest.approx(pump.mean_w(outdoor_c))


def test_ground_and_floor_are_better_than_air_and_radiators() -> None:
    """At 0 C: ground and floor 0.85 (10.29 - 0.21 x 25 + 0.0012 x 625), air and radiators 0.85 (6.08 - 3.6 + 0.8)."""
    freezing = np.array([0.0])
    assert HeatPump(source="ground", sink="floor").cop(freezing) == pytest.approx([0.85 * 5.79])
    assert HeatPump().cop(freezing) == pytest.approx([0.85 * 3.28])


def test_winter_is_colder_than_summer_and_its_weather_is_known_but_for_an_error() -> None:
    outdoors = Outdoors()
    known, real = (
        series(minutes_of(WINTER, 60 * 1440), utc_offset_h=0.8, seed=4)
        for series in (outdoors.forecast_c, outdoors.actual_c)
    )
    assert (real - known).std() == pytest.approx(1.0, abs=0.15)
    assert known.mean() < outdoors.forecast_c(minutes_of(SUMMER, 60 * 1440), utc_offset_h=0.8, seed=4).mean() - 10


def test_without_a_table_what_is_expected_happens() -> None:
    around = risoe()
    assert around.expected(day(WINTER)) == around.actual(day(WINTER)) == feeder("risoe").injections(day(WINTER))


def test_load_strays_around_what_is_expected_and_buses_stray_together() -> None:
    """Over 30 days the sum keeps its mean; only what buses do not share averages out over more than 60 of them."""
    period = day(WINTER, minutes=60, days=30)
    own, shared = risoe(load={"std": 0.3, "hours": 1}), risoe(common={"std": 0.3, "hours": 1})
    expected_w = total_w(own.expected(period))
    alone, together = (total_w(each.actual(period)) / expected_w for each in (own, shared))
    assert alone.mean() == pytest.approx(1, abs=0.03)
    assert together.mean() == pytest.approx(1, abs=0.03)
    assert alone.std() < 0.6 * together.std()


def test_ten_households_stray_less_than_one_by_the_root_of_ten() -> None:
    noise_of = LoadNoise(std=0.5, household_w=400)
    assert noise_of.of(4000).std == pytest.approx(0.5 / np.sqrt(10))
    assert noise_of.of(100).std == 0.5


def test_minutes_add_up_to_quarters() -> None:
    around = risoe(load={"std": 0.3}, pv=[{"peak_kw": 5}], heat_pumps=[{}])
    fine, coarse = total_w(around.actual(day(SUMMER, minutes=1))), total_w(around.actual(day(SUMMER)))
    assert fine.reshape(96, 15).mean(axis=1) == pytest.approx(coarse)


def test_roofs_feed_in_by_day_and_heat_pumps_draw_in_winter() -> None:
    bus = "nord-01"
    summer = risoe(pv=[{"peak_kw": 5, "buses": [bus]}], heat_pumps=[{"buses": [bus]}])
    sun = total_w(summer.expected(day(SUMMER)), bus=bus) - total_w(risoe().expected(day(SUMMER)), bus=bus)
    assert -0.85 * 5000 < sun.min() < -2000
    heat = total_w(summer.actual(day(WINTER)), bus=bus) - total_w(risoe().actual(day(WINTER)), bus=bus)
    assert heat.mean() * 24 > 10_000, "more than 10 kWh a winter day"


def test_a_larger_share_has_all_that_a_smaller_one_has() -> None:
    buses = [f"home-{at:02}" for at in range(40)]
    few, many = (set(Spread(share=share, phase="in turn").places(buses, name="pv", seed=1)) for share in (0.25, 0.5))
    assert (len(few), len(many)) == (10, 20)
    assert few < many
    assert {phase for _, phase in many} == {"a", "b", "c"}


def test_what_participants_draw_themselves_is_left_out() -> None:
    found = risoe(left_out=["nord-01"]).actual(day(WINTER))
    assert not [each for each in found if each.bus == "nord-01"]


def test_what_the_network_has_not_is_refused() -> None:
    with pytest.raises(NotOnNetwork, match='no bus "nord-1" on network "risoe"'):
        risoe(pv=[{"peak_kw": 5, "buses": ["nord-1"]}])
    with pytest.raises(NotOnNetwork, match="is balanced"):
        risoe(heat_pumps=[{"phase": "a"}])
    with pytest.raises(NoLoadForPeriod):
        risoe().actual(MarketPeriod(start=WINTER, resolution=timedelta(seconds=30), count=2))


def test_one_phase_of_three_may_have_the_roofs() -> None:
    three = feeder("risoe-three-phase")
    table = SurroundingsTable(pv=(Panels(peak_kw=4, phase="b"),), heat_pumps=(HeatPumps(phase="in turn"),))
    found = Surroundings(three, table).expected(day(SUMMER))
    assert {each.phase for each in found if min(each.p_w) < 0} == {"b"}
