"""A scenario, run: one continuous virtual time from its beginning to its last settled delivery.

Agents act every quarter of an hour, chargers get set-points every minute of a delivery, gates are cleared as they
close, and deliveries are settled and written down as they end. After each one the run is kept, and goes on from what
was kept: so a run that is resumed and one that never stopped are the same, bit for bit.
"""

import contextlib
import gc
import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from api_spec.auction import AuctionState
from api_spec.grid_metering import GridReading
from market.clock import SimulatedClock
from market.errors import FlexmarketError
from market.settings import Settings
from market.simulation.agenda import Day, Moment, moments
from market.simulation.archive import Archive
from market.simulation.checkpoint import CannotBeKept, Checkpoint, discard, forswear, packed, restored, save, unpacked
from market.simulation.collecting import collecting_seldom
from market.simulation.enacting import enact
from market.simulation.measures import Measures
from market.simulation.metering import Arriving, HeadEnd
from market.simulation.outcome import Outcome, of_day, settle_due, settled, standing, unsettled
from market.simulation.participant import Forgets
from market.simulation.results import Results
from market.simulation.scenario import Scenario
from market.simulation.timing import Stopwatch
from market.simulation.versions import versions
from market.simulation.world import DATABASE, World, resumed_world, world_of

FAILURE: Final = "failure.txt"
_TOKENS_LAST_DAYS: Final = 30
"""Beyond the last delivery: virtual time runs fast, and every new token costs a password check."""

Progress: TypeAlias = Callable[[str, float], None]
"""Told what is happening and which part of the run is done, 0 to 1."""


class NothingHappened(FlexmarketError):
    """A delivery without an auction to look at, or one that could not be cleared."""


class DayFailed(FlexmarketError):
    """A run that broke off; says on which day, where, and how to go on."""

    def __init__(self, day: Day, *, of: int, doing: str, at: datetime, how: str, cause: Exception) -> None:
        """Keep the cause's own words."""
        what = str(cause) if isinstance(cause, FlexmarketError) else f"{type(cause).__name__}: {cause}"
        where = f"{day.name}, delivery {day.number + 1} of {of}, failed at {at.isoformat()}, {doing}"
        super().__init__(f"{where}: {what}\n{how}")
        self.day, self.at, self.doing = day, at, doing


@dataclass(frozen=True)
class Finished:
    """A run that has come to its end.

    measures : of all of it. last : its last delivery. note : why it could not have been resumed, if so.
    """

    folder: Path
    measures: Measures
    last: Outcome
    note: str | None = None


async def simulate(
    scenario: Scenario, *, folder: Path, progress: Progress = lambda *_: None, resume: bool = False
) -> Finished:
    """Run a scenario, and write all of it into `folder`, made where it is not there (market.simulation.archive).

    resume : go on after the last delivery that is settled in `folder`, or begin anew where none is.

    Raises BadScenario before anything happens, CannotResume, and DayFailed for whatever goes wrong on a day.
    """
    kept = restored(folder, scenario=scenario.model_dump_json()) if resume else None
    folder.mkdir(parents=True, exist_ok=True)
    archive = Archive(folder, scenario)
    span = scenario.planned[-1].delivery.end - scenario.begins + timedelta(days=_TOKENS_LAST_DAYS)
    settings = Settings(token_ttl=span, clearing_limit=None)
    watch = Stopwatch()
    with collecting_seldom():
        async with _world(scenario, kept, folder=folder, settings=settings, watch=watch) as world:
            archive.begin()
            arriving = None if kept is None else kept.arriving
            under_way = _UnderWay(scenario, world, archive, folder, progress, watch, arriving)
            last = await under_way.to_the_end(0 if kept is None else kept.done)
    progress("putting deliveries together", 1.0)
    measures = archive.finish()
    discard(folder)
    (folder / FAILURE).unlink(missing_ok=True)
    return Finished(folder, measures, last, under_way.note)


@contextlib.asynccontextmanager
async def _world(
    scenario: Scenario, kept: Checkpoint | None, *, folder: Path, settings: Settings, watch: Stopwatch
) -> AsyncIterator[World]:
    if kept is None:
        async with world_of(scenario, folder=folder, settings=settings, watch=watch) as world:
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
        yield replace(world, participants=unpacked(kept.agents, world.clients))


