"""Emulated clusters of the aggregator's tests: vehicles follow exactly, no line loses anything."""

from collections.abc import Iterable
from datetime import timedelta

from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.dispatch.lease import Timing
from aggregator_agents.dispatch.virtual import VirtualAggregator
from aggregator_agents.emulation.cluster import EmulatedCluster
from aggregator_agents.emulation.link import IDEAL, Weather
from aggregator_agents.emulation.vehicle import EXACT, Behaviour
from aggregator_agents.fleet import Session, Site, Vehicle
from tests.unit.aggregator_agents.places import NOON

RISOE = Site.of("risoe", chargers=8, plugs_per_charger=2, fuse_a=63)
TWO = Site.of("lot", chargers=2, plugs_per_charger=1, fuse_a=26, charger_a=32, fallback_a=6)


def at_plug(
    plug: str, vehicle: Vehicle | None = None, *, wh: float = 50_000, from_s: float = 0, to_s: float = 36_000
) -> Session:
    arrives, departs = NOON + timedelta(seconds=from_s), NOON + timedelta(seconds=to_s)
    return Session(f"{plug} from {from_s:.0f}", plug, arrives, departs, wh, vehicle or Vehicle())


def cluster(
    site: Site,
    sessions: Iterable[Session] = (),
    *,
    behaviour: Behaviour = EXACT,
    weather: Weather = IDEAL,
    timing: Timing | None = None,
    other_rise_a: int | None = None,
    sleeps: bool = False,
    fails: bool = False,
    cloud: type[CloudAggregator] = CloudAggregator,
    agent: type[VirtualAggregator] = VirtualAggregator,
) -> EmulatedCluster:
    made = EmulatedCluster(
        site,
        since=NOON,
        timing=timing or Timing(),
        behaviour=behaviour,
        weather=weather,
        other_rise_a=other_rise_a,
        sleeps=sleeps,
        fails=fails,
        cloud=cloud,
        agent=agent,
    )
    made.expect(sessions)
    return made


def run(made: EmulatedCluster, until_s: float) -> None:
    made.advance(NOON + timedelta(seconds=until_s))


def signals(made: EmulatedCluster) -> list[int]:
    return [each.signal_a for each in made.readings()]


def drawn(made: EmulatedCluster) -> list[float]:
    return [round(max(each.current_a), 6) for each in made.readings()]
