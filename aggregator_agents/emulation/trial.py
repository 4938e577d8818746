"""The fuse on trial: random minutes in which everything happens that can happen to a cluster, from a seed.

Lines with up to 50 % loss, 40 s of delay, reordering and doubling; clocks that run 1 % fast or slow and jump; every
part killed, restarted, stopped and continued; chargers that do not answer, or answer and do nothing; vehicles that
need up to 5 s to follow; other load that steps, and its meter silent, stopped or not a number; plans that ask for
anything. Vehicles keep to their signal: what is on trial is the cluster.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from math import nan
from random import Random
from typing import Final

from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.dispatch.lease import Timing
from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.dispatch.virtual import VirtualAggregator
from aggregator_agents.emulation.cluster import EmulatedCluster
from aggregator_agents.emulation.link import IDEAL, Weather
from aggregator_agents.emulation.vehicle import Behaviour
from aggregator_agents.fleet import MIN_A, PHASE_V, ROTATIONS, PhaseAmps, Session, Site, Vehicle

_SINCE: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)
_LAG_S: Final = 5.0
_LOAD_EVERY_S: Final = 90.0
_METER_EVERY_S: Final = 2.0
_PLAN_EVERY_S: Final = 60.0
_FAULT_EVERY_S: Final = 90.0


@dataclass(frozen=True)
class Verdict:
    """What it came to. peak_a : the most on a phase at any instant. above_as : amp-seconds above the fuse."""

    seed: int
    fuse_a: int
    peak_a: float
    above_as: float
    delivered_wh: float
    messages: int

    @property
    def holds(self) -> bool:
        """Whether the fuse held at every instant."""
        return self.peak_a <= self.fuse_a + 1e-6


def try_fuse(
    seed: int,
    *,
    minutes: float = 10.0,
    yields_floors: bool = False,
    timing: Timing | None = None,
    cloud: type[CloudAggregator] = CloudAggregator,
    agent: type[VirtualAggregator] = VirtualAggregator,
) -> Verdict:
    """Ten minutes of everything, or more; the same for the same seed.

    yields_floors : as Site. timing : but for how soon vehicles are switched on and off, which is drawn.
    """
    return _Trial(Random(seed), minutes * 60, yields_floors, timing or Timing(), cloud, agent).run(seed)


class _Trial:
    def __init__(
        self,
        random: Random,
        lasts_s: float,
        yields_floors: bool,
        timing: Timing,
        cloud: type[CloudAggregator],
        agent: type[VirtualAggregator],
    ) -> None:
        self._random, self._lasts_s = random, lasts_s
        self.site = replace(_site(random), yields_floors=yields_floors)
        self._rise_a = random.choice([None, random.randint(0, self.site.other_a)])
        self.cluster = EmulatedCluster(
            self.site,
            since=_SINCE,
            timing=replace(timing, on_s=random.choice([60.0, 900.0]), off_s=random.choice([0.0, 0.0, 600.0])),
            weather=_weather(random),
            random=random,
            clock_drift=0.01,
            other_rise_a=self._rise_a,
            sleeps=False,
            cloud=cloud,
            agent=agent,
        )
        self._load_a: PhaseAmps = (0.0, 0.0, 0.0)
        self._meter_fails_until_s, self._meter_shows = 0.0, ""
        for each in self.site.plugs:
            self._let_come(each.id)
        # Once in a hold time at most: what is promised to the cloud is how much the load rises within one.
        self._every(max(_LOAD_EVERY_S, 1.25 * timing.hold_s), self._load)
        self._every(_METER_EVERY_S, self._observe)
        self._every(_PLAN_EVERY_S, self._plan)
        self._every(_FAULT_EVERY_S, self._fault)

    def run(self, seed: int) -> Verdict:
        self.cluster.plant.run_until(self._lasts_s)
        fuse = self.cluster.plant.fuse
        delivered_wh = sum(each.delivered_wh for each in self.cluster.outcomes())
        return Verdict(seed, self.site.fuse_a, fuse.peak_a, fuse.above_as, delivered_wh, self.cluster.messages)

    def _every(self, seconds: float, event: Callable[[], None]) -> None:
        """From the start on."""
        event()
        self._after(seconds, partial(self._every, seconds, event))

    def _after(self, seconds: float, event: Callable[[], None]) -> None:
        self.cluster.plant.at(self.cluster.plant.now_s + seconds, event)

    def _let_come(self, plug: str) -> None:
        """One vehicle after another, some as soon as the one before has left."""
        random = self._random
        at_s = random.choice([0.0, 0.0, random.uniform(0, self._lasts_s / 2)])
        number = 0
        while at_s < self._lasts_s:
            stays_s = random.choice([random.uniform(5, 300), 2 * self._lasts_s, random.uniform(300, self._lasts_s)])
            arrives = _SINCE + timedelta(seconds=at_s)
            vehicle = _vehicle(random)
            session = Session(
                f"{plug} {number}",
                plug,
                arrives,
                arrives + timedelta(seconds=stays_s),
                energy_wh=random.choice([random.uniform(1, 300), 50_000.0, 50_000.0]),
                vehicle=vehicle,
                stored_wh=random.uniform(0, 20_000),
                floor_wh=random.uniform(0, 10_000),
            )
            self.cluster.expect([session], behaviours={session.id: _compliant(random, vehicle)})
            at_s += stays_s + random.choice([0.0, 0.5, random.uniform(0, 300)])
            number += 1

    def _load(self) -> None:
        """It rises by no more than was promised to the cloud, and stays below what it can be at most."""
        rise_a = self.site.other_a if self._rise_a is None else self._rise_a
        first, second, third = (
            self._random.uniform(-10, min(self.site.other_a, max(0.0, each) + rise_a)) for each in self._load_a
        )
        self._load_a = first, second, third
        self.cluster.plant.load(self._load_a)

    def _observe(self) -> None:
        random, now_s = self._random, self.cluster.plant.now_s
        if now_s >= self._meter_fails_until_s and random.random() < 0.01:
            self._meter_fails_until_s = now_s + random.uniform(0, 120)
            self._meter_shows = random.choice(["nothing", "NaN", "the same"])
            self._stuck_a = self._noisy()
        if now_s >= self._meter_fails_until_s:
            self.cluster.observe(self._noisy())
        elif self._meter_shows == "NaN":
            self.cluster.observe((nan, *self._load_a[1:]))
        elif self._meter_shows == "the same":
            self.cluster.observe(self._stuck_a)

    def _noisy(self) -> PhaseAmps:
        first, second, third = (each + self._random.uniform(0, 0.01) for each in self._load_a)
        return first, second, third

    def _plan(self) -> None:
        """Mostly one charger is to have everything, and every time another one, so that amps move."""
        random = self._random
        favoured = random.choice(self.site.chargers).id
        others_a = random.choice([[MIN_A], [MIN_A], [0, -16, *range(MIN_A, 33)]])
        target_a = {
            each.id: each.max_a if each.charger == favoured else random.choice(others_a)
            for each in self.site.plugs
            if random.random() < 0.9
        }
        self.cluster.follow(SitePlan(target_a, cap_a=random.choice([None] * 17 + [0, 5, 20])))

    def _fault(self) -> None:
        """One part fails, for a while."""
        random, cluster = self._random, self.cluster
        charger = random.choice(list(cluster.boxes))
        box, lasts_s = cluster.boxes[charger], random.choice([0.0, random.uniform(0, 90)])
        match random.randrange(11):
            case 0 | 1:
                cluster.kill_cloud()
                self._after(lasts_s, cluster.start_cloud)
            case 2:
                cluster.stop_cloud(stopped=True)
                self._after(lasts_s, partial(cluster.stop_cloud, stopped=False))
            case 3:
                cluster.kill_charger(charger)
                self._after(lasts_s, partial(cluster.start_charger, charger))
            case 4:
                cluster.stop_charger(charger, stopped=True)
                self._after(lasts_s, partial(cluster.stop_charger, charger, stopped=False))
            case 5:
                box.hardware.silent = True
                self._after(lasts_s, partial(setattr, box.hardware, "silent", False))
            case 6:
                box.hardware.deaf = True
                self._after(lasts_s, partial(setattr, box.hardware, "deaf", False))
            case 7:
                for each in cluster.boxes.values():
                    each.up.cut = True
                    self._after(lasts_s, partial(setattr, each.up, "cut", False))
            case 8 if not box.stopped:
                # Forward it only makes leases end early; a machine whose monotonic clock went back starts again.
                box.clock.offset_s += random.choice([-3600.0, 3600.0])
            case 9:
                cluster.cloud_clock.offset_s -= 3600.0
            case _:
                box.down.cut = True
                self._after(lasts_s, partial(setattr, box.down, "cut", False))


def _site(random: Random) -> Site:
    """Tight ones, from which every charger alone could take all that there is above the floors."""
    chargers, floor_a, other_a = random.randint(2, 5), random.choice([0, 6, 7, 10]), random.choice([0, 0, 20])
    return Site.of(
        "lot",
        chargers=chargers,
        plugs_per_charger=random.randint(1, 2),
        fuse_a=chargers * floor_a + random.randint(MIN_A, 26) + other_a,
        charger_a=random.choice([16, 32]),
        other_a=other_a,
        fallback_a=floor_a,
        rotations=tuple(random.sample(ROTATIONS, 3)),
    )


def _weather(random: Random) -> Weather:
    lossy = Weather(random.uniform(0, 0.5), 0.1, random.uniform(0, 5), random.uniform(0, 0.3))
    storm = Weather(random.uniform(0, 0.5), random.uniform(0, 5), random.uniform(0, 35), random.uniform(0, 0.3))
    return random.choice([IDEAL, lossy, lossy, storm])


def _vehicle(random: Random) -> Vehicle:
    phases, feeds_a = random.choice([1, 2, 3, 3, 3]), random.choice([0, 0, 0, 16])
    return Vehicle(phases, random.choice([6, 6, 8]), random.choice([16, 32]), discharge_a=feeds_a)


def _compliant(random: Random, vehicle: Vehicle) -> Behaviour:
    """It has followed within 5 s, its ramp included."""
    ramp_s = random.choice([1e-6, random.uniform(0.1, 4)])
    most_w = (vehicle.max_a + vehicle.discharge_a) * 3 * PHASE_V
    return Behaviour(
        lag_s=random.choice([_LAG_S - ramp_s, random.uniform(0, _LAG_S - ramp_s)]),
        ramp_up_w_per_s=most_w / ramp_s,
        ramp_down_w_per_s=most_w / ramp_s,
        charging_bias_w=random.choice([0.0, 0.0, 0.0, -440.0]),
        accuracy=random.choice([1.0, 1.0, 1.0, random.uniform(0.9, 1)]),
    )
