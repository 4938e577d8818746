"""Floors that chargers yield while nobody wants energy, and get back: by message, in a cluster, and on trial."""

from dataclasses import replace

import pytest

from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.dispatch.grants import GrantBook
from aggregator_agents.dispatch.lease import Lease, LeaseRequest, Stamp, Timing
from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.dispatch.virtual import VirtualAggregator
from aggregator_agents.emulation.trial import try_fuse
from aggregator_agents.fleet import Vehicle
from tests.unit.aggregator_agents.clusters import TWO, at_plug, cluster, run, signals
from tests.unit.aggregator_agents.test_leases import BOTH, HOLD_S, SITE, ask, demand, reading

YIELD_S = 2 * (HOLD_S + 5)
STAMP = Stamp(cloud="today 1", at_s=0.0)


def idle_or_not(agent: VirtualAggregator, session: str | None, now_s: float, *, signal_a: int = 0) -> list[int]:
    """What it signals with nobody, or somebody, at its first plug."""
    plugs = [reading(BOTH[0], session=session, signal_a=signal_a, amps=float(signal_a)), reading(BOTH[1], session=None)]
    signal = {each.plug: each.signal_a for each in plugs} | {
        each.plug: each.limit_a for each in agent.act(plugs, now_s)
    }
    return [signal[plug] for plug in BOTH]


def yielding(*, started_s: float = 0.0) -> VirtualAggregator:
    return VirtualAggregator(SITE.chargers[0], floor_a=7, boot_id="first", started_s=started_s, yields=True)


def leased(agent: VirtualAggregator, now_s: float, *, amps: int, stamp: Stamp | None = STAMP) -> LeaseRequest:
    """Its question, which is answered at once."""
    asked = agent.request(now_s)
    lease = Lease(charger="lot-1", boot_id="first", nonce=asked.nonce, limit_a=(amps,) * 3, stamp=stamp)
    assert agent.accept(lease, now_s)
    return asked


def test_a_charger_that_yields_its_floor_has_none_until_that_is_over_or_it_is_leased_amps() -> None:
    agent = yielding(started_s=-YIELD_S)
    idle_or_not(agent, None, 0)
    assert leased(agent, 0, amps=0).yields_s == 0, "it does not know yet of a cloud that lends floors"
    told = leased(agent, 5, amps=0)
    assert told.after == STAMP and told.yields_s == YIELD_S - 4, "a clock may leap 4 s unnoticed"

    assert idle_or_not(agent, "comes", 35.5) == [0, 0]
    assert leased(agent, 36, amps=10).yields_s == 0
    assert idle_or_not(agent, "comes", 36.5) == [10, 0]
    for second in range(37, 5 + int(YIELD_S)):
        seen = idle_or_not(agent, "comes", second, signal_a=10 if second < 67 else 0)
    assert seen == [0, 0], "the lease has ended, and the floor is not back"
    for second in range(6 + int(YIELD_S), 700 + int(YIELD_S)):
        seen = idle_or_not(agent, "comes", second, signal_a=seen[0])
    assert seen == [7, 0]


def test_who_yields_gives_up_what_was_leased_and_what_is_still_under_way() -> None:
    agent = yielding(started_s=-YIELD_S)
    idle_or_not(agent, "leaves", 0)
    leased(agent, 0, amps=16)
    late = agent.request(5)
    idle_or_not(agent, None, 6)
    assert agent.request(10).yields_s > 0

    assert idle_or_not(agent, "comes", 11) == [0, 0]
    assert not agent.accept(Lease(charger="lot-1", boot_id="first", nonce=late.nonce, limit_a=(16, 16, 16)), 11)


def test_after_a_start_a_charger_has_no_more_than_its_pilots_show_until_an_earlier_promise_is_over() -> None:
    """Its earlier life may have yielded the floor; but a pilot that is up was put there by a later lease."""
    assert idle_or_not(yielding(), "stays", 1) == [0, 0]
    assert idle_or_not(yielding(), "stays", 1, signal_a=6) == [6, 0]
    assert idle_or_not(yielding(), "stays", 1, signal_a=16) == [7, 0]
    agent = yielding()
    seen = [idle_or_not(agent, "stays", second) for second in range(1, int(YIELD_S) + 2)]
    assert seen == [[0, 0]] * int(YIELD_S) + [[7, 0]]


