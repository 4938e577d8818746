"""Whole amps on three phases: I1, I2 and I4 for any demands, and the cases that a person can count."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from aggregator_agents.dispatch.dividing import Demand, Room, divide, raise_lowest, signals_within_held, what_counts

CHARGERS = ("a", "b", "c")
PLUGS = tuple(f"{charger}{number}" for charger, number in product(CHARGERS, (1, 2)))


def demand(plug: str, phases: tuple[int, ...] = (0, 1, 2), **rest: float) -> Demand:
    return Demand(plug, plug[0], phases, **rest)  # type: ignore[arg-type]


def room(left_a: int, *, charger_a: int = 32, floor_a: int = 0, spare_a: int | None = None) -> Room:
    spare = None if spare_a is None else (spare_a, spare_a, spare_a)
    limits = dict.fromkeys(CHARGERS, (charger_a,) * 3)
    return Room((left_a,) * 3, limits, floor_a=dict.fromkeys(CHARGERS, floor_a), spare_a=spare)


def test_vehicles_on_different_phases_do_not_take_from_each_other() -> None:
    """Sixteen amps on each phase: three single-phase vehicles get them all, three on all phases share them."""
    alone = [demand("a1", (0,)), demand("b1", (1,)), demand("c1", (2,))]
    assert divide(alone, room(16)) == {"a1": 16, "b1": 16, "c1": 16}

    together = [demand("a1"), demand("b1"), demand("c1")]
    assert divide(together, room(18)) == {"a1": 6, "b1": 6, "c1": 6}
    assert divide(together, room(16)) == {"a1": 8, "b1": 8, "c1": 0}


def test_the_most_loaded_phase_decides_for_a_vehicle_on_two() -> None:
    """32 A on each phase, 20 of them taken on L2: a vehicle on L1 and L2 gets 12 A, one on L3 all that it can."""
    free = Room((32, 12, 32), {"a": (32, 32, 32), "b": (32, 32, 32)})
    assert divide([demand("a1", (0, 1)), demand("b1", (2,))], free) == {"a1": 12, "b1": 16}


def test_twice_the_weight_gets_twice_the_amps() -> None:
    assert divide([demand("a1", weight=2), demand("b1")], room(24)) == {"a1": 16, "b1": 8}


def test_of_equals_the_first_id_gets_the_odd_amp_whatever_the_order_of_asking() -> None:
    both = [demand("a1"), demand("b1")]
    assert divide(both, room(19)) == divide(both[::-1], room(19)) == {"a1": 10, "b1": 9}


def test_whoever_was_begun_recently_is_kept_even_from_a_more_urgent_one() -> None:
    kept, urgent = demand("a1", kept=True, urgency=0.1), demand("b1", urgency=0.9)
    assert divide([urgent, kept], room(11)) == {"a1": 11, "b1": 0}


def test_of_equally_urgent_ones_the_longest_waiting_comes_first() -> None:
    assert divide([demand("a1", waited_s=5), demand("b1", waited_s=900)], room(6)) == {"a1": 0, "b1": 6}


SHOWN = st.tuples(st.floats(0, 3), st.floats(0, 900), st.booleans())


@given(st.lists(SHOWN, min_size=6, max_size=6), st.integers(0, 60))
def test_what_counts_of_demands_decides_what_they_get(shown: list[tuple[float, float, bool]], left_a: int) -> None:
    """Six vehicles, and the same with nothing left of how urgent they are but who comes before whom."""
    asking = [
        demand(plug, urgency=urgency, waited_s=waited_s, kept=kept)
        for plug, (urgency, waited_s, kept) in zip(PLUGS, shown, strict=True)
    ]
    order = what_counts(asking)[-1]
    ranked = [each._replace(urgency=float(-order.index(each.plug)), waited_s=0, kept=False) for each in asking]

    assert what_counts(ranked) == what_counts(asking)
    assert divide(ranked, room(left_a, charger_a=16)) == divide(asking, room(left_a, charger_a=16))


def test_whoever_overtakes_another_counts() -> None:
    calm, urgent = demand("a1", urgency=0.4), demand("b1", urgency=0.9)

    assert what_counts([calm, urgent]) == what_counts([calm, urgent._replace(urgency=2.0)])
    assert what_counts([calm, urgent]) != what_counts([calm, urgent._replace(urgency=0.1)])
    assert what_counts([calm]) != what_counts([calm._replace(max_a=10)])


def test_what_every_charger_may_fall_back_to_cannot_be_given_to_another() -> None:
    """Three chargers, 25 A, a floor of 7 A each: what is above the floors is 4 A."""
    assert divide([demand("a1")], room(25, floor_a=7, spare_a=4)) == {"a1": 11}
    assert divide([demand("a1"), demand("b1")], room(25, floor_a=7, spare_a=4)) == {"a1": 9, "b1": 9}


def test_what_is_withheld_comes_back() -> None:
    """Of 32 A the plan wants 12 on each phase; what it leaves to others is the rest."""
    own = room(32)
    amps = divide([demand("a1")], own, most_a={"a1": 8})
    withheld = own.withhold_beyond([12, 12, 12])
    raise_lowest(amps, [demand("a1")], own)
    own.give_back(withheld)

    assert amps == {"a1": 12}
    assert own.left_a == [20, 20, 20]


def test_a_thousand_plugs_are_divided_the_same_way_every_time() -> None:
    """On one phase each in turn, 3000 A on each: eight or nine amps, and where 333 share a phase three have ten."""
    wanted = [Demand(f"p{number:04}", f"c{number // 2}", (number % 3,)) for number in range(1000)]

    def amps(asked: list[Demand]) -> dict[str, int]:
        return divide(asked, Room((3000, 3000, 3000), {f"c{each}": (32, 32, 32) for each in range(500)}))

    assert amps(wanted) == amps(wanted[::-1])
    assert set(amps(wanted).values()) == {8, 9, 10}
    assert sum(amps(wanted).values()) == 9000


demands = st.lists(
    st.builds(
        demand,
        st.sampled_from(PLUGS),
        st.sampled_from([(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)]),
        min_a=st.integers(6, 10),
        max_a=st.integers(5, 32),
        weight=st.floats(0, 5),
        urgency=st.floats(0, 3),
        charging=st.booleans(),
        kept=st.booleans(),
    ),
    unique_by=lambda each: each.plug,
)
amps_by_phase = st.tuples(*[st.integers(0, 60)] * 3)


@given(demands, amps_by_phase, st.integers(0, 32), st.sampled_from([0, 6, 7]), amps_by_phase)
def test_no_phase_is_given_more_than_there_is(
    wanted: list[Demand], left_a: tuple[int, int, int], charger_a: int, floor_a: int, spare_a: tuple[int, int, int]
) -> None:
    limits = dict.fromkeys(CHARGERS, (charger_a,) * 3)
    amps = divide(wanted, Room(left_a, limits, floor_a=dict.fromkeys(CHARGERS, floor_a), spare_a=spare_a))

    for phase in range(3):
        at = {name: sum(amps[d.plug] for d in wanted if d.charger == name and phase in d.phases) for name in CHARGERS}
        assert sum(at.values()) <= left_a[phase]
        assert all(each <= charger_a for each in at.values())
        assert sum(max(0, each - floor_a) for each in at.values()) <= spare_a[phase]
    assert all(amps[each.plug] == 0 or each.min_a <= amps[each.plug] <= each.max_a for each in wanted)


@given(st.integers(0, 120), st.integers(1, 6))
def test_equal_vehicles_are_equal_within_one_amp(left_a: int, count: int) -> None:
    amps = [each for each in divide([demand(plug) for plug in PLUGS[:count]], room(left_a)).values() if each > 0]
    assert not amps or max(amps) - min(amps) <= 1


held = st.tuples(*[st.integers(0, 16)] * 3)


@given(
    st.tuples(*[st.one_of(st.just(0), st.integers(6, 16))] * 3),
    st.tuples(held, held, held),
    st.tuples(*[st.sampled_from([(0,), (1, 2), (0, 1, 2)])] * 3),
    st.tuples(*[st.integers(0, 16)] * 3),
    amps_by_phase,
    st.tuples(*[st.booleans()] * 3),
)
def test_whichever_signals_arrive_no_phase_is_overrun(
    target: tuple[int, ...],
    held_a: tuple[tuple[int, int, int], ...],
    phases: tuple[tuple[int, ...], ...],
    signal: tuple[int, ...],
    limit_a: tuple[int, int, int],
    arrives: tuple[bool, ...],
) -> None:
    """Each plug draws, phase by phase, what it held or what it was signalled, whichever is more."""
    plugs = PLUGS[:3]
    now = dict(zip(plugs, held_a, strict=True))
    uses = dict(zip(plugs, phases, strict=True))
    pilots = dict(zip(plugs, signal, strict=True))
    over = [sum(each[phase] for each in held_a) > limit_a[phase] for phase in range(3)]
    amps = signals_within_held(dict(zip(plugs, target, strict=True)), now, pilots, uses, limit_a=limit_a)

    for phase in range(3):
        if over[phase]:
            assert all(amps[plug] <= pilots[plug] for plug in plugs if phase in uses[plug])
            continue
        reached = (
            amps[plug] if there and phase in uses[plug] else 0 for plug, there in zip(plugs, arrives, strict=True)
        )
        assert sum(map(max, (each[phase] for each in held_a), reached)) <= limit_a[phase]
    assert all(amps[plug] == 0 or 6 <= amps[plug] <= wanted for plug, wanted in zip(plugs, target, strict=True))


def test_an_increase_waits_for_what_the_neighbour_still_holds() -> None:
    """16 A for two plugs: the first is told 6 and is seen at 10, so the second may have 6 of its 10 A."""
    target, both = {"a1": 6, "a2": 10}, {"a1": (0, 1, 2), "a2": (0, 1, 2)}

    def amps(first: int, second: int) -> dict[str, int]:
        held = {"a1": (first,) * 3, "a2": (second,) * 3}
        return signals_within_held(target, held, {"a1": first, "a2": second}, both, limit_a=(16, 16, 16))

    assert amps(16, 0) == {"a1": 6, "a2": 0}
    assert amps(10, 0) == {"a1": 6, "a2": 6}
    assert amps(6, 6) == {"a1": 6, "a2": 10}


def test_where_too_much_may_be_flowing_no_pilot_rises_to_what_its_plug_is_thought_to_hold() -> None:
    """The second fell back to nothing while nobody looked, and is thought to hold 15 A still; only 6 A are there."""
    held, pilots = {"a1": (6, 6, 6), "a2": (15, 15, 15)}, {"a1": 6, "a2": 0}
    both = dict.fromkeys(held, (0, 1, 2))
    assert signals_within_held({"a1": 0, "a2": 6}, held, pilots, both, limit_a=(6, 6, 6)) == {"a1": 0, "a2": 0}
