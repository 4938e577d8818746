"""A scenario, run: one continuous virtual time from its beginning to its last settled delivery.

Agents act every quarter of an hour, chargers get set-points every minute of a delivery, gates are cleared as they
close, and deliveries are settled and written down as they end. After each one the run is kept, and goes on from what
was kept: so a run that is resumed and one that never stopped are the same, bit for bit.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from market.clock import SimulatedClock
from market.collecting import collecting_seldom
from market.errors import BadScenario
from market.settings import Settings
from market.simulation.archive import INPUTS, Archive
from market.simulation.checkpoint import Checkpoint, Outside, discard, restored, unpacked
from market.simulation.inputs import Sources
from market.simulation.inputs import kept as kept_in
from market.simulation.measures import Measures
from market.simulation.occupied import occupied
from market.simulation.outcome import Outcome
from market.simulation.scenario import Scenario
from market.simulation.timing import Stopwatch
from market.simulation.under_way import FAILURE, DayFailed, NothingHappened, Progress, UnderWay
from market.simulation.world import DATABASE, World, resumed_world, world_of

__all__ = ["DayFailed", "Finished", "NothingHappened", "Progress", "simulate"]

_TOKENS_LAST_DAYS: Final = 30
"""Beyond the last delivery: virtual time runs fast, and every new token costs a password check."""


@dataclass(frozen=True)
class Finished:
    """A run that has come to its end.

    measures : of all of it. last : its last delivery. note : why it could not have been resumed, if so.
    """

    folder: Path
    measures: Measures
    last: Outcome = field(repr=False)  # asyncio writes out what a task returned while it takes its signals back
    note: str | None = None


async def simulate(
    scenario: Scenario,
    *,
    folder: Path,
    progress: Progress = lambda *_: None,
    resume: bool = False,
    changed: bool = False,
) -> Finished:
    """Run a scenario, and write all of it into `folder`, made where it is not there (market.simulation.archive).

    Everything that the scenario depends on is kept there before, and read from there.

    resume : go on after the last delivery that is settled in `folder`, or begin anew where none is. changed : also
    with other code, files or versions than it was begun with.

    Raises BadScenario before anything happens, CannotResume, FolderInUse, OSError where the folder cannot be written,
    and DayFailed for whatever goes wrong on a day.
    """
    with occupied(folder), collecting_seldom():
        scenario, sources = kept_in(scenario, folder / INPUTS)
        archive = Archive(folder, scenario)
        kept = None
        if resume:
            kept = restored(folder, scenario=archive.scenario, sources=sources.told(), changed=changed)
        sources.keep(folder / INPUTS)
        span = scenario.planned[-1].delivery.end - scenario.begins + timedelta(days=_TOKENS_LAST_DAYS)
        settings = Settings(token_ttl=span, clearing_limit=None)
        watch = Stopwatch()
        async with _world(scenario, sources, kept, folder=folder, settings=settings, watch=watch) as world:
            archive.begin()
            arriving = None if kept is None else kept.arriving
            under_way = UnderWay(scenario, sources, world, archive, folder, progress, watch, arriving)
            last = await under_way.to_the_end(0 if kept is None else kept.done)
        progress("putting deliveries together", 1.0)
        measures = archive.finish()
        discard(folder)
        (folder / FAILURE).unlink(missing_ok=True)
    return Finished(folder, measures, last, under_way.note)


@contextlib.asynccontextmanager
async def _world(
    scenario: Scenario,
    sources: Sources,
    kept: Checkpoint | None,
    *,
    folder: Path,
    settings: Settings,
    watch: Stopwatch,
) -> AsyncIterator[World]:
    if kept is None:
        async with contextlib.AsyncExitStack() as stack:
            new = world_of(scenario, folder=folder, settings=settings, watch=watch)
            try:
                world = await stack.enter_async_context(new)
            except BadScenario as failure:
                raise BadScenario(sources.as_given(str(failure), folder / INPUTS)) from failure
            yield world
        return
    clock = SimulatedClock(kept.at)
    async with resumed_world(
        folder / DATABASE,
        clock=clock,
        ids=kept.ids,
        settings=settings,
        watch=watch,
        operator=kept.operator,
        accounts=kept.accounts,
    ) as world:
        yield replace(world, participants=unpacked(kept.agents, Outside(world.clients, folder / INPUTS)))
