"""What the three ways to control a site are good for, on the same morning, whose last hour was awarded."""

import pytest

from aggregator_agents.emulation.comparison import LOT, Day, Kind, live

MORNING_S = 4 * 3600


@pytest.fixture(scope="module")
def with_lines() -> dict[Kind, Day]:
    return {kind: live(kind, "none", lasts_s=MORNING_S) for kind in ("centralised", "decentralised", "distributed")}


@pytest.fixture(scope="module")
def without() -> dict[Kind, Day]:
    return {kind: live(kind, "lines lost", lasts_s=MORNING_S) for kind in ("centralised", "distributed")}


def test_with_lines_whoever_hears_of_the_award_follows_it(with_lines: dict[Kind, Day]) -> None:
    assert with_lines["centralised"].followed > 0.98
    assert with_lines["distributed"].followed > 0.98


def test_alone_chargers_cannot_use_what_their_neighbours_leave(with_lines: dict[Kind, Day]) -> None:
    delivered = {kind: day.delivered_wh for kind, day in with_lines.items()}
    assert delivered["decentralised"] < 0.8 * delivered["distributed"] < delivered["centralised"]
    assert with_lines["decentralised"].messages == 0


def test_without_lines_the_cloud_leaves_its_last_setpoints_and_leases_end(without: dict[Kind, Day]) -> None:
    """What was promised is 20.7 kW; the floors of eight chargers are 33 kW, of those with a vehicle less."""
    assert without["centralised"].lost_w > without["distributed"].lost_w
    assert without["centralised"].followed < without["distributed"].followed < 1


def test_the_fuse_of_the_distributed_site_holds(with_lines: dict[Kind, Day], without: dict[Kind, Day]) -> None:
    for each in (with_lines["distributed"], without["distributed"], with_lines["decentralised"]):
        assert each.peak_a <= LOT.fuse_a
        assert each.above_as == 0