def test_a_clock_that_leaps_does_not_bring_a_yielded_floor_back() -> None:
    agent = yielding()
    for second in range(10):
        idle_or_not(agent, None, second)
    for second in range(3610, 3610 + int(YIELD_S)):
        assert idle_or_not(agent, "comes", second) == [0, 0]


def lending(life: str = "today") -> CloudAggregator:
    return CloudAggregator(replace(SITE, yields_floors=True), started_s=-HOLD_S, life=life)


def test_the_cloud_lends_a_yielded_floor_for_as_long_as_no_lease_outlasts_it() -> None:
    """32 A for two chargers with 7 A each. 82 s are told, 80 of them count, and the last 38.6 of those are a hold time.

    The first charger yields from 0 on; the other may have all 32 A, and is told 25 in time.
    """
    cloud = lending()
    (stamp,) = {each.stamp for each in [cloud.receive(ask("lot-1"), 0.0)] if each is not None}
    assert cloud.receive(ask("lot-1", nonce=1).model_copy(update={"after": stamp, "yields_s": 82.0}), 20.0)

    def limit_a(now_s: float, nonce: int) -> int:
        lease = cloud.receive(ask("lot-2", demand("lot-2-1"), nonce=nonce), now_s)
        return -1 if lease is None else lease.limit_a[0]

    lent_until_s = 82.0 * 0.98 - HOLD_S
    assert [limit_a(21.0, 0), limit_a(lent_until_s - 0.1, 1), limit_a(lent_until_s, 2)] == [32, 32, 25]


@pytest.mark.parametrize("why", ["another cloud", "another start of the charger", "before the charger was known"])
def test_a_promise_that_cannot_be_dated_is_none(why: str) -> None:
    cloud = lending()
    first = cloud.receive(ask("lot-1"), 0.0)
    assert first is not None and first.stamp is not None
    stamp = first.stamp
    boot_id = "first" if why != "another start of the charger" else "second"
    if why == "another cloud":
        stamp = Stamp(cloud="yesterday 1", at_s=0.0)
    if why == "before the charger was known":
        stamp = stamp.model_copy(update={"at_s": -1.0})
    cloud.receive(ask("lot-1", nonce=1, boot_id=boot_id).model_copy(update={"after": stamp, "yields_s": 82.0}), 5.0)

    lease = cloud.receive(ask("lot-2", demand("lot-2-1")), 6.0)
    assert lease is not None and lease.limit_a[0] == 25


def test_who_wants_again_has_its_floor_counted_at_once_and_amps_once_they_are_given_back() -> None:
    cloud = lending()
    first = cloud.receive(ask("lot-1"), 0.0)
    assert first is not None
    cloud.receive(ask("lot-1", nonce=1).model_copy(update={"after": first.stamp, "yields_s": 82.0}), 5.0)
    asks = [ask("lot-2", demand("lot-2-1"), nonce=nonce) for nonce in range(3)]

    assert cloud.receive(asks[0], 6.0).limit_a[0] == 32  # type: ignore[union-attr]
    assert cloud.receive(ask("lot-1", demand("lot-1-1"), nonce=2), 7.0).limit_a[0] == 0  # type: ignore[union-attr]
    assert cloud.receive(asks[1], 8.0).limit_a[0] == 16  # type: ignore[union-attr]
    later = cloud.receive(ask("lot-1", demand("lot-1-1"), nonce=3), 6.0 + HOLD_S)
    assert later is not None and later.limit_a[0] == 16


