"""Current by phase, as a broken line in time."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from aggregator_agents.emulation.cluster import EmulatedCluster
from aggregator_agents.emulation.meter import PhaseMeter
from aggregator_agents.fleet import Session, Site, Vehicle
from api_spec.period import MarketPeriod

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def test_means_under_a_ramp_and_a_jump() -> None:
    """L1 rises from 0 to 10 A in 10 s, jumps to 4 A and stays: 2.5, 7.5, 4 A in steps of 5 s; L2 stays at 1 A."""
    meter = PhaseMeter()
    meter.record(0.0, (0, 0, 0), (0, 1, 0))
    meter.record(10.0, (10, 1, 0), (4, 1, 0))
    means = meter.mean_a(0.0, 5.0, 3)
    assert means[:, 0] == pytest.approx([2.5, 7.5, 4.0])
    assert means[:, 1] == pytest.approx([1.0, 1.0, 1.0])


def test_a_vehicle_on_one_phase_is_seen_on_that_of_its_charger() -> None:
    """Rotation STR: terminal 1 is L2. All phases together are what the site's meter says."""
    site = Site.of("lot", chargers=1, plugs_per_charger=1, fuse_a=32, rotations=("STR",))
    cluster = EmulatedCluster(site, since=NOON)
    hours = timedelta(hours=1)
    cluster.expect([Session("s", site.plugs[0].id, NOON, NOON + 3 * hours, 8000, Vehicle(phases=1))])
    cluster.advance(NOON + 2 * hours)
    period = MarketPeriod(start=NOON, resolution=timedelta(minutes=5), count=24)
    by_phase = cluster.by_phase_w(period)
    assert by_phase[:, [0, 2]] == pytest.approx(np.zeros((24, 2)))
    assert by_phase.sum(axis=1) == pytest.approx(cluster.mean_w(NOON, period.resolution, 24))
    assert by_phase[-1, 1] > 2000


def test_what_is_over_is_forgotten_and_nothing_else_changes() -> None:
    """Two days of one vehicle a day; the second is the same whether the first is forgotten or not."""
    site = Site.of("lot", chargers=1, plugs_per_charger=1, fuse_a=32)
    day, hours = timedelta(days=1), timedelta(hours=1)
    remembering, forgetting = (EmulatedCluster(site, since=NOON) for _ in range(2))
    for cluster in (remembering, forgetting):
        cluster.expect(
            Session(f"s{at}", site.plugs[0].id, NOON + at * day, NOON + at * day + 3 * hours, 8000) for at in range(2)
        )
        cluster.advance(NOON + day)
    forgetting.forget(NOON + day, metered_before=NOON + day)
    for cluster in (remembering, forgetting):
        cluster.advance(NOON + 2 * day)
    second = MarketPeriod(start=NOON + day, resolution=timedelta(minutes=15), count=96)
    assert remembering.by_phase_w(second) == pytest.approx(forgetting.by_phase_w(second))
    means_w = [each.mean_w(second.start, second.resolution, second.count) for each in (remembering, forgetting)]
    assert means_w[0].tolist() == means_w[1].tolist()
    assert [each.session for each in forgetting.outcomes()] == ["s1"]
    assert [each.session for each in remembering.outcomes()] == ["s0", "s1"]
    with pytest.raises(ValueError, match="is forgotten"):
        forgetting.mean_w(NOON, 15 * MINUTE, 4)
    with pytest.raises(ValueError, match="is forgotten"):
        forgetting.by_phase_w(MarketPeriod(start=NOON, resolution=15 * MINUTE, count=4))
