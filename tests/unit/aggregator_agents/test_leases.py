"""Leases between one virtual and one cloud aggregator, message by message: what counts, for how long, and whose."""

from itertools import pairwise
from math import inf, nan

import pytest

from aggregator_agents.charging.hardware import PlugReading, VehicleFacts
from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.dispatch.grants import GrantBook
from aggregator_agents.dispatch.lease import Lease, LeaseRequest, PlugDemand, PlugShare, Timing
from aggregator_agents.dispatch.other_load import OtherLoad
from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.dispatch.virtual import Command, VirtualAggregator
from aggregator_agents.dispatch.watching import Said
from aggregator_agents.fleet import Site

SITE = Site.of("lot", chargers=2, plugs_per_charger=2, fuse_a=32, charger_a=32, fallback_a=7)
HOLD_S = 30 * 1.02 + 5 + 3
BOTH = ("lot-1-1", "lot-1-2")


def virtual(*, floor_a: int = 7) -> VirtualAggregator:
    return VirtualAggregator(SITE.chargers[0], floor_a=floor_a, boot_id="first", started_s=0.0)


def lease(request: LeaseRequest, limit_a: int, **rest: object) -> Lease:
    own = {"charger": request.charger, "boot_id": request.boot_id, "nonce": request.nonce, "limit_a": (limit_a,) * 3}
    return Lease.model_validate(own | rest)


def reading(
    plug: str, *, signal_a: int = 0, amps: float = 0.0, session: str | None = "now", **rest: object
) -> PlugReading:
    return PlugReading(plug, session, session is not None, signal_a, (amps,) * 3, 0.0, 0.0, **rest)  # type: ignore[arg-type]


def settle(agent: VirtualAggregator, *, until_s: int, begin_s: int = 0, follows: bool = True) -> dict[str, int]:
    """Vehicles at both plugs do what they are told within a second; what is signalled in the end."""
    signal = dict.fromkeys(BOTH, 0)
    for second in range(begin_s, until_s + 1):
        for command in agent.act([reading(plug, signal_a=signal[plug], amps=signal[plug]) for plug in BOTH], second):
            signal[command.plug] = command.limit_a
    return signal


def demand(plug: str, **rest: object) -> PlugDemand:
    return PlugDemand.model_validate({"plug": plug, "session": "now", "wants": True, "max_a": 32} | rest)


def ask(charger: str, *plugs: PlugDemand, nonce: int = 0, boot_id: str = "first") -> LeaseRequest:
    return LeaseRequest(charger=charger, boot_id=boot_id, nonce=nonce, plugs=plugs)


def awake_cloud(site: Site = SITE) -> CloudAggregator:
    return CloudAggregator(site, started_s=-HOLD_S)


def test_without_a_lease_one_plug_has_the_floor() -> None:
    assert settle(virtual(), until_s=60) == {"lot-1-1": 7, "lot-1-2": 0}


def test_a_lease_ends_thirty_seconds_after_it_was_asked_for_however_late_it_came() -> None:
    agent = virtual()
    settle(agent, until_s=9)
    request = agent.request(10.0)
    assert agent.accept(lease(request, 26), 25.0)
    assert agent.expires_s == 40.0
    assert settle(agent, begin_s=25, until_s=39) == {"lot-1-1": 13, "lot-1-2": 13}

    over = [reading(plug, signal_a=13, amps=13.0) for plug in BOTH]
    assert {each.plug: each.limit_a for each in agent.act(over, 40.0)} == {"lot-1-1": 7, "lot-1-2": 0}
    late = virtual()
    assert not late.accept(lease(late.request(10.0), 26), 40.0)


def test_a_longer_lease_than_the_cloud_counts_is_not_believed() -> None:
    agent = virtual()
    assert agent.accept(lease(agent.request(0.0), 16, ttl_s=3600.0), 1.0)
    assert agent.expires_s == 30.0


