"""What charging profiles allow together: each fact by hand, and what must hold for any profiles."""

from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator_agents.charging.chargepoint.composite import (
    Moment,
    composite,
    forecast,
    pilot_a,
    plug_limit,
    station_limit,
)
from aggregator_agents.charging.chargepoint.profiles import (
    Kind,
    Limit,
    Profile,
    ProfileRefused,
    ProfileStack,
    Purpose,
    Schedule,
    Step,
)
from tests.unit.aggregator_agents.places import NOON

CHARGING = Moment(NOON, transaction="tx", started=NOON)


def amps(limit_a: float) -> Limit:
    return Limit(charge_a=(limit_a, limit_a, limit_a))


def profile(
    purpose: Purpose = Purpose.TX,
    *limits_a: float,
    id: int = 1,
    kind: Kind = Kind.ABSOLUTE,
    level: int = 0,
    plug: int | None = None,
    every_s: float = 60.0,
    lasts_s: float = inf,
    starts_s: float = 0.0,
) -> Profile:
    """Limits of `every_s` seconds each, from `starts_s` seconds after noon on."""
    steps = tuple(Step(number * every_s, amps(each)) for number, each in enumerate(limits_a))
    start = None if kind in {Kind.RELATIVE, Kind.DYNAMIC} else NOON + timedelta(seconds=starts_s)
    of_station = purpose in {Purpose.STATION_MAX, Purpose.EXTERNAL}
    return Profile(
        id=id,
        purpose=purpose,
        kind=kind,
        stack_level=level,
        schedule=Schedule(steps, start, lasts_s),
        plug=(0 if of_station else 1) if plug is None else plug,
        transaction="tx" if purpose is Purpose.TX else None,
        updated=NOON,
    )


def allowed_a(*profiles: Profile, after_s: float = 0.0, moment: Moment = CHARGING, plug: int = 1) -> float:
    return composite(profiles, plug, moment.later(after_s)).charge_a[0]


def test_a_transaction_overrules_the_default_and_the_station_bounds_both() -> None:
    station, default = profile(Purpose.STATION_MAX, 14, id=1), profile(Purpose.TX_DEFAULT, 7, id=2)
    own = profile(Purpose.TX, 16, id=3)

    assert allowed_a(default) == 7
    assert allowed_a(default, own) == 16, "more than the default"
    assert allowed_a(default, own, station) == 14
    assert allowed_a(default, station, plug=2) == 14, "a default of plug 1 is not of plug 2"
    assert allowed_a(profile(Purpose.EXTERNAL, 9), own, station) == 9
    assert allowed_a(profile(Purpose.TX_DEFAULT, 7, plug=0), station, plug=0) == 14, "a default is of each plug"
    assert composite((default, own, station), 1, CHARGING) == amps(14), "and nothing is said of feeding back"


def test_a_lease_in_a_transaction_ends_and_the_default_holds_again() -> None:
    """16 A for 30 s over a default of 7 A."""
    stack = profile(Purpose.TX_DEFAULT, 7, id=1), profile(Purpose.TX, 16, id=2, lasts_s=30)

    assert [allowed_a(*stack, after_s=second) for second in (0, 29.9, 30, 1000)] == [16, 16, 7, 7]


def test_the_highest_level_that_says_something_counts() -> None:
    """Level 1 says 10 A in its first minute only, level 0 says 6 A for ever, level 5 comes after two minutes."""
    low, middle = profile(Purpose.TX, 6, id=1), profile(Purpose.TX, 10, id=2, level=1, lasts_s=60)
    high = replace(profile(Purpose.TX, 13, id=3, level=5), valid_from=NOON + timedelta(seconds=120))

    assert [allowed_a(low, middle, high, after_s=second) for second in (0, 60, 120)] == [10, 6, 13]
    closed = replace(high, valid_to=NOON + timedelta(seconds=180))
    assert allowed_a(low, middle, closed, after_s=180) == 6


def test_the_default_of_a_plug_counts_before_that_of_the_station() -> None:
    all_of_them, own = profile(Purpose.TX_DEFAULT, 12, plug=0, level=3), profile(Purpose.TX_DEFAULT, 8, id=2)

    assert allowed_a(all_of_them, own) == 8
    assert allowed_a(all_of_them, own, plug=2) == 12