class _UnderWay:
    """A run, moment by moment."""

    def __init__(
        self,
        scenario: Scenario,
        world: World,
        archive: Archive,
        folder: Path,
        progress: Progress,
        watch: Stopwatch,
        arriving: Arriving | None,
    ) -> None:
        self._scenario, self._world, self._archive = scenario, world, archive
        self._folder, self._progress = folder, progress
        self._days = scenario.planned
        self._next = self._days[0]
        self._doing = "at the beginning"
        self._watch = watch
        self._last: Outcome | None = None
        self._head_end = None if scenario.metering is None else HeadEnd(scenario, world.participants, arriving)
        self._read: list[GridReading] = []
        self.note: str | None = None

    async def to_the_end(self, done: int) -> Outcome:
        """Everything from the moment on that comes after the first `done`; the last delivery."""
        if done == 0:
            await self._prepare()
        for number, moment in enumerate(moments(self._scenario.begins, self._days, every=self._scenario.acts_every)):
            if number < done:
                self._next = self._days[min(len(self._days) - 1, self._next.number + (moment.ends is not None))]
                continue
            try:
                await self._happens(moment, number + 1)
            except Exception as failure:  # whatever an agent runs into
                raise self._failed(moment, failure) from failure
        assert self._last is not None, "a run has at least one delivery"
        return self._last

    async def _prepare(self) -> None:
        """Networks, tariffs and contracts stand before any aggregator acts."""
        self._world.clock.advance_to(self._scenario.begins)
        for name, entry in self._scenario.agents.items():
            if entry.role == "dso":
                await self._world.participants[name].cycle(self._scenario.begins)
        await enact(self._scenario, self._world)

    async def _happens(self, moment: Moment, done: int) -> None:
        self._world.clock.advance_to(moment.at)
        if moment.closes is not None or moment.cycle:
            with self._watch.timed("clearing"):
                await self._close_gates(moment)
        if moment.cycle:
            self._tell(moment, "agents on the market")
            for name, participant in self._world.participants.items():
                self._doing = f"in the cycle of agents.{name}"
                with self._watch.timed("agents on the market"):
                    await participant.cycle(moment.at)
        if moment.control:
            for name, participant in self._world.participants.items():
                self._doing = f"in the control of agents.{name}"
                with self._watch.timed("dispatch and chargers"):
                    await participant.control(moment.at)
        if moment.cycle and self._head_end is not None:
            self._doing = "reading meters"
            with self._watch.timed("meters"):
                self._read += self._head_end.hand_out(self._world.participants, moment.at)
        if moment.ends is not None:
            await self._end(moment.ends, moment, done)

    async def _close_gates(self, moment: Moment) -> None:
        """Clear every auction whose gate has closed: those of the days, and what else a DSO has opened."""
        if moment.closes is not None:
            self._tell(moment, "clearing")
            self._auction(moment.closes, "open")
        for auction in standing(self._world, "open"):
            if auction.gate_closure <= moment.at:
                cleared = await self._world.operator.clear(auction.id)
                if cleared.state != "published":
                    raise NothingHappened(f"auction {auction.id} could not be cleared: {cleared.failure}")

    async def _end(self, day: Day, moment: Moment, done: int) -> None:
        """Settle, write down, and keep what goes on."""
        self._tell(moment, "settling")
        last = day is self._days[-1]
        with self._watch.timed("settling"):
            auction = self._auction(day, "published")
            outcome = await settled(self._scenario, self._world, day, auction, last=last)
            transfers = (*outcome.transfers, *await settle_due(self._world, moment.at))
            left_open = unsettled(self._world) if last else ()
            outcome = replace(outcome, transfers=transfers, meter_readings=tuple(self._read), unsettled=left_open)
            self._read = []
        self._tell(moment, "writing down")
        results = Results(outcome)
        with self._watch.timed("physics"):
            results.solve()
        with self._watch.timed("archive"):
            self._archive.keep(outcome, results)
        self._last = outcome
        if not last:
            with self._watch.timed("checkpoint"):
                self._keep(day, moment, done)
                # Agents that are no more hold solvers, and each other: those of a year's days would fill the memory.
                gc.collect()
            self._next = self._days[day.number + 1]
        self._archive.spent(day, self._watch.taken())

    def _keep(self, day: Day, moment: Moment, done: int) -> None:
        """What is over is forgotten; the rest is kept, and goes on from what was kept."""
        world = self._world
        for participant in world.participants.values():
            if isinstance(participant, Forgets):
                participant.forget(day.delivery.end)
        if self.note is not None:
            return
        try:
            agents = packed(world.participants, world.clients)
        except CannotBeKept as failure:
            self.note = str(failure)
            forswear(self.note, folder=self._folder)
            return
        save(
            Checkpoint(
                done=done,
                at=moment.at,
                scenario=self._scenario.model_dump_json(),
                versions=versions(),
                operator=world.operator_account,
                accounts=world.accounts,
                ids=world.market.ids,
                agents=agents,
                arriving=None if self._head_end is None else self._head_end.arriving,
            ),
            folder=self._folder,
        )
        self._world = replace(world, participants=unpacked(agents, world.clients))

    def _auction(self, day: Day, state: AuctionState) -> str:
        """The auction of a delivery, the oldest of those there are."""
        mine = next((each for each in standing(self._world, state) if of_day(each, day)), None)
        if mine is None:
            raise NothingHappened(f'scenario "{self._scenario.name}": no DSO opened an auction for its delivery')
        return mine.id

    def _tell(self, moment: Moment, what: str) -> None:
        self._doing = what
        begins, ends = self._scenario.begins, self._days[-1].delivery.end
        clock = f"{moment.at.astimezone(self._scenario.zone):%d %b %H:%M}"
        self._progress(f"{self._next.name}: {clock}, {what}", (moment.at - begins) / (ends - begins))

    def _failed(self, moment: Moment, failure: Exception) -> DayFailed:
        trace = "".join(traceback.format_exception(failure))
        (self._folder / FAILURE).write_text(trace, encoding="utf-8")
        if self.note is None:
            after = f"after {self._days[self._next.number - 1].name}" if self._next.number else "from the beginning"
            how = f"flexmarket simulate --resume {self._folder} goes on {after}; {FAILURE} there has the details"
        else:
            how = f"the run cannot be resumed: {self.note}"
        return DayFailed(self._next, of=len(self._days), doing=self._doing, at=moment.at, how=how, cause=failure)
