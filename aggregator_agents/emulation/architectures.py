"""Three ways to control one site, to be compared on the same plant, lines and days.

Centralised: a cloud hears every plug and sets every plug; chargers do what they were told last, for ever.
Decentralised: chargers know neither each other nor a cloud; each keeps to its share of the fuse, less where its voltage
falls (droop).
Distributed: the ACDC cluster, EmulatedCluster.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from random import Random
from typing import Final, Protocol

from aggregator_agents.charging.hardware import PlugReading
from aggregator_agents.dispatch.dividing import ALL_PHASES, Demand, Room, divide, signals_within_held
from aggregator_agents.dispatch.lease import Timing, WholeAmps
from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.dispatch.virtual import VirtualAggregator
from aggregator_agents.emulation.cluster import EmulatedCluster
from aggregator_agents.emulation.link import IDEAL, Link, Weather
from aggregator_agents.emulation.plant import EmulatedPlant, Visit
from aggregator_agents.emulation.vehicle import Behaviour
from aggregator_agents.fleet import Charger, Session, Site

_EVERY_S: Final = 5.0
_TIMING: Final = Timing(act_every_s=_EVERY_S, ask_every_s=_EVERY_S)
_DROOP_FROM_PU: Final = 0.96
_DROOP_TO_PU: Final = 0.92


class Architecture(Protocol):
    """A controlled site."""

    plant: EmulatedPlant

    def expect(self, sessions: Iterable[Session]) -> None:
        """Let these vehicles come."""
        ...

    def follow(self, plan: SitePlan) -> None:
        """What is wanted of the plugs from now on; whoever does not hear of it does not follow."""
        ...

    @property
    def messages(self) -> int:
        """Sent so far."""
        ...

    def cut_lines(self, *, cut: bool) -> None:
        """No line carries anything, or all do again."""
        ...


class Distributed(EmulatedCluster):
    """Virtual aggregators with leases of a cloud aggregator."""

    def __init__(self, site: Site, *, since: datetime, weather: Weather = IDEAL, random: Random | None = None) -> None:
        """As EmulatedCluster; it reads, asks and acts as often as the others."""
        super().__init__(site, since=since, timing=_TIMING, weather=weather, random=random)

    def cut_lines(self, *, cut: bool) -> None:
        """As Architecture."""
        for box in self.boxes.values():
            box.up.cut = box.down.cut = cut


class Decentralised(EmulatedCluster):
    """Chargers on their own: an equal share of the fuse for each, less where the voltage falls."""

    def __init__(
        self, site: Site, *, since: datetime, voltage_pu: Callable[[float], float], random: Random | None = None
    ) -> None:
        """voltage_pu : at the chargers at a second since the start, as every one of them measures it."""

        def charger(
            charger: Charger,
            *,
            floor_a: int,
            boot_id: str,
            started_s: float,
            timing: Timing | None = None,
            yields: bool = False,
        ) -> VirtualAggregator:
            return DroopingCharger(
                charger, floor_a=floor_a, boot_id=boot_id, started_s=started_s, timing=timing, voltage_pu=measured_pu
            )

        def measured_pu() -> float:
            return voltage_pu(self.plant.now_s)

        super().__init__(site, since=since, timing=_TIMING, random=random, agent=charger)
        self.kill_cloud()
        self.cut_lines(cut=True)

    @property
    def messages(self) -> int:
        """Nobody listens."""
        return 0

    def cut_lines(self, *, cut: bool) -> None:
        """There are none."""
        for box in self.boxes.values():
            box.up.cut = box.down.cut = True


class DroopingCharger(VirtualAggregator):
    """Its share in full down to 0.96 of the nominal voltage, nothing at 0.92, and a straight line between."""

    def __init__(
        self,
        charger: Charger,
        *,
        floor_a: int,
        boot_id: str,
        started_s: float,
        timing: Timing | None,
        voltage_pu: Callable[[], float],
    ) -> None:
        """As VirtualAggregator."""
        super().__init__(charger, floor_a=floor_a, boot_id=boot_id, started_s=started_s, timing=timing)
        self._voltage_pu = voltage_pu

    def _limits(self, now_s: float) -> tuple[WholeAmps, WholeAmps]:
        share = (self._voltage_pu() - _DROOP_TO_PU) / (_DROOP_FROM_PU - _DROOP_TO_PU)
        drooped_a = int(self._floor_a * min(1.0, max(0.0, share)) + 1e-6)
        return (drooped_a, drooped_a, drooped_a), (0, 0, 0)


class Centralised:
    """A cloud that sets every plug. It gives only what no plug was seen to hold, and trusts that it was heard."""

    def __init__(
        self,
        site: Site,
        *,
        since: datetime,
        weather: Weather = IDEAL,
        random: Random | None = None,
        behaviour: Behaviour | None = None,
    ) -> None:
        """Every charger has a line to the cloud and back."""
        self.plant = EmulatedPlant(site, since=since)
        self._behaviour = behaviour or Behaviour()
        random = random or Random(0)
        self._up = {each.id: Link(weather, random=random) for each in site.chargers}
        self._down = {each.id: Link(weather, random=random) for each in site.chargers}
        self._plan = SitePlan()
        self._seen: dict[str, PlugReading] = {}
        for each in site.chargers:
            self.plant.at(random.uniform(0, _EVERY_S), partial(self._report, each.id))
        self.plant.at(_EVERY_S, self._decide)

    @property
    def messages(self) -> int:
        """Sent so far."""
        return sum(each.sent for each in (*self._up.values(), *self._down.values()))

    def expect(self, sessions: Iterable[Session]) -> None:
        """As Architecture."""
        self.plant.expect(Visit(each, self._behaviour) for each in sessions)

    def follow(self, plan: SitePlan) -> None:
        """As Architecture."""
        self._plan = plan

    def cut_lines(self, *, cut: bool) -> None:
        """As Architecture."""
        for each in (*self._up.values(), *self._down.values()):
            each.cut = cut

    def _report(self, charger: str) -> None:
        now_s = self.plant.now_s
        readings = self.plant.chargers[charger].read(now_s)
        for when_s in self._up[charger].deliveries(now_s):
            self.plant.at(when_s, partial(self._hear, readings))
        self.plant.at(now_s + _EVERY_S, partial(self._report, charger))

    def _hear(self, readings: Iterable[PlugReading]) -> None:
        self._seen |= {each.plug: each for each in readings}

    def _decide(self) -> None:
        """Everything anew, from what was heard last."""
        now_s = self.plant.now_s
        amps = self._amps()
        for charger, hardware in self.plant.chargers.items():
            setpoints = {plug: amps[plug] for plug in hardware.plugs if plug in amps}
            for when_s in self._down[charger].deliveries(now_s):
                self.plant.at(when_s, partial(self._obey, setpoints))
        self.plant.at(now_s + _EVERY_S, self._decide)

    def _amps(self) -> dict[str, int]:
        site, plan = self.plant.site, self._plan
        usable_a = site.usable_a
        limit_a = usable_a if plan.cap_a is None else min(usable_a, plan.cap_a)
        chargers: Mapping[str, WholeAmps] = {each.id: (each.max_a,) * 3 for each in site.chargers}
        wanted = [
            Demand(
                each.plug,
                site.charger_of(each.plug).id,
                urgency=plan.urgency.get(each.plug, 1.0),
                charging=each.signal_a > 0,
            )
            for each in self._seen.values()
            if each.session is not None and each.wants
        ]
        target_a = dict.fromkeys(self._seen, 0) | divide(wanted, Room((limit_a,) * 3, chargers))
        signal_a = {plug: each.signal_a for plug, each in self._seen.items()}
        held_a: dict[str, WholeAmps] = {}
        for plug, each in self._seen.items():
            most_a = max(each.signal_a, int(max(each.current_a) + 0.9))
            held_a[plug] = (most_a, most_a, most_a)
        phases = dict.fromkeys(self._seen, ALL_PHASES)
        return signals_within_held(target_a, held_a, signal_a, phases, limit_a=(usable_a,) * 3)

    def _obey(self, setpoints: Mapping[str, int]) -> None:
        for plug, limit_a in setpoints.items():
            self.plant.signal(plug, limit_a)
