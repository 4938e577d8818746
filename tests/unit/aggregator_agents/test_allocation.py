"""Whole amps: the invariants I1 and I2 of the cluster for any demands, and the cases that a person can count."""

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from aggregator_agents.dispatch.allocation import Demand, allocate, within_held
from aggregator_agents.dispatch.cloud import site_amps
from tests.unit.aggregator_agents.places import site


def demand(plug: str, *, urgency: float = 0.5, max_a: int = 16, charging: bool = False, min_a: int = 6) -> Demand:
    return Demand(plug, plug.rsplit("-", 1)[0], max_a, urgency, charging, min_a)


LOT = site(chargers=8, plugs=2)
IDS = [each.id for each in LOT.chargers]
ALL = [demand(each.id) for each in LOT.plugs]


def test_of_sixteen_vehicles_at_most_ten_charge_and_nobody_at_four_amps() -> None:
    amps = allocate(ALL, site_a=63, site=LOT)

    assert sum(amps.values()) <= 63
    assert set(amps.values()) <= {0, 6, 7}
    assert sum(each > 0 for each in amps.values()) <= 10


def test_equal_vehicles_get_equal_amps() -> None:
    few = [demand(f"lot-{charger}-1") for charger in (1, 2, 3)]
    assert allocate(few, site_a=26, site=site(chargers=3)) == {"lot-1-1": 9, "lot-2-1": 9, "lot-3-1": 8}


def test_the_most_urgent_comes_first_and_of_equals_who_charges_already() -> None:
    late, going, waiting = demand("lot-3-1", urgency=0.9), demand("lot-2-1", charging=True), demand("lot-1-1")

    assert allocate([waiting, going, late], site_a=6, site=LOT) == {"lot-1-1": 0, "lot-2-1": 0, "lot-3-1": 6}
    assert allocate([waiting, going, late], site_a=12, site=LOT) == {"lot-1-1": 0, "lot-2-1": 6, "lot-3-1": 6}


def test_a_little_more_urgent_is_no_reason_to_stop_another() -> None:
    going, waiting = demand("lot-2-1", urgency=0.5, charging=True), demand("lot-1-1", urgency=0.54)
    assert allocate([going, waiting], site_a=6, site=LOT) == {"lot-1-1": 0, "lot-2-1": 6}

    more_urgent = demand("lot-1-1", urgency=0.56)
    assert allocate([going, more_urgent], site_a=6, site=LOT) == {"lot-1-1": 6, "lot-2-1": 0}


def test_a_vehicle_that_needs_eight_amps_gets_eight_or_none() -> None:
    picky = demand("lot-1-1", min_a=8)
    assert allocate([picky], site_a=7, site=LOT) == {"lot-1-1": 0}
    assert allocate([picky], site_a=8, site=LOT) == {"lot-1-1": 8}


def test_room_is_kept_for_chargers_that_lose_contact() -> None:
    """Five chargers could fall back to 7 A each, which leaves 28 of 63 A to the three in use."""
    few = [demand(f"lot-{charger}-1") for charger in (1, 2, 3)]
    assert allocate(few, site_a=63, site=LOT) == {"lot-1-1": 10, "lot-2-1": 9, "lot-3-1": 9}


def test_a_silent_charger_counts_with_what_it_was_allowed() -> None:
    amps = allocate([demand("lot-1-1"), demand("lot-2-1")], site_a=63, site=LOT, outstanding_a={"lot-3": 12})
    assert amps == {"lot-1-1": 8, "lot-2-1": 8}


demands = st.lists(
    st.builds(
        demand,
        st.sampled_from([each.id for each in LOT.plugs]),
        urgency=st.floats(0, 3),
        max_a=st.integers(6, 32),
        charging=st.booleans(),
        min_a=st.integers(6, 10),
    ),
    unique_by=lambda each: each.plug,
)