def test_only_the_answer_to_its_own_question_is_a_lease() -> None:
    agent = virtual()
    request = agent.request(0.0)
    others: list[dict[str, object]] = [
        {"charger": "lot-2"},
        {"boot_id": "an earlier life"},
        {"nonce": request.nonce + 1},
    ]
    assert not any(agent.accept(lease(request, 16, **each), 1.0) for each in others)
    assert agent.accept(lease(request, 16), 1.0)


def test_a_lease_that_was_overtaken_comes_too_late() -> None:
    agent = virtual()
    early, later = agent.request(0.0), agent.request(5.0)
    assert agent.accept(lease(later, 7), 6.0)
    assert not agent.accept(lease(early, 32), 7.0)
    assert not agent.accept(lease(later, 32), 7.0), "nor does its double"


def test_a_clock_that_goes_backwards_ends_every_lease() -> None:
    agent = virtual()
    agent.accept(lease(agent.request(5000.0), 32), 5001.0)
    agent.act([reading(plug) for plug in BOTH], 1401.0)
    assert agent.expires_s == -inf


def test_above_the_floor_the_charger_is_told_to_fall_back_when_the_lease_ends() -> None:
    agent = virtual()
    settle(agent, until_s=9)
    agent.accept(lease(agent.request(10.0), 26), 10.0)
    commands = agent.act([reading("lot-1-1", signal_a=7, amps=7.0), reading("lot-1-2")], 11.0)

    assert commands == (Command("lot-1-1", 13, 40.0), Command("lot-1-2", 13, 40.0))


def test_a_pilot_rises_no_faster_than_every_five_seconds() -> None:
    agent = virtual()
    settle(agent, until_s=9)
    at, signal_a = [], 7
    for second in range(10, 70):
        more_a = 8 + (second - 10) // 3
        share = PlugShare(plug=BOTH[0], target_a=more_a)
        agent.accept(lease(agent.request(float(second)), more_a, plugs=(share,)), second)
        for each in agent.act([reading(BOTH[0], signal_a=signal_a, amps=signal_a), reading(BOTH[1])], second):
            if each.limit_a != signal_a:
                at.append(second)
                signal_a = each.limit_a
    assert len(at) > 5
    assert min(later - earlier for earlier, later in pairwise(at)) == 5


def test_a_neighbour_waits_until_it_is_seen_that_the_first_gave_way() -> None:
    """16 A to the first; the plan turns to the second: nothing before the first was measured at less, 5 s on."""
    agent = virtual()
    settle(agent, until_s=9)
    first, second = (tuple(PlugShare(plug=plug, target_a=16 * (plug == own)) for plug in BOTH) for own in BOTH)
    agent.accept(lease(agent.request(10.0), 16, plugs=first), 10.0)
    agent.act([reading(BOTH[0], signal_a=7, amps=7.0), reading(BOTH[1])], 10.0)
    agent.accept(lease(agent.request(20.0), 16, plugs=second), 20.0)

    def told(second_s: float, *, amps: float) -> list[Command]:
        return list(agent.act([reading(BOTH[0], signal_a=0, amps=amps), reading(BOTH[1])], second_s))

    assert agent.act([reading(BOTH[0], signal_a=16, amps=16.0), reading(BOTH[1])], 20.0) == (Command(BOTH[0], 0),)
    assert told(21.0, amps=0.0) == [], "a measurement so early says nothing: it may go on with the signal of before"
    assert told(26.0, amps=16.0) == []
    assert told(27.0, amps=nan) == []
    assert told(28.0, amps=0.0) == [Command(BOTH[1], 16, 50.0)]


def test_what_cannot_be_measured_is_not_free() -> None:
    agent = virtual()
    agent.accept(lease(agent.request(9.0), 22), 9.0)
    for second in range(10, 40):
        agent.act([reading(BOTH[0], signal_a=16, amps=nan), reading(BOTH[1])], second)
        agent.accept(lease(agent.request(float(second)), 22), float(second))
    (first, _) = agent.request(40.0).plugs
    assert first.measured_a == (16.0, 16.0, 16.0)
    assert first.phases is None


