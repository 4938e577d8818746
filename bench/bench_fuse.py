"""The fuse: ten thousand random scenes of ten minutes in which everything fails that can.

What happens in them is said in aggregator_agents/emulation/trial.py. Currents are followed from corner to corner, so
that peaks are those of every instant. A fuse is broken where a phase carries more than its rating; rows below the first
two are the same scenes with one rule taken away, the last one of those in which chargers yield their floors.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from math import inf
from typing import Final

from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.dispatch.grants import GrantBook
from aggregator_agents.dispatch.lease import WholeAmps
from aggregator_agents.dispatch.virtual import VirtualAggregator
from aggregator_agents.emulation.trial import Verdict, try_fuse
from bench.measuring import Options, Row, progress

SCENES: Final = 10_000
QUICK_SCENES: Final = 200


class _LastWordBook(GrantBook):
    def write(self, charger: str, amps: WholeAmps, now_s: float) -> None:
        self._entries[charger] = []
        super().write(charger, amps, now_s)


class LastWordCloud(CloudAggregator):
    """Frees what it granted before as soon as it has answered with less."""

    def _book(self, *, floor_a: int) -> GrantBook:
        return _LastWordBook([each.id for each in self._site.chargers], floor_a=floor_a, hold_s=self._timing.hold_s)


class HastyCloud(CloudAggregator):
    """Grants from its start on, although it does not know what it granted before."""

    def _is_silent(self, now_s: float) -> bool:
        return False


class StubbornCharger(VirtualAggregator):
    """Keeps what it was given until it is told something else."""

    def _limits(self, now_s: float) -> tuple[WholeAmps, WholeAmps]:
        self._expires_s = inf if self._lease is not None else self._expires_s
        return super()._limits(now_s)


class ImpatientCharger(VirtualAggregator):
    """Falls back to the floor that it has yielded, without waiting."""

    def _fallback_a(self, now_s: float) -> int:
        return self._floor_a


def run(options: Options) -> Iterator[Row]:
    scenes = QUICK_SCENES if options.quick else SCENES
    few = max(QUICK_SCENES, scenes // 20)
    yield _row("every rule", scenes, CloudAggregator, VirtualAggregator)
    yield _row("every rule, floors yielded", scenes, CloudAggregator, VirtualAggregator, yields_floors=True)
    yield _row("grants are freed when a smaller one is answered", few, LastWordCloud, VirtualAggregator)
    yield _row("the cloud grants right after its start", few, HastyCloud, VirtualAggregator)
    yield _row("chargers keep an expired lease", few, CloudAggregator, StubbornCharger)
    yield _row("chargers take a yielded floor", few, CloudAggregator, ImpatientCharger, yields_floors=True)


def _row(
    name: str,
    scenes: int,
    cloud: type[CloudAggregator],
    agent: type[VirtualAggregator],
    *,
    yields_floors: bool = False,
) -> Row:
    progress(f"fuse: {scenes} scenes, {name}")
    started = time.perf_counter()
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        one = partial(try_fuse, yields_floors=yields_floors, cloud=cloud, agent=agent)
        verdicts = list(workers.map(one, range(scenes), chunksize=10))
    seconds = time.perf_counter() - started
    worst = max(verdicts, key=_share)
    full = sum(each.peak_a > each.fuse_a - 1 for each in verdicts)
    return {
        "rules": name,
        "scenes": str(scenes),
        "fuses broken": str(sum(not each.holds for each in verdicts)),
        "highest peak A of A": f"{worst.peak_a:.6g} of {worst.fuse_a}",
        "within 1 A of the fuse": str(full),
        "kWh charged": f"{sum(each.delivered_wh for each in verdicts) / 1000:.0f}",
        "messages": str(sum(each.messages for each in verdicts)),
        "s": f"{seconds:.0f}",
    }


def _share(verdict: Verdict) -> float:
    return verdict.peak_a / verdict.fuse_a
