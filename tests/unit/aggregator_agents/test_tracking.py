"""The energy of a market period in whole amps; 690 W for an amp on three phases, 230 W on one."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aggregator_agents.dispatch.tracking import Wish, period_power, tracked


def wish(
    plug: str = "a",
    *,
    planned: bool = False,
    must_a: float = 0.0,
    charging: bool = False,
    urgency: float = 0.5,
    phases: int = 3,
) -> Wish:
    return Wish(plug, planned, must_a, 6, 16, phases * 230.0, 9e4, urgency, charging)


def test_what_is_left_is_spread_over_the_time_that_is_left() -> None:
    """1.5 kWh in a quarter of an hour are 6 kW; after ten minutes of nothing they would be 18 kW."""
    assert period_power([wish()], energy_wh=1500, hours_left=0.25) == 6000
    assert period_power([wish()], energy_wh=1500, hours_left=1 / 12) == 18000
    assert period_power([wish()], energy_wh=0, hours_left=0.25) == 0
    assert period_power([], energy_wh=1500, hours_left=0.25) == 0


def test_a_period_below_six_amps_charges_at_six_and_then_pauses() -> None:
    """4 A on the mean: who charges goes on at 6 A until a minute is left of it, who does not waits."""
    energy_wh = 4 * 690 * 0.25
    assert period_power([wish()], energy_wh=energy_wh, hours_left=0.25) == 0
    assert period_power([wish(charging=True)], energy_wh=energy_wh, hours_left=0.25) == 6 * 690
    assert period_power([wish(charging=True)], energy_wh=68, hours_left=0.2) == 0


def test_the_last_watt_hours_are_charged_at_the_minimum() -> None:
    nearly = Wish("a", False, 0.0, 6, 16, 690.0, 7.0, 0.1, False)
    assert period_power([nearly], energy_wh=7, hours_left=0.25) == 6 * 690


def test_equal_vehicles_get_the_same_and_as_many_charge_as_can() -> None:
    """Of 20 A all three get 6 or 7; with 17 the two that are planned share them, 8 and 9; with 5 A nobody can."""
    wishes = [wish("a"), wish("b", planned=True), wish("c", planned=True)]
    assert tracked(wishes, power_w=20 * 690) == {"a": 7, "b": 7, "c": 6}
    assert tracked(wishes, power_w=17 * 690) == {"a": 0, "b": 9, "c": 8}
    assert tracked(wishes, power_w=6 * 690) == {"a": 0, "b": 6, "c": 0}
    assert tracked(wishes, power_w=6 * 690 - 1) == {"a": 0, "b": 0, "c": 0}


def test_beside_others_a_vehicle_begins_with_two_amps_to_spare_and_goes_on_without() -> None:
    wishes = [wish("a", charging=True), wish("b")]
    assert tracked(wishes, power_w=13 * 690) == {"a": 13, "b": 0}
    assert tracked(wishes, power_w=14 * 690) == {"a": 7, "b": 7}
    assert tracked([wish("a", charging=True), wish("b", charging=True)], power_w=12 * 690) == {"a": 6, "b": 6}


def test_who_wants_more_for_its_time_gets_more() -> None:
    """21 A: the one that is twice as urgent gets twice as much."""
    assert tracked([wish("a", urgency=0.3), wish("b", urgency=0.6)], power_w=21 * 690) == {"a": 7, "b": 14}


def test_who_must_have_more_gets_it_before_others_are_raised() -> None:
    """20 A in all: 12 for the one that leaves soon, 8 for the other."""
    wishes = [wish("a", planned=True), wish("b", planned=True, must_a=11.2)]
    assert tracked(wishes, power_w=20 * 690) == {"a": 8, "b": 12}


def test_vehicles_on_one_phase_take_what_three_phases_cannot() -> None:
    assert tracked([wish("a", planned=True), wish("b", phases=1)], power_w=3000) == {"a": 0, "b": 13}


def test_of_equals_the_more_urgent_and_who_charges_already_goes_first() -> None:
    going, waiting = wish("b", planned=True, charging=True), wish("a", planned=True)
    assert tracked([waiting, going], power_w=4140) == {"a": 0, "b": 6}
    assert tracked([wish("a", planned=True, urgency=0.6), going], power_w=4140) == {"a": 0, "b": 6}, "it goes on"
    assert tracked([wish("a", must_a=0.5), going], power_w=4140) == {"a": 6, "b": 0}
    again = replace(wish("c", charging=True, urgency=0.01), stopped=True)
    assert tracked([going, again], power_w=4140) == {"b": 0, "c": 6}, "it was switched off before"
    first, second = wish("a", planned=True), wish("b", planned=True, urgency=0.6)
    assert tracked([first, second], power_w=4140) == {"a": 0, "b": 6}


wishes = st.lists(
    st.builds(
        wish,
        st.sampled_from("abcdefgh"),
        planned=st.booleans(),
        must_a=st.floats(-5, 20),
        charging=st.booleans(),
        urgency=st.floats(0, 3),
        phases=st.integers(1, 3),
    ),
    unique_by=lambda each: each.plug,
)


@given(wishes, st.floats(0, 60_000))
def test_the_power_is_used_up_to_the_amp_and_never_exceeded(wanted: list[Wish], power_w: float) -> None:
    amps = tracked(wanted, power_w=power_w)
    left_w = power_w - sum(amps[each.plug] * each.watts_per_amp for each in wanted)

    assert left_w >= -1e-3
    for each in wanted:
        assert amps[each.plug] == 0 or each.min_a <= amps[each.plug] <= each.max_a
        more_a = 1 if amps[each.plug] else each.min_a + 2
        full = amps[each.plug] == each.max_a
        assert full or left_w < more_a * each.watts_per_amp, "another amp would have fitted"