def test_a_vehicle_feeds_back_only_above_its_drivers_floor() -> None:
    """11 kW for 11 s are 34 Wh: at 5030 Wh of 5000 it is too late to begin, at 5100 it is not (I6)."""
    agent = virtual()
    share = (PlugShare(plug=BOTH[0], target_a=-16),)

    def feeds(stored_wh: float, *, discharge_a: int = 16, floor_wh: float | None = 5000.0) -> int:
        agent = virtual()
        agent.hear(BOTH[0], "now", Said(floor_wh=floor_wh))
        agent.accept(lease(agent.request(9.0), 32, discharge_a=(16, 16, 16), plugs=share), 9.0)
        facts = VehicleFacts(stored_wh=stored_wh, discharge_a=discharge_a)
        signal_a = 0
        for second in range(10, 20):
            own = reading(BOTH[0], signal_a=signal_a, amps=signal_a, vehicle=facts)
            for each in agent.act([own, reading(BOTH[1], session=None)], second):
                signal_a = each.limit_a
        return signal_a

    assert agent.request(0.0).plugs[0].discharge_a == 0
    assert [feeds(5030.0), feeds(5100.0), feeds(9e4, discharge_a=0), feeds(9e4, floor_wh=None)] == [0, -16, 0, 0]


def test_a_grant_counts_until_nobody_can_act_on_it() -> None:
    book = GrantBook(["a", "b"], floor_a=7, hold_s=HOLD_S)
    book.write("a", (20, 0, 9), 100.0)
    book.write("a", (9, 9, 9), 105.0)

    assert book.counted_a(100.0 + HOLD_S - 0.1) == (27, 16, 16)
    assert book.free_a("b", (32, 32, 32), 110.0) == (12, 23, 23)
    assert book.counted_a(100.0 + HOLD_S) == (16, 16, 16)
    assert book.counted_a(105.0 + HOLD_S) == (14, 14, 14)


def test_the_cloud_grants_nothing_for_one_hold_time_after_its_start() -> None:
    cloud = CloudAggregator(SITE, started_s=0.0)
    assert cloud.receive(ask("lot-1", demand("lot-1-1")), HOLD_S - 0.1) is None
    assert cloud.receive(ask("lot-1", demand("lot-1-1"), nonce=1), HOLD_S) is not None


def test_amps_move_to_another_charger_one_hold_time_after_they_were_granted_last() -> None:
    """32 A, of which each charger keeps 7: 25 A to the one that the plan favours."""
    cloud = awake_cloud()

    def limits(now_s: float, nonce: int) -> list[int]:
        asked = [ask(each.id, demand(each.plugs[0].id), nonce=nonce) for each in SITE.chargers]
        answers = [cloud.receive(each, now_s) for each in asked]
        return [each.limit_a[0] for each in answers if each is not None]

    cloud.follow(SitePlan({"lot-1-1": 25, "lot-2-1": 7}))
    assert limits(5.0, 1) == [25, 7]
    cloud.follow(SitePlan({"lot-1-1": 7, "lot-2-1": 25}))
    assert limits(10.0, 2) == [7, 7]
    assert limits(5.0 + HOLD_S - 0.1, 3) == [7, 7]
    assert limits(5.0 + HOLD_S, 4) == [7, 25]


def test_a_repeated_question_gets_the_same_answer_and_an_overtaken_one_none() -> None:
    cloud = awake_cloud()
    first = cloud.receive(ask("lot-1", demand("lot-1-1"), nonce=1), 0.0)
    assert cloud.receive(ask("lot-1", demand("lot-1-1"), nonce=1), 1.0) == first
    assert cloud.receive(ask("lot-1", demand("lot-1-1"), nonce=0), 2.0) is None
    assert cloud.receive(ask("lot-9"), 3.0) is None
    assert cloud.receive(ask("lot-2", demand("lot-1-1")), 3.0) is None


def test_a_clock_of_the_cloud_that_goes_backwards_counts_as_a_restart() -> None:
    cloud = awake_cloud()
    assert cloud.receive(ask("lot-1", demand("lot-1-1")), 5000.0) is not None
    assert cloud.receive(ask("lot-1", demand("lot-1-1"), nonce=1), 1400.0) is None
    assert cloud.receive(ask("lot-1", demand("lot-1-1"), nonce=2), 1400.0 + HOLD_S) is not None


