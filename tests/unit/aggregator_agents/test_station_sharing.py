"""A station's own limit among its plugs."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from aggregator_agents.charging.chargepoint.sharing import Claim, in_turn, share
from aggregator_agents.fleet import MIN_A, PhaseAmps


def test_7_amps_are_for_one_plug() -> None:
    claims = Claim("a", 16), Claim("b", 16)
    assert share(claims, (7, 7, 7)) == {"a": 7, "b": 0}
    assert share(claims[::-1], (7, 7, 7)) == {"a": 0, "b": 7}


def test_20_amps_are_shared_alike_up_to_what_each_may_have() -> None:
    assert share((Claim("a", 16), Claim("b", 16)), (20, 20, 20)) == {"a": 10, "b": 10}
    assert share((Claim("a", 8), Claim("b", 16)), (20, 20, 20)) == {"a": 8, "b": 12}
    assert share((Claim("a", 16), Claim("b", 16)), (inf, inf, inf)) == {"a": 16, "b": 16}


def test_the_tightest_terminal_counts_for_whoever_uses_it() -> None:
    """7 A on the third terminal: the vehicle on one phase does not use it."""
    assert share((Claim("a", 16), Claim("b", 16, terminals=(0,))), (20, 20, 7)) == {"a": 7, "b": 13}


def test_nobody_rises_before_the_other_has_given_back() -> None:
    """Of 16 A the first plug still holds 16 on the way to 8; then 8."""
    assert share((Claim("a", 16, held_a=16), Claim("b", 16)), (16, 16, 16)) == {"a": 8, "b": 0}
    assert share((Claim("a", 16, held_a=8), Claim("b", 16)), (16, 16, 16)) == {"a": 8, "b": 8}


def test_turns_go_to_those_that_waited() -> None:
    assert in_turn(["a", "b", "c"], on=["a"]) == ("b", "c", "a")


claims = st.builds(
    Claim,
    st.just(""),
    st.integers(0, 32),
    st.integers(MIN_A, 10),
    st.integers(0, 32),
    st.sampled_from([(0, 1, 2), (0,), (0, 1)]),
)
limits = st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(0, 80))


@given(st.lists(claims, min_size=1, max_size=5), limits)
def test_a_share_is_0_or_within_all_its_limits(several: list[Claim], station_a: PhaseAmps) -> None:
    named = [Claim(str(number), *list(vars(each).values())[1:]) for number, each in enumerate(several)]
    shares = share(named, station_a)

    for claim in named:
        assert shares[claim.plug] == 0 or MIN_A <= shares[claim.plug] <= claim.at_most_a
    for phase, limit_a in enumerate(station_a):
        users = [each for each in named if phase in each.terminals]
        assert sum(shares[each.plug] for each in users) <= limit_a
        held_a = sum(each.held_a for each in users)
        assert sum(max(shares[each.plug], each.held_a) for each in users) <= max(limit_a, held_a)
