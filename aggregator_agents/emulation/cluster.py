"""A whole ACDC cluster in virtual time: an emulated site, a virtual aggregator in every charger, one cloud aggregator.

Lines lose, delay and double messages, clocks drift and jump, parts die and stand still; each aggregator sees nothing
but its own clock, its readings and what reaches it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from math import inf
from random import Random
from typing import Final

from aggregator_agents.charging.hardware import HardwareSilent, PlugReading
from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.dispatch.lease import Lease, LeaseRequest, PlugDemand, Timing
from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.dispatch.virtual import VirtualAggregator
from aggregator_agents.dispatch.watching import Said
from aggregator_agents.emulation.charger import EmulatedCharger, EmulatedPlug
from aggregator_agents.emulation.clock import Clock
from aggregator_agents.emulation.link import IDEAL, Link, Weather
from aggregator_agents.emulation.plant import DriverOutcome, EmulatedPlant, Visit
from aggregator_agents.emulation.vehicle import Behaviour
from aggregator_agents.fleet import PHASE_V, FloatArray, PhaseAmps, Session, Site
from api_spec.period import MarketPeriod

MARKET_TIMING: Final = Timing(act_every_s=30.0, ask_every_s=30.0, ttl_s=120.0)
"""For whole days of many sites, where no message is lost and seconds do not matter."""


@dataclass
class Box:
    """A charger with its virtual aggregator, None while that is dead. life : one more whenever it starts.

    asleep : nobody there wants anything. naps : who is there wants something that the plan does not give.
    """

    hardware: EmulatedCharger
    clock: Clock
    up: Link
    down: Link
    agent: VirtualAggregator | None = None
    life: int = 0
    stopped: bool = False
    asleep: bool = False
    naps: bool = False
    ask_s: float = -inf
    told: tuple[object, ...] = ()
    inbox: list[Lease] = field(default_factory=list)


class EmulatedCluster:
    """One site. Let vehicles come (`expect`), say what is wanted (`follow`), let time pass (`advance`), and look."""

    def __init__(
        self,
        site: Site,
        *,
        since: datetime,
        timing: Timing = MARKET_TIMING,
        behaviour: Behaviour | None = None,
        weather: Weather = IDEAL,
        random: Random | None = None,
        clock_drift: float = 0.0,
        other_rise_a: int | None = None,
        sleeps: bool = True,
        fails: bool = False,
        cloud: type[CloudAggregator] = CloudAggregator,
        agent: Callable[..., VirtualAggregator] = VirtualAggregator,
    ) -> None:
        """Everything starts at `since`, with nobody there.

        behaviour : of vehicles. clock_drift : clocks run fast or slow by up to this share. other_rise_a : see
        CloudAggregator. sleeps : chargers whose vehicles want nothing, or get nothing by plan, do nothing, which saves
        time only; not where floors are yielded, which takes asking. fails : parts of the site are going to: who gets
        nothing by plan goes on asking then, and falls back to its floor where nobody answers. cloud, agent : what is
        built at every start.
        """
        self.plant = EmulatedPlant(site, since=since)
        self.plant.arrived, self.plant.left = self._arrived, self._left
        self._timing, self._behaviour = timing, behaviour or Behaviour()
        self._rise_a, self._sleeps = other_rise_a, sleeps and not site.yields_floors
        self._naps = self._sleeps and not fails
        self._build_cloud, self._build_agent = cloud, agent
        self._said: dict[str, Session] = {}
        self._plan = SitePlan()
        random = random or Random(0)

        def clock() -> Clock:
            return Clock(random.uniform(0, 1e5), 1 + clock_drift * random.uniform(-1, 1))

        def line() -> Link:
            return Link(weather, random=random)

        self.cloud_clock = clock()
        self.boxes = {id: Box(each, clock(), line(), line()) for id, each in self.plant.chargers.items()}
        self.cloud: CloudAggregator | None = None
        self._clouds = 0
        self._cloud_stopped = False
        self._cloud_inbox: list[LeaseRequest] = []
        self.start_cloud()
        for charger in self.boxes:
            self.start_charger(charger, after_s=random.uniform(0, timing.act_every_s))

    def expect(
        self,
        sessions: Iterable[Session],
        *,
        announced: Mapping[str, Session] | None = None,
        behaviours: Mapping[str, Behaviour] | None = None,
    ) -> None:
        """Let these vehicles come as well; one that is known comes once.

        announced : by session, what its driver says at the charger, where that is not the truth. behaviours : by
        session, of vehicles that do not follow like the others.
        """
        coming, own = tuple(sessions), behaviours or {}
        self._said |= {each.id: each for each in coming if each.id not in self._said} | dict(announced or {})
        self.plant.expect(Visit(each, own.get(each.id, self._behaviour)) for each in coming)

    def follow(self, plan: SitePlan) -> None:
        """As Cluster. Chargers are told when something changes, so that they need not wait until they ask anyway."""
        changed, self._plan = plan != self._plan, plan
        feeds = min(plan.target_a.values(), default=0) < 0
        if self.cloud is None or not (changed or feeds):
            return
        for box in self.boxes.values():
            if box.naps and not all(map(self._is_kept_waiting, box.hardware.plugs.values())):
                # Before anything is divided anew: the cloud leaves out who was not heard of for a while.
                self._rouse(box)
        self.cloud.follow(plan)
        for box in self.boxes.values():
            if feeds and box.asleep and box.agent is not None and _feeds(box, plan):
                self._wake(box)
            if changed and not self._cloud_stopped:
                for when_s in box.down.deliveries(self.plant.now_s):
                    self.plant.at(when_s, partial(self._nudged, box, box.life))

    def demands(self) -> tuple[PlugDemand, ...]:
        """As Cluster; nothing while there is no cloud aggregator."""
        heard = self.cloud.heard if self.cloud is not None else {}
        return tuple([plug for id in self.boxes if id in heard for plug in heard[id].request.plugs])

    def observe(self, other_a: PhaseAmps) -> None:
        """What the meter of the other load tells the cloud aggregator now."""
        if self.cloud is not None and not self._cloud_stopped:
            self.cloud.observe(other_a, self.cloud_clock.reads_s(self.plant.now_s))

    @property
    def now(self) -> datetime:
        """Until when time has passed."""
        return self.plant.since + timedelta(seconds=self.plant.now_s)

    def advance(self, now: datetime) -> None:
        """Let time pass until `now`."""
        self.plant.run_until(self.plant.seconds(now))

    def readings(self) -> tuple[PlugReading, ...]:
        """Every plug now, charger by charger, as its hardware would tell."""
        now_s = self.plant.now_s
        return tuple(plug.read(now_s) for each in self.plant.chargers.values() for plug in each.plugs.values())

    def mean_w(self, start: datetime, step: timedelta, count: int) -> FloatArray:
        """(step,) mean power of all plugs together in `count` steps that are over, feeding back negative [W]."""
        return self.plant.meter.mean_w(self.plant.seconds(start), step.total_seconds(), count)

    def by_phase_w(self, period: MarketPeriod) -> FloatArray:
        """(period, 3) mean power at the connection point on L1, L2, L3 in periods that are over [W]."""
        lines, start_s = self.plant.lines, self.plant.seconds(period.start)
        mean: FloatArray = lines.mean_a(start_s, period.resolution.total_seconds(), period.count) * PHASE_V
        return mean

    def metered_wh(self, start: datetime, end: datetime) -> float:
        """Energy of all plugs together from `start` to `end`, which is not later than now [Wh]."""
        meter = self.plant.meter
        return meter.energy_wh(self.plant.seconds(end)) - meter.energy_wh(self.plant.seconds(start))

    @property
    def settled_w(self) -> float:
        """Power of all plugs once their vehicles follow the present signals [W]."""
        return self.plant.settled_w

    def outcomes(self) -> tuple[DriverOutcome, ...]:
        """Every session that has begun."""
        return self.plant.outcomes()

    def forget(self, before: datetime, *, metered_before: datetime) -> None:
        """Sessions that were over before, and what meters counted before."""
        gone = self.plant.forget(self.plant.seconds(before), metered_before_s=self.plant.seconds(metered_before))
        for session in gone:
            self._said.pop(session, None)

    @property
    def messages(self) -> int:
        """Sent over all lines so far."""
        return sum(box.up.sent + box.down.sent for box in self.boxes.values())

    def start_cloud(self) -> None:
        """The cloud aggregator starts, with the plan, and without a memory."""
        started_s = self.cloud_clock.reads_s(self.plant.now_s)
        site, rise_a = self.plant.site, self._rise_a
        self._clouds += 1
        self.cloud = self._build_cloud(
            site, started_s=started_s, timing=self._timing, other_rise_a=rise_a, life=f"cloud {self._clouds}"
        )
        self.cloud.follow(self._plan)

    def kill_cloud(self) -> None:
        """Whatever it knew is gone."""
        for box in self.boxes.values():
            self._rouse(box)
        self.cloud = None
        self._cloud_inbox.clear()

    def stop_cloud(self, *, stopped: bool) -> None:
        """SIGSTOP, and SIGCONT: what came in the meantime is read late."""
        for box in self.boxes.values():
            self._rouse(box)
        self._cloud_stopped = stopped
        while not stopped and self._cloud_inbox:
            self._receive(self._cloud_inbox.pop(0))

    def start_charger(self, charger: str, *, after_s: float = 0.0) -> None:
        """A virtual aggregator starts; pilots are as they are, and drivers have said what they said."""
        box = self.boxes[charger]
        box.life, box.told, box.stopped, box.asleep, box.naps = box.life + 1, (), False, False, False
        box.inbox.clear()
        box.agent = self._build_agent(
            box.hardware.charger,
            floor_a=self.plant.site.floor_a,
            boot_id=f"{charger} {box.life}",
            started_s=box.clock.reads_s(self.plant.now_s),
            timing=self._timing,
            yields=self.plant.site.yields_floors,
        )
        for plug in box.hardware.plugs.values():
            if plug.session is not None:
                self._hear(box, self._said[plug.session])
        box.ask_s = -inf
        self.plant.at(self.plant.now_s + after_s, partial(self._tick, box, box.life))

    def kill_charger(self, charger: str) -> None:
        """Its virtual aggregator is gone; the hardware goes on with what it was told."""
        box = self.boxes[charger]
        box.agent, box.life = None, box.life + 1

    def stop_charger(self, charger: str, *, stopped: bool) -> None:
        """SIGSTOP, and SIGCONT."""
        box = self.boxes[charger]
        box.stopped = stopped
        while not stopped and box.inbox:
            self._take(box, box.inbox.pop(0))

    def _arrived(self, session: Session) -> None:
        box = self.boxes[self.plant.site.charger_of(session.plug).id]
        if box.agent is None:
            return
        self._hear(box, self._said[session.id])
        self._rouse(box)
        if box.asleep:
            self._wake(box)

    def _left(self, session: Session) -> None:
        self._rouse(self.boxes[self.plant.site.charger_of(session.plug).id])

    def _rouse(self, box: Box) -> None:
        """With a lease, as if it had asked for one all the time."""
        if box.naps and box.agent is not None:
            box.naps = False
            self._ask(box, box.agent.request(box.clock.reads_s(self.plant.now_s)))

    def _wake(self, box: Box) -> None:
        assert box.agent is not None, "only the living sleep"
        box.asleep, box.ask_s = False, -inf
        # Awake, it would have had a lease when the vehicle came, and not have begun on its floor.
        self._ask(box, box.agent.request(box.clock.reads_s(self.plant.now_s)))
        self.plant.at(self.plant.now_s, partial(self._tick, box, box.life))

    def _hear(self, box: Box, said: Session) -> None:
        assert box.agent is not None, "only the living hear"
        departs_s = box.clock.reads_s(self.plant.seconds(said.departs))
        floor_wh = said.floor_wh if said.vehicle.discharge_a else None
        words = Said(said.energy_wh, departs_s, said.departs, said.priority, floor_wh)
        box.agent.hear(said.plug, said.id, words)

    def _tick(self, box: Box, life: int) -> None:
        """A virtual aggregator reads, acts and asks."""
        if box.life != life or box.agent is None:
            return
        clock_s = box.clock.reads_s(self.plant.now_s)
        idle = False
        if not (box.stopped or box.naps):
            readings = self._act(box, box.agent, clock_s)
            if not 0 < box.ask_s - clock_s <= self._timing.ask_every_s:
                box.ask_s = clock_s + self._timing.ask_every_s
                before = box.told
                self._ask(box, box.agent.request(clock_s))
                if box.told != before:
                    self._act(box, box.agent, clock_s)
                idle = bool(readings) and all(not each.wants and each.signal_a == 0 for each in readings)
                leased = box.agent.expires_s > clock_s
                box.naps = self._naps and leased and bool(readings) and all(self._waits(box, each) for each in readings)
        if idle and self._sleeps:
            box.asleep = True
            return
        self.plant.at(box.clock.true_s(clock_s + self._timing.act_every_s), partial(self._tick, box, life))

    def _nudged(self, box: Box, life: int) -> None:
        """The cloud has news: ask at once."""
        if box.life != life or box.agent is None or box.stopped or box.asleep or box.naps:
            return
        clock_s = box.clock.reads_s(self.plant.now_s)
        self._ask(box, box.agent.request(clock_s))
        self._act(box, box.agent, clock_s)

    def _waits(self, box: Box, reading: PlugReading) -> bool:
        """Whether nothing there changes until the plan does, or another vehicle is there.

        Not where the charger says other than its vehicle, that it rests: it will be tried again after a while.
        """
        plug = box.hardware.plugs[reading.plug]
        if plug.signal_a != 0 or any(reading.current_a):
            return False
        heard = self.cloud.heard.get(box.hardware.charger.id) if self.cloud is not None else None
        known = next((each for each in heard.request.plugs if each.plug == reading.plug), None) if heard else None
        told = known is not None and known.session == reading.session and known.wants == reading.wants
        return told and self._is_kept_waiting(plug)

    def _is_kept_waiting(self, plug: EmulatedPlug) -> bool:
        """Whether nobody is there, or the plan gives nothing to who is."""
        return plug.session is None or self._plan.target_a.get(plug.plug.id) == 0

    def _act(self, box: Box, agent: VirtualAggregator, clock_s: float) -> tuple[PlugReading, ...]:
        try:
            readings = box.hardware.read(self.plant.now_s)
        except HardwareSilent:
            readings = ()
        for command in agent.act(readings, clock_s):
            try:
                if command.opens:
                    self.plant.cut(command.plug)
                else:
                    until_s = box.clock.true_s(command.until_s)
                    self.plant.signal(command.plug, command.limit_a, until_s=until_s)
            except HardwareSilent:
                continue
        return readings

    def _ask(self, box: Box, request: LeaseRequest) -> None:
        now_s = self.plant.now_s
        for when_s in box.up.deliveries(now_s):
            if when_s == now_s:
                self._receive(request)
            else:
                self.plant.at(when_s, partial(self._receive, request))

    def _receive(self, request: LeaseRequest) -> None:
        if self.cloud is None:
            return
        if self._cloud_stopped:
            self._cloud_inbox.append(request)
            return
        now_s, box = self.plant.now_s, self.boxes[request.charger]
        lease = self.cloud.receive(request, self.cloud_clock.reads_s(now_s))
        if lease is None:
            return
        for when_s in box.down.deliveries(now_s):
            if when_s == now_s:
                self._take(box, lease)
            else:
                self.plant.at(when_s, partial(self._take, box, lease))

    def _take(self, box: Box, lease: Lease) -> None:
        if box.agent is None:
            return
        if box.stopped:
            box.inbox.append(lease)
        elif box.agent.accept(lease, box.clock.reads_s(self.plant.now_s)):
            box.told = lease.limit_a, lease.discharge_a, lease.plugs


def _feeds(box: Box, plan: SitePlan) -> bool:
    """Whether some plug of a charger is to feed back."""
    return any(plan.target_a.get(plug, 0) < 0 for plug in box.hardware.plugs)