def test_kinds_count_their_seconds_from_where_they_say() -> None:
    """10 A, after a minute 8 A: from noon on; from the start of a transaction; every day; from the last update on."""
    at = Moment(NOON + timedelta(seconds=90), "tx", NOON + timedelta(seconds=60))

    assert allowed_a(profile(Purpose.TX, 10, 8), moment=at) == 8
    assert allowed_a(profile(Purpose.TX, 10, 8, kind=Kind.RELATIVE), moment=at) == 10
    daily = profile(Purpose.TX, 10, 8, kind=Kind.RECURRING, lasts_s=120)
    two_days_on = replace(at, now=at.now + timedelta(days=2))
    assert allowed_a(daily, moment=two_days_on) == 8
    assert allowed_a(daily, moment=two_days_on, after_s=30) == inf, "nothing is said after two minutes of each day"
    dynamic = profile(Purpose.TX, 10, kind=Kind.DYNAMIC, lasts_s=100)
    assert [allowed_a(dynamic, moment=at), allowed_a(dynamic, moment=at, after_s=10)] == [10, inf]
    stack = ProfileStack((dynamic,)).updated(1, amps(9), at.now)
    assert allowed_a(*stack.profiles, moment=at, after_s=99) == 9, "an update begins its duration anew"
    assert allowed_a(profile(Purpose.TX, 10, starts_s=100), moment=at) == inf, "not yet"


def test_without_a_connection_a_profile_holds_as_long_as_it_says() -> None:
    default, own = profile(Purpose.TX_DEFAULT, 7), replace(profile(Purpose.TX, 16, id=2), max_offline_s=30)

    assert allowed_a(default, own, moment=replace(CHARGING, offline_s=29)) == 16
    assert allowed_a(default, own, moment=replace(CHARGING, offline_s=30)) == 7
    stack = ProfileStack((default, replace(own, dies_offline=True)))
    assert allowed_a(*stack.reconnected(29).profiles) == 16
    assert allowed_a(*stack.reconnected(31).profiles) == 7, "it died"
    assert allowed_a(*ProfileStack((default, own)).reconnected(31).profiles) == 16, "it came back to life"


def test_a_profile_of_another_transaction_says_nothing() -> None:
    assert allowed_a(profile(Purpose.TX, 6), moment=Moment(NOON, "another", NOON)) == inf
    assert allowed_a(profile(Purpose.TX, 6), moment=Moment(NOON)) == inf


def test_phases_setpoints_and_discharging_meet() -> None:
    station_a = Limit((16, 10, 13), (9, 9, 9))
    own_a = Limit((12, 12, 12), (16, 16, 16), setpoint_a=(-11, -11, -11))
    station = replace(profile(Purpose.STATION_MAX, 16), schedule=Schedule((Step(0, station_a),)))
    own = replace(profile(Purpose.TX, 16), schedule=Schedule((Step(0, own_a),)))
    both = composite((station, own), 1, CHARGING)

    assert both == Limit((12, 10, 12), (9, 9, 9), (-11, -11, -11))
    assert pilot_a(both, max_a=16, feeds_a=16) == -9, "the station feeds back no more"
    assert pilot_a(both, max_a=16, feeds_a=0) == 0, "the vehicle cannot"
    assert pilot_a(replace(both, setpoint_a=None), max_a=16) == 10, "the pilot speaks for all terminals"
    assert pilot_a(replace(both, setpoint_a=None), terminals=(0,), max_a=16) == 12
    assert pilot_a(replace(both, setpoint_a=(8.9, 8.9, 8.9)), max_a=16, feeds_a=16) == 8


@pytest.mark.parametrize(("limit_a", "signal_a"), [(0, 0), (5.9, 0), (6, 6), (7.99, 7), (40, 16), (inf, 16)])
def test_the_pilot_knows_0_and_whole_amps_from_6(limit_a: float, signal_a: int) -> None:
    assert pilot_a(amps(limit_a), max_a=16) == signal_a


def test_below_the_least_rate_of_the_vehicle_it_pauses() -> None:
    assert [pilot_a(replace(amps(each), min_a=8), max_a=16) for each in (7.5, 8)] == [0, 8]


def test_the_forecast_of_a_day() -> None:
    """From noon: 16 A for half an hour, then by the daily default 10 A until 18:00, 6 A until 6:00, 10 A again."""
    morning = timedelta(hours=-6).total_seconds()
    default = profile(Purpose.TX_DEFAULT, 10, 6, kind=Kind.RECURRING, every_s=12 * 3600, starts_s=morning)
    own = profile(Purpose.TX, 16, id=2, lasts_s=1800)

    steps = forecast((default, own), 1, CHARGING, 86_400)
    assert [(second, limit.charge_a[0]) for second, limit in steps] == [(0, 16), (1800, 10), (21_600, 6), (64_800, 10)]


