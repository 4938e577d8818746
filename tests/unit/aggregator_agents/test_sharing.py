"""How the cloud divides a fuse: by plan, then by demand, with what may fall back kept free."""

from aggregator_agents.dispatch.lease import PlugDemand
from aggregator_agents.dispatch.sharing import SitePlan, share_out
from aggregator_agents.fleet import Site

LOT = Site.of("lot", chargers=3, plugs_per_charger=2, fuse_a=63, charger_a=32, fallback_a=7)
ALL = (63, 63, 63)


def wants(plug: str, **rest: object) -> PlugDemand:
    return PlugDemand.model_validate({"plug": plug, "session": "now", "wants": True, "max_a": 32} | rest)


def limits(plan: SitePlan, *plugs: PlugDemand, silent: tuple[str, ...] = ()) -> list[int]:
    return [each[0] for each in share_out(LOT, plan, plugs, silent, ALL).limit_a.values()]


def test_the_plan_comes_first_and_others_share_the_rest() -> None:
    """63 A: 20 are planned; of the rest, 7 stay for the third charger to fall back to."""
    assert limits(SitePlan({"lot-1-1": 20}), wants("lot-1-1"), wants("lot-2-1")) == [20, 32, 0]
    assert limits(SitePlan({"lot-1-1": 32}), wants("lot-1-1"), wants("lot-2-1")) == [32, 24, 0]


def test_a_plug_that_is_to_wait_waits_and_one_without_a_plan_does_not() -> None:
    assert limits(SitePlan({"lot-1-1": 0}), wants("lot-1-1"), wants("lot-2-1")) == [0, 32, 0]


def test_a_plug_that_tripped_or_is_empty_gets_nothing() -> None:
    assert limits(SitePlan(), wants("lot-1-1", tripped=True), wants("lot-2-1", session=None)) == [0, 0, 0]


def test_of_a_cap_what_silent_chargers_may_draw_is_taken_off() -> None:
    assert limits(SitePlan(cap_a=20), wants("lot-1-1")) == [20, 0, 0]
    assert limits(SitePlan(cap_a=20), wants("lot-1-1"), silent=("lot-2",)) == [13, 0, 0]


def test_the_more_urgent_is_admitted_where_there_is_room_for_one() -> None:
    both = wants("lot-1-1"), wants("lot-2-1")
    assert limits(SitePlan(cap_a=8), *both) == [8, 0, 0]
    assert limits(SitePlan(urgency={"lot-2-1": 2.0}, cap_a=8), *both) == [0, 8, 0]


def test_only_vehicles_that_can_feed_back() -> None:
    plan = SitePlan({"lot-1-1": -20, "lot-2-1": -20})
    division = share_out(LOT, plan, [wants("lot-1-1", discharge_a=16), wants("lot-2-1")], (), ALL)
    assert [each[0] for each in division.discharge_a.values()] == [16, 0, 0]
    assert {plug: each.target_a for plug, each in division.shares.items()} == {"lot-1-1": -16, "lot-2-1": 0}