@given(demands, st.integers(0, 80), st.dictionaries(st.sampled_from(["lot-7", "lot-8"]), st.integers(0, 16)))
def test_fuse_chargers_and_pilot_hold_for_any_demands(
    wanted: list[Demand], site_a: int, outstanding_a: dict[str, int]
) -> None:
    silent = {charger: max(7, drawn) for charger, drawn in outstanding_a.items()}
    assume(sum(silent.values()) + 7 * (8 - len(silent)) <= 63)  # nobody was given more before
    amps = allocate(wanted, site_a=site_a, site=LOT, outstanding_a=outstanding_a)

    assert sum(amps.values()) <= min(site_a, 63)
    by_charger = Counter[str]()
    for each in wanted:
        by_charger[each.charger] += amps[each.plug]
        assert amps[each.plug] == 0 or each.min_a <= amps[each.plug] <= each.max_a
    assert all(each <= 16 for each in by_charger.values())
    # Whoever falls silent draws 7 A at once or what it was given: in every mixture the fuse holds.
    assert sum(max(7, silent.get(charger, by_charger[charger])) for charger in IDS) <= 63


def test_an_increase_takes_only_what_no_plug_holds() -> None:
    """Eight chargers may fall back to 7 A each, which leaves 7 of 63 A: while the first holds them nobody else can."""
    target = {"lot-1-1": 7, "lot-2-1": 7, "lot-3-1": 14}

    def amps(*held: int) -> dict[str, int]:
        return within_held(target, dict(zip(target, held, strict=True)), LOT)

    assert amps(14, 7, 7) == {"lot-1-1": 7, "lot-2-1": 7, "lot-3-1": 7}
    assert amps(10, 7, 7) == {"lot-1-1": 7, "lot-2-1": 7, "lot-3-1": 11}
    assert amps(7, 7, 7) == {"lot-1-1": 7, "lot-2-1": 7, "lot-3-1": 14}


def test_within_a_charger_amps_move_the_same_way() -> None:
    target = {"lot-1-1": 0, "lot-1-2": 14}
    assert within_held(target, {"lot-1-1": 14, "lot-1-2": 0}, LOT) == {"lot-1-1": 0, "lot-1-2": 0}
    assert within_held(target, {"lot-1-1": 6, "lot-1-2": 0}, LOT) == {"lot-1-1": 0, "lot-1-2": 8}
    assert within_held(target, {"lot-1-1": 0, "lot-1-2": 0}, LOT) == {"lot-1-1": 0, "lot-1-2": 14}


amps_held = st.one_of(st.just(0), st.integers(1, 16))


@given(
    st.lists(st.one_of(st.just(0), st.integers(6, 16)), min_size=16, max_size=16),
    st.lists(amps_held, min_size=16, max_size=16),
    st.lists(st.booleans(), min_size=16, max_size=16),
)
def test_whichever_signals_arrive_the_fuse_holds(target: list[int], held: list[int], arrives: list[bool]) -> None:
    plugs = [each.id for each in LOT.plugs]
    held_a = dict(zip(plugs, held, strict=True))

    def counted(drawn_a: dict[str, int]) -> int:
        at = Counter[str]()
        for plug, plug_a in drawn_a.items():
            at[LOT.charger_of(plug).id] += plug_a
        return sum(max(7, at[charger]) for charger in IDS)

    assume(counted(held_a) <= 63)
    amps = within_held(dict(zip(plugs, target, strict=True)), held_a, LOT)
    arrived = zip(plugs, arrives, strict=True)
    drawn_a = {plug: max(held_a[plug], amps[plug]) if there else held_a[plug] for plug, there in arrived}

    assert counted(drawn_a) <= 63
    assert all(each == 0 or 6 <= each <= wanted for each, wanted in zip(amps.values(), target, strict=True))


def test_a_period_below_six_amps_charges_at_six_and_then_pauses() -> None:
    def amps(energy_wh: float, *, charging: bool) -> int:
        return site_amps(energy_wh=energy_wh, wanted_wh=9e4, hours_left=0.25, usable_a=63, charging=charging)

    assert amps(10 * 690 * 0.25, charging=False) == 10
    assert amps(4 * 690 * 0.25, charging=False) == 0, "it waits until what is left needs 6 A"
    assert amps(4 * 690 * 0.25, charging=True) == 6
    assert amps(0, charging=True) == 0
    assert amps(100 * 690 * 0.25, charging=True) == 63


def test_the_last_watt_hours_are_charged_at_the_minimum() -> None:
    assert site_amps(energy_wh=7, wanted_wh=7, hours_left=0.25, usable_a=63, charging=False) == 6
    assert site_amps(energy_wh=7, wanted_wh=70, hours_left=0.25, usable_a=63, charging=True) == 0
    assert site_amps(energy_wh=7, wanted_wh=7, hours_left=0.25, usable_a=5, charging=False) == 0