def test_contradictions_are_refused() -> None:
    with pytest.raises(ProfileRefused, match="InvalidSchedule"):
        profile(Purpose.TX, 6, 7, every_s=0)
    with pytest.raises(ProfileRefused, match="InvalidSchedule"):
        profile(Purpose.TX)
    with pytest.raises(ProfileRefused, match="InvalidProfile"):
        profile(Purpose.STATION_MAX, 6, plug=1)
    with pytest.raises(ProfileRefused, match="InvalidProfile"):
        profile(Purpose.STATION_MAX, 6, kind=Kind.RELATIVE)
    with pytest.raises(ProfileRefused, match="InvalidEvse"):
        profile(Purpose.TX, 6, plug=0)
    with pytest.raises(ProfileRefused, match="UnknownProfile"):
        ProfileStack((profile(Purpose.TX, 6),)).updated(1, amps(7), NOON)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    purpose = draw(st.sampled_from(Purpose))
    kinds = [Kind.ABSOLUTE, Kind.RECURRING, Kind.DYNAMIC]
    if purpose in {Purpose.TX, Purpose.TX_DEFAULT}:
        kinds.append(Kind.RELATIVE)
    plugs = {Purpose.TX: [1, 2], Purpose.TX_DEFAULT: [0, 1, 2]}.get(purpose, [0])
    steps = 1 if (kind := draw(st.sampled_from(kinds))) is Kind.DYNAMIC else draw(st.integers(1, 4))
    return replace(
        profile(
            purpose,
            *draw(st.lists(st.integers(0, 32), min_size=steps, max_size=steps)),
            id=draw(st.integers(1, 9)),
            kind=kind,
            level=draw(st.integers(0, 3)),
            plug=draw(st.sampled_from(plugs)),
            every_s=draw(st.integers(1, 7200)),
            lasts_s=draw(st.sampled_from([inf, 30, 3600, 86_400])),
            starts_s=draw(st.integers(-100_000, 10_000)),
        ),
        valid_to=draw(st.sampled_from([None, NOON + timedelta(hours=2)])),
        max_offline_s=draw(st.sampled_from([inf, 0, 600])),
    )


stacks = st.lists(profiles(), max_size=8)
moments = st.builds(
    lambda after_s, offline_s: Moment(NOON + timedelta(seconds=after_s), "tx", NOON, offline_s),
    st.integers(0, 200_000),
    st.sampled_from([0.0, 10.0, 599.0, 7000.0]),
)


@given(stacks, moments)
def test_nothing_exceeds_what_the_station_may(every: list[Profile], moment: Moment) -> None:
    station = station_limit(every, moment)
    both = composite(every, 1, moment)

    assert all(a <= b for a, b in zip(both.charge_a, station.charge_a, strict=True))
    assert all(a <= b for a, b in zip(both.charge_a, plug_limit(every, 1, moment).charge_a, strict=True))


@given(stacks, moments, st.integers(0, 32))
def test_one_more_limit_of_the_station_on_top_never_gives_more_than_it_says(
    every: list[Profile], moment: Moment, limit_a: int
) -> None:
    top = profile(Purpose.STATION_MAX, limit_a, id=99, level=9, starts_s=-1e6)

    assert composite([*every, top], 1, moment).charge_a[0] <= limit_a


@given(stacks, moments, st.integers(1, 7200), st.data())
def test_the_forecast_is_what_will_hold(
    every: list[Profile], moment: Moment, duration_s: int, data: st.DataObject
) -> None:
    steps = forecast(every, 1, moment, duration_s)
    second = data.draw(st.integers(0, duration_s - 1))

    assert steps[0][0] == 0
    assert [each for each, _ in steps] == sorted({each for each, _ in steps})
    said = [limit for start, limit in steps if start <= second][-1]
    assert said == composite(every, 1, moment.later(second))


@given(stacks, profiles())
def test_a_profile_stands_once_and_can_be_cleared(every: list[Profile], new: Profile) -> None:
    stack = ProfileStack()
    for each in [*every, new]:
        stack = stack.installed(each)

    assert stack.profiles[-1] == new
    assert len({each.id for each in stack.profiles}) == len(stack.profiles)
    assert len({each.place for each in stack.profiles}) == len(stack.profiles)
    assert new not in stack.cleared(plug=new.plug, purpose=new.purpose, stack_level=new.stack_level).profiles
    assert stack.cleared(id=new.id).profiles == stack.profiles[:-1]
    assert stack.cleared().profiles == ()