def test_a_charger_may_always_have_its_floor_but_not_while_that_is_lent() -> None:
    """24 A for three chargers of 7: the first has 17, 7 of the third's among them, when the third wants again."""
    book, room = GrantBook(["a", "b", "c"], floor_a=7, hold_s=40.0), (24, 24, 24)
    book.yield_floor("c", until_s=200.0, now_s=0.0)
    assert book.free_a("a", room, 0.0) == (17, 17, 17)
    book.write("a", (17, 17, 17), 0.0)
    book.keep_floor("c", 10.0)

    assert book.counted_a(10.0) == (31, 31, 31)
    assert [book.free_a(each, room, 10.0)[0] for each in "abc"] == [10, 7, 0]
    assert [book.free_a(each, room, 40.0)[0] for each in "abc"] == [10, 10, 10], "what the first had is over"
    book.yield_floor("c", until_s=100.0, now_s=50.0)
    assert [book.free_a(each, room, 59.0)[0] for each in "ab"] == [17, 17]
    book.write("a", (17, 17, 17), 59.0)
    assert [book.free_a(each, room, 60.0)[0] for each in "abc"] == [10, 7, 0], "it comes back at 100, in a hold time"
    assert [book.free_a(each, room, 99.0)[0] for each in "abc"] == [10, 10, 10]


class ImpatientCharger(VirtualAggregator):
    """Falls back to the floor that it has yielded, without waiting."""

    def _fallback_a(self, now_s: float) -> int:
        return self._floor_a


@pytest.mark.parametrize(("agent", "peak_a"), [(VirtualAggregator, 26), (ImpatientCharger, 32)])
def test_a_vehicle_that_comes_to_a_charger_without_contact_waits_for_what_was_lent(
    agent: type[VirtualAggregator], peak_a: float
) -> None:
    """Two chargers with 6 A each of 26: all of them go to the one that is used. Then the other's line is cut."""
    made = cluster(
        replace(TWO, yields_floors=True),
        [at_plug("lot-1-1", Vehicle(max_a=32)), at_plug("lot-2-1", from_s=300)],
        agent=agent,
    )
    made.follow(SitePlan({"lot-1-1": 26}))
    run(made, 295)
    assert signals(made) == [26, 0]
    made.boxes["lot-2"].up.cut = made.boxes["lot-2"].down.cut = True
    run(made, 600)
    assert signals(made) == [20, 6]
    assert made.plant.fuse.peak_a == peak_a


def test_a_cloud_that_starts_again_counts_every_floor_until_leases_tell_otherwise() -> None:
    """26 A were leased to the first charger; the second one starts, too, and a vehicle comes to it."""
    made = cluster(
        replace(TWO, yields_floors=True), [at_plug("lot-1-1", Vehicle(max_a=32)), at_plug("lot-2-1", from_s=302)]
    )
    made.follow(SitePlan({"lot-1-1": 26, "lot-2-1": 6}))
    run(made, 300)
    made.kill_cloud()
    made.kill_charger("lot-2")
    made.start_charger("lot-2")
    run(made, 303)
    assert signals(made) == [26, 0], "a charger that starts does not know whether it yielded its floor"
    made.start_cloud()
    run(made, 330)
    assert signals(made) == [6, 0], "its lease has ended, and there is no other one yet"
    run(made, 600)
    assert signals(made) == [20, 6]
    assert made.plant.fuse.peak_a == 26


@pytest.mark.parametrize("first", range(0, 40, 20))
def test_the_fuse_holds_whatever_happens_where_floors_are_yielded(first: int) -> None:
    verdicts = [try_fuse(seed, minutes=5, yields_floors=True) for seed in range(first, first + 20)]
    assert [each for each in verdicts if not each.holds] == []


def test_the_trial_finds_a_charger_that_takes_a_yielded_floor() -> None:
    """Only some scenes show it: here is one of them."""
    assert not try_fuse(10, yields_floors=True, agent=ImpatientCharger).holds
    assert try_fuse(10, yields_floors=True).holds


def test_what_a_charger_promises_is_longer_than_what_the_cloud_counts() -> None:
    timing = Timing()
    assert timing.yield_s == YIELD_S
    assert timing.yielded_s(timing.yield_s - timing.gap_s) == pytest.approx(0.98 * (YIELD_S - 4))