def test_what_is_measured_counts_even_where_it_was_not_granted() -> None:
    cloud = awake_cloud()
    cloud.follow(SitePlan({"lot-1-1": 7, "lot-2-1": 25}))
    cloud.receive(ask("lot-1", demand("lot-1-1", measured_a=(20.0, 0.0, 0.0))), 0.0)
    answer = cloud.receive(ask("lot-2", demand("lot-2-1")), 1.0)
    assert answer is not None
    assert answer.limit_a[0] == 32 - 20


def test_discharging_makes_no_room_for_charging() -> None:
    cloud = awake_cloud()
    cloud.follow(SitePlan({"lot-1-1": -16, "lot-2-1": 32}))
    answer = cloud.receive(ask("lot-1", demand("lot-1-1", discharge_a=16, phases=(0,))), 0.0)
    assert answer is not None
    assert (answer.limit_a, answer.discharge_a) == ((0, 0, 0), (16, 0, 0))
    answer = cloud.receive(ask("lot-2", demand("lot-2-1")), 1.0)
    assert answer is not None
    assert answer.limit_a == (25, 25, 25)


def test_what_a_plug_cannot_use_of_its_target_goes_to_the_others_of_the_plan() -> None:
    cloud = awake_cloud(Site.of("lot", chargers=2, plugs_per_charger=2, fuse_a=32, charger_a=32, fallback_a=0))
    cloud.follow(SitePlan({"lot-1-1": 12, "lot-1-2": 12}))
    answer = cloud.receive(ask("lot-1", demand("lot-1-1", max_a=8), demand("lot-1-2")), 0.0)
    assert answer is not None
    assert [each.target_a for each in answer.plugs] == [8, 16]
    assert answer.limit_a == (24, 24, 24)


@pytest.mark.parametrize(("cap_a", "expected"), [(None, 25), (20, 20), (5, 0), (0, 0), (99, 25)])
def test_a_cap_tightens_and_never_loosens(cap_a: int | None, expected: int) -> None:
    cloud = awake_cloud()
    cloud.receive(ask("lot-2"), 0.0)
    cloud.follow(SitePlan(cap_a=cap_a))
    answer = cloud.receive(ask("lot-1", demand("lot-1-1")), 1.0)
    assert answer is not None
    assert answer.limit_a == (expected,) * 3


def test_the_other_load_counts_with_what_it_may_rise_and_at_its_worst_where_it_is_not_known() -> None:
    """At most 20 A, may rise by 4 A before a grant is over."""
    other = OtherLoad(worst_a=20, rise_a=4)
    assert other.reserved_a(0.0) == (20, 20, 20)
    other.observe((3.0, -8.0, 19.0), 0.0)
    assert other.reserved_a(10.0) == (7, 4, 20)
    assert other.reserved_a(10.1) == (20, 20, 20), "stale"
    other.observe((nan, 3.0, 3.0), 11.0)
    assert other.reserved_a(11.0) == (20, 20, 20)
    other.observe((25.5, 0.0, 0.0), 12.0)
    assert other.reserved_a(12.0)[0] == 26, "more than it was said to be"
    for second in range(20, 51):
        other.observe((3.0, 3.0, 3.0), float(second))
    assert other.reserved_a(50.0) == (7, 7, 7)
    other.observe((3.0, 3.0, 3.0), 51.0)
    assert other.reserved_a(51.0) == (20, 20, 20), "frozen"


def test_a_frozen_meter_is_noticed_after_the_clock_went_backwards_too() -> None:
    load = OtherLoad(worst_a=20, rise_a=2)
    load.observe((5.0, 5.0, 5.0), 5_000.0)
    reserved = []
    for second in range(1_000, 1_032):
        load.observe((5.0, 5.0, 5.0), second)
        reserved.append(load.reserved_a(second)[0])
    assert reserved == [7] * 31 + [20]


def test_the_cloud_holds_what_it_says_of_time() -> None:
    assert Timing().hold_s == pytest.approx(HOLD_S)
