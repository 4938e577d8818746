"""What else is behind a meter: the sun by the almanac, loads by their year, forecasts that get worse further ahead."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aggregator_agents.fleet import PHASE_V, FloatArray
from aggregator_agents.noise import noise
from aggregator_agents.premises import Load, Premises, PremisesTable, PvArray
from aggregator_agents.sun import clear_sky_w_per_m2, sun_at
from api_spec.period import MarketPeriod

SOLSTICE = datetime(2026, 6, 21, tzinfo=UTC)
RISOE = {"latitude_deg": 55.69, "longitude_deg": 12.10}
HOUSE = PremisesTable(
    pv=(PvArray(peak_kw=6),),
    loads=(Load(profile="household", annual_kwh=4500, phases=(0.5, 0.3, 0.2), noise=0.3),),
)
OFFICE = PremisesTable(loads=(Load(profile="office", annual_kwh=100_000, noise=0.05),))


def hours(start: datetime, count: int) -> MarketPeriod:
    return MarketPeriod(start=start, resolution=timedelta(hours=1), count=count)


def quarters_of(start: datetime, days: int) -> FloatArray:
    return start.timestamp() + 900 * np.arange(96.0 * days)


def elevation_deg(at: datetime) -> float:
    return float(np.degrees(np.arcsin(sun_at(np.array([at.timestamp()]), **RISOE).up[0])))


@pytest.mark.parametrize(
    ("day", "expected_deg"),
    [
        (datetime(2026, 6, 21, tzinfo=UTC), 90 - 55.69 + 23.44),
        (datetime(2026, 12, 21, tzinfo=UTC), 90 - 55.69 - 23.44),
        (datetime(2026, 3, 20, tzinfo=UTC), 90 - 55.69),
    ],
)
def test_the_sun_at_noon_stands_as_high_as_the_almanac_says(day: datetime, expected_deg: float) -> None:
    """90 degrees less latitude, and the obliquity of 23.44 degrees more in June and less in December."""
    highest = max(elevation_deg(day + timedelta(minutes=minute)) for minute in range(600, 800))
    assert highest == pytest.approx(expected_deg, abs=0.6)


def test_the_sun_is_highest_when_the_equation_of_time_says() -> None:
    """12.10 degrees east are 48.4 minutes early. In early November a sundial is 16.4 minutes fast: 10:55 UTC."""
    day = datetime(2026, 11, 3, tzinfo=UTC)
    minute = max(range(600, 720), key=lambda each: elevation_deg(day + timedelta(minutes=each)))
    assert minute == pytest.approx(12 * 60 - 48.4 - 16.4, abs=1.5)


def test_a_plane_that_faces_the_sun_overhead_gets_the_beam_and_a_tenth() -> None:
    """On the equator at the equinox: air mass 1, so 1353 x 0.7 = 947 W/m2, and 95 more from the sky."""
    at = np.array([datetime(2026, 3, 20, 12, 7, tzinfo=UTC).timestamp()])
    sun = sun_at(at, latitude_deg=0, longitude_deg=0)
    flat = clear_sky_w_per_m2(sun, tilt_deg=0, azimuth_deg=180)
    assert flat[0] == pytest.approx(1353 * 0.7 * 1.1, rel=0.01)
    assert clear_sky_w_per_m2(sun, tilt_deg=90, azimuth_deg=180)[0] < 0.1 * flat[0], "a wall gets what the sky gives"


def test_a_roof_to_the_east_gives_in_the_morning_and_one_to_the_west_in_the_afternoon() -> None:
    sun = sun_at(quarters_of(SOLSTICE, 1), **RISOE)
    noon = int(4 * (12 - 12.10 / 15))
    east, west = (clear_sky_w_per_m2(sun, tilt_deg=40, azimuth_deg=azimuth) for azimuth in (90, 270))
    assert east[:noon].sum() > 1.5 * east[noon:].sum()
    assert west[noon:].sum() > 1.5 * west[:noon].sum()


def test_pv_gives_what_denmark_gets_and_nothing_at_night() -> None:
    """About 1000 kWh a year for each kW peak."""
    roof = Premises(PremisesTable(pv=(PvArray(peak_kw=1),)), "roof")
    times = quarters_of(datetime(2026, 1, 1, tzinfo=UTC), 365)
    power = roof.power_w(times).sum(axis=1)
    assert (power <= 0).all()
    assert -power.sum() / 4 / 1000 == pytest.approx(1000, rel=0.15)
    assert (power[sun_at(times, **RISOE).up <= 0] == 0).all()
    assert power.min() > -1000, "what a module gives at most under a clear sky"


def test_loads_draw_in_a_year_what_they_are_said_to() -> None:
    times = quarters_of(datetime(2026, 1, 1, tzinfo=UTC), 365)
    for profile, annual_kwh in (("household", 4500.0), ("office", 100_000.0)):
        table = PremisesTable(loads=(Load(profile=profile, annual_kwh=annual_kwh, noise=0.2),))
        drawn = Premises(table, "here").power_w(times).sum() / 4 / 1000
        assert drawn == pytest.approx(annual_kwh, rel=0.04), profile


def test_a_household_is_busy_in_the_evening_and_in_winter_an_office_on_working_mornings() -> None:
    """17 January 2026 is a Saturday. Local time is UTC + 1."""
    quiet = PremisesTable(loads=(Load(profile="household", annual_kwh=4500, noise=0),))
    office = PremisesTable(loads=(Load(profile="office", annual_kwh=100_000, noise=0),))

    def at(table: PremisesTable, when: str) -> float:
        return float(Premises(table, "here").now_w(datetime.fromisoformat(f"2026-{when}:00Z")).sum())

    assert at(quiet, "01-14T17:30") > 3 * at(quiet, "01-14T02:00")
    assert at(quiet, "01-14T17:30") == pytest.approx(1.58 * at(quiet, "07-15T16:30"), rel=0.03), "1.25 against 0.79"
    assert at(office, "01-16T08:30") > 6 * at(office, "01-17T08:30")
    assert at(office, "01-17T08:30") == pytest.approx(at(office, "01-17T02:00")), "base load on Saturday"


def test_power_is_shared_among_phases_as_said() -> None:
    table = PremisesTable(loads=(Load(profile="household", annual_kwh=4500, phases=(0.5, 0.3, 0.2)),))
    drawn = Premises(table, "house").power_w(quarters_of(SOLSTICE, 1))
    assert drawn / drawn.sum(axis=1, keepdims=True) == pytest.approx(np.tile([0.5, 0.3, 0.2], (96, 1)))


def test_means_are_the_means_of_the_minutes_they_cover() -> None:
    house = Premises(HOUSE, "house", seed=3)
    minutes = house.power_w(np.array([SOLSTICE.timestamp() + 60 * minute for minute in range(120)]))
    assert house.metered_w(hours(SOLSTICE, 2)) == pytest.approx(minutes.reshape(2, 60, 3).mean(axis=1))
    fine = MarketPeriod(start=SOLSTICE, resolution=timedelta(seconds=5), count=24)
    assert house.metered_w(fine) == pytest.approx(np.repeat(minutes[:2], 12, axis=0)), "constant within a minute"


@given(seed=st.integers(0, 2**32 - 1), second=st.integers(0, 10**9), later=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_the_same_seed_has_the_same_weather_whatever_is_asked_when(seed: int, second: int, later: int) -> None:
    house = Premises(HOUSE, "house", seed)
    alone = house.power_w(np.array([float(second)]))
    among = house.power_w(np.array([float(second + later), float(second), 0.0]))
    assert among[1] == pytest.approx(alone[0], rel=1e-12)


def test_neighbours_have_habits_of_their_own() -> None:
    times = quarters_of(SOLSTICE, 1)
    mine, theirs, again = (Premises(HOUSE, name, seed=1).power_w(times) for name in ("a", "b", "a"))
    assert (mine == again).all()
    assert not np.allclose(mine, theirs)


def test_noise_is_standard_normal_at_every_moment() -> None:
    """20 000 of them, at nodes and between: mean 0 and variance 1 within four standard errors."""
    between = np.array([0.0, 0.25, 0.5, 0.9])
    times = (np.arange(5000)[:, None] + between).ravel() * 900.0
    drawn = noise("any", times, step_s=900, seed=0).reshape(-1, len(between))
    assert drawn.mean(axis=0) == pytest.approx(0, abs=4 / np.sqrt(5000))
    assert drawn.var(axis=0) == pytest.approx(1, abs=4 * np.sqrt(2 / 5000))


def test_a_forecast_is_right_about_now_and_worse_the_further_ahead() -> None:
    """Mean absolute error over a year of noons, forecast at once and up to two days before."""
    house, errors = Premises(HOUSE, "house"), []
    noons = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day) for day in range(365)]
    truth_w = house.power_w(np.array([noon.timestamp() for noon in noons])).sum(axis=1)
    for lead in (timedelta(0), timedelta(hours=1), timedelta(hours=6), timedelta(hours=48)):
        expected_w = [house.forecast_w(np.array([noon.timestamp()]), issued=noon - lead).sum() for noon in noons]
        errors.append(float(np.abs(expected_w - truth_w).mean()))
    assert errors[0] == pytest.approx(0, abs=1e-9)
    assert all(nearer < further for nearer, further in pairwise(errors))


@pytest.mark.parametrize("lead_h", [6, 60])
def test_a_forecast_expects_as_much_as_comes(lead_h: int) -> None:
    """Over a year, PV and household each within 3 % of what they are: forecasts are not shy nor bold."""
    starts = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(365)]
    for table in (PremisesTable(pv=HOUSE.pv), PremisesTable(loads=HOUSE.loads)):
        house = Premises(table, "house")
        truth = float(house.metered_w(hours(starts[0], 24 * len(starts))).sum())
        expected = sum(
            float(house.expected_w(hours(start, 24), issued=start - timedelta(hours=lead_h)).sum()) for start in starts
        )
        assert expected == pytest.approx(truth, rel=0.03)


@given(seed=st.integers(0, 1000), day=st.integers(0, 365))
@settings(max_examples=40, deadline=None)
def test_loads_never_draw_more_than_a_fuse_was_chosen_for(seed: int, day: int) -> None:
    for table in (HOUSE, OFFICE):
        loads = table.model_copy(update={"pv": ()})
        times = quarters_of(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day), 1)
        drawn_a = Premises(loads, "here", seed).power_w(times) / PHASE_V
        assert (drawn_a <= np.array(table.most_a)).all()


def test_nothing_behind_the_meter_draws_nothing() -> None:
    nothing = Premises(PremisesTable(), "lot")
    assert not nothing.power_w(quarters_of(SOLSTICE, 1)).any()
    assert PremisesTable().most_a == (0, 0, 0)


def test_shares_of_phases_must_add_up() -> None:
    with pytest.raises(ValidationError, match=r"must add up to 1, not 0\.9"):
        PvArray(peak_kw=1, phases=(0.3, 0.3, 0.3))


def test_power_may_change_at_every_whole_minute() -> None:
    def at(second: int) -> datetime:
        return SOLSTICE + timedelta(seconds=second)

    house = Premises(HOUSE, "house")
    assert list(house.minutes(at(0), at(150))) == [at(0), at(60), at(120)]
    assert list(house.minutes(at(90), at(150))) == [at(120)]
    assert list(house.minutes(at(120), at(120))) == [at(120)]
    assert list(house.minutes(at(125), at(150))) == []
    assert list(Premises(PremisesTable(), "lot").minutes(at(0), at(150))) == []
