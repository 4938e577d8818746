"""What is forgotten is gone, and nothing that happens later is any different."""

from datetime import UTC, datetime, timedelta

import numpy as np

from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.emulation.cluster import EmulatedCluster
from aggregator_agents.emulation.meter import LineMeter, PhaseMeter
from aggregator_agents.fleet import Session, Site
from api_spec.period import MarketPeriod

START = datetime(2026, 1, 15, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_meters_count_the_same_from_then_on() -> None:
    """1 kW for an hour, then 2 kW for two; from 1:30 on it is 2 kW, whatever is forgotten before."""
    energy, amps = LineMeter(), PhaseMeter()
    for hour, (before_w, after_w) in enumerate(((0, 1000), (1000, 2000), (2000, 2000), (2000, 0))):
        energy.record(3600.0 * hour, before_w, after_w)
        amps.record(3600.0 * hour, (before_w / 230, 0.0, 0.0), (after_w / 230, 0.0, 0.0))
    energy.forget(5400.0)
    amps.forget(5400.0)

    assert energy.mean_w(5400.0, 1800.0, 3).tolist() == [2000.0, 2000.0, 2000.0]
    assert np.allclose(amps.mean_a(5400.0, 1800.0, 3)[:, 0], 2000 / 230)


def test_a_cluster_goes_on_as_if_nothing_had_been_forgotten() -> None:
    site, plug = Site.of("lot", chargers=1, plugs_per_charger=1, fuse_a=25), "lot-1-1"
    early = Session("early", plug, START, START + HOUR, 3000.0)
    late = Session("late", plug, START + 2 * HOUR, START + 5 * HOUR, 9000.0)
    both = []
    for forgets in (False, True):
        cluster = EmulatedCluster(site, since=START)
        cluster.expect((early, late))
        for minute in range(6 * 60):
            cluster.follow(SitePlan(target_a={plug: 10}))
            cluster.advance(START + minute * timedelta(minutes=1))
            if forgets and minute == 150:
                cluster.forget(cluster.now, metered_before=cluster.now - HOUR)
        both.append(cluster)
    kept, forgotten = both

    assert [each.session for each in kept.outcomes()] == ["early", "late"]
    assert forgotten.outcomes() == kept.outcomes()[1:]
    after = MarketPeriod(start=START + 2 * HOUR, resolution=timedelta(minutes=15), count=12)
    first, second = (each.mean_w(after.start, after.resolution, after.count) for each in both)
    assert np.allclose(first, second)
    assert np.allclose(kept.by_phase_w(after), forgotten.by_phase_w(after))
