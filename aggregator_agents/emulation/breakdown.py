"""Parts of an emulated cluster that fail and are mended at times that are drawn beforehand."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from aggregator_agents.emulation.cluster import EmulatedCluster
from aggregator_agents.faults import FaultRecord, Faults


class Breakdowns:
    """Of one site. log : what has been drawn so far, in the order in which it was."""

    def __init__(self, cluster: EmulatedCluster, faults: Faults, *, seed: int) -> None:
        """Everything works."""
        self._cluster, self._faults, self._seed = cluster, faults, seed
        self._failing: Counter[tuple[str, str]] = Counter()
        self._drawn_until: datetime | None = None
        self.log: list[FaultRecord] = []

    def draw(self, now: datetime, *, until: datetime) -> None:
        """Let happen what begins from now on, or from where was drawn before, until then."""
        since = self._drawn_until or now
        if until <= since:
            return
        self._drawn_until = until
        plant = self._cluster.plant
        for kind, where, turn in self._parts():
            for each in getattr(self._faults, kind).beginning(
                f"{kind} {where}", since=since, until=until, seed=self._seed
            ):
                self.log.append(FaultRecord(kind, where, each.start, each.end))
                plant.at(plant.seconds(each.start), partial(self._begin, kind, where, turn))
                plant.at(plant.seconds(each.end), partial(self._end, kind, where, turn))

    def forget(self, before: datetime) -> None:
        """What was mended before will not be asked for."""
        self.log = [each for each in self.log if each.end >= before]

    def _parts(self) -> Iterator[tuple[str, str, Callable[[str], None]]]:
        """What may fail: how, which, and what makes it look at its failures again."""
        for charger in self._cluster.boxes:
            for kind in ("dead", "ignoring", "stuck"):
                yield kind, charger, self._charger
            yield "lines", charger, self._line
        yield "cloud", self._cluster.plant.site.bus, self._cloud

    def _begin(self, kind: str, where: str, turn: Callable[[str], None]) -> None:
        self._failing[kind, where] += 1
        turn(where)

    def _end(self, kind: str, where: str, turn: Callable[[str], None]) -> None:
        self._failing[kind, where] -= 1
        turn(where)

    def _charger(self, charger: str) -> None:
        hardware = self._cluster.boxes[charger].hardware
        hardware.deaf = self._failing["ignoring", charger] > 0
        hardware.silent = self._failing["stuck", charger] > 0 or self._failing["dead", charger] > 0
        if self._failing["dead", charger]:
            self._cluster.plant.power_off(charger)

    def _line(self, charger: str) -> None:
        box = self._cluster.boxes[charger]
        box.up.cut = box.down.cut = self._failing["lines", charger] > 0

    def _cloud(self, bus: str) -> None:
        if self._failing["cloud", bus]:
            self._cluster.kill_cloud()
        elif self._cluster.cloud is None:
            self._cluster.start_cloud()
