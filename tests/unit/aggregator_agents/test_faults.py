"""Faults: drawn alike whatever is asked for, and what becomes of one charger."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from aggregator_agents.emulation.breakdown import Breakdowns
from aggregator_agents.emulation.cluster import Box, EmulatedCluster
from aggregator_agents.emulation.vehicle import EXACT
from aggregator_agents.faults import CutOff, Faults, Outages
from aggregator_agents.fleet import Session, Site
from aggregator_agents.sessions import Pattern, actual, announced
from api_spec.period import MarketPeriod

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
YEAR = timedelta(days=365)


def test_outages_are_as_many_and_as_long_as_they_should_be() -> None:
    """2 a day over a year: 730 with a standard deviation of 27; a mean of 30 min over so many is good to 4 %."""
    found = Outages(per_day=2, minutes=30).beginning("lot-1", since=NOON, until=NOON + YEAR, seed=1)
    assert len(found) == pytest.approx(730, abs=81)
    assert np.mean([(each.end - each.start) / timedelta(minutes=1) for each in found]) == pytest.approx(30, rel=0.12)


def test_hour_by_hour_the_same_outages_begin_as_in_a_day_at_once() -> None:
    outages = Outages(per_day=20)
    whole = outages.beginning("lot-1", since=NOON, until=NOON + 24 * HOUR, seed=1)
    parts = [
        each
        for hour in range(24)
        for each in outages.beginning("lot-1", since=NOON + hour * HOUR, until=NOON + (hour + 1) * HOUR, seed=1)
    ]
    assert tuple(parts) == whole
    assert whole != outages.beginning("lot-2", since=NOON, until=NOON + 24 * HOUR, seed=1)
    first = whole[0]
    assert outages.at("lot-1", first.start, seed=1) is not None
    assert Outages().at("lot-1", first.start, seed=1) is None


def lot(faults: Faults) -> tuple[EmulatedCluster, Breakdowns]:
    """Two chargers at a wide fuse, a vehicle that wants 40 kWh at each."""
    site = Site.of("lot", chargers=2, plugs_per_charger=1, fuse_a=63)
    cluster = EmulatedCluster(site, since=NOON, behaviour=EXACT)
    cluster.expect(Session(f"{plug.id} s", plug.id, NOON, NOON + 10 * HOUR, 40_000) for plug in site.plugs)
    breakdowns = Breakdowns(cluster, faults, seed=3)
    breakdowns.draw(NOON, until=NOON + 3 * HOUR)
    return cluster, breakdowns


@pytest.mark.parametrize("kind", ["dead", "stuck", "ignoring", "lines", "cloud"])
def test_every_fault_begins_ends_and_is_written_down_and_the_fuse_holds(kind: str) -> None:
    cluster, breakdowns = lot(Faults.model_validate({kind: {"per_day": 24, "minutes": 20}}))
    assert {each.kind for each in breakdowns.log} == {kind}
    failing = set()
    for minute in range(360):
        cluster.advance(NOON + timedelta(minutes=minute))
        boxes = cluster.boxes.values()
        failing.add((
            any(each.hardware.silent for each in boxes),
            any(each.hardware.deaf for each in boxes),
            any(each.up.cut and each.down.cut for each in boxes),
            cluster.cloud is None,
        ))  # fmt: skip
    silent, deaf, cut, gone = (any(each[at] for each in failing) for at in range(4))
    assert (silent, deaf, cut, gone) == (
        kind in {"dead", "stuck"},
        kind == "ignoring",
        kind == "lines",
        kind == "cloud",
    )
    assert cluster.plant.fuse.above_as == 0
    later = NOON + timedelta(days=2)
    cluster.advance(later)
    assert cluster.cloud is not None
    assert not any(box.hardware.silent or box.hardware.deaf or box.up.cut for box in cluster.boxes.values())


def test_a_dead_charger_gives_nothing_until_it_is_mended() -> None:
    """While it is dead only the other one draws; five minutes after it has power again, both do."""
    cluster, _ = lot(Faults())
    dead, other = cluster.boxes.values()
    cluster.advance(NOON + timedelta(minutes=10))
    assert current_a(dead) > 0
    cluster.plant.power_off(dead.hardware.charger.id)
    for minute in (11, 40):
        cluster.advance(NOON + timedelta(minutes=minute))
        assert current_a(dead) == 0 < current_a(other)
    dead.hardware.silent = False
    cluster.advance(NOON + timedelta(minutes=45))
    assert current_a(dead) > 0


def current_a(box: Box) -> float:
    return sum(plug.current_a for plug in box.hardware.plugs.values())


def test_while_it_is_cut_off_the_market_hears_nothing() -> None:
    cut_off = CutOff(Outages(per_day=6, minutes=45), seed=2)
    minutes = [NOON + timedelta(minutes=each) for each in range(1440)]
    away = [each for each in minutes if cut_off.at(each)]
    assert 60 < len(away) < 600
    assert all(any(record.start <= each < record.end for record in cut_off.log) for each in away)
    assert not CutOff(Outages(), seed=2).at(NOON)


def test_half_of_the_drivers_leave_early_and_nobody_late() -> None:
    """Of 40 plugs over 10 days: 400 sessions, 200 of which end early, give or take 10."""
    site = Site.of("lot", chargers=40, plugs_per_charger=1, fuse_a=1000)
    punctual = Pattern(arrives_h=8, departs_h=16, energy_kwh=20)
    hurried = punctual.model_copy(update={"leaves_early": 0.5})
    said = announced(site, punctual, MarketPeriod(start=NOON, resolution=timedelta(days=10), count=1), seed=4)
    real = actual(said, hurried, seed=4)
    early = [did for did, told in zip(real, said, strict=True) if did.departs < told.departs]
    assert len(early) == pytest.approx(len(said) / 2, abs=0.08 * len(said))
    assert all(did.arrives <= did.departs <= told.departs for did, told in zip(real, said, strict=True))
    assert actual(said, punctual, seed=4) == said
