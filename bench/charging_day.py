"""A day at a site whose vehicles ask for more than there is room for, in steps of five minutes, without foresight.

Every scheduler gets the same: who is plugged in, until when, how much is still wanted and what is signalled now; and it
answers with whole amps. Vehicles follow exactly until they are full.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import numpy as np

from aggregator_agents.fleet import PHASE_V, FloatArray, Session, Site, Vehicle
from aggregator_agents.planning import AtPlug, Grid, Planner, Prices, Problem, Valuation
from aggregator_agents.planning.amps import Room

STEP: Final = timedelta(minutes=5)
MORNING: Final = datetime(2026, 3, 10, 5, tzinfo=UTC)
STEPS: Final = 16 * 12
MET: Final = 0.99
"""Part of the wanted energy from which on a driver counts as served."""
BASE_KWH: Final = 10.0
"""What a driver wants on an ordinary day, in the mean."""


@dataclass(frozen=True)
class Outcome:
    """How a day went.

    share : (session,) delivered of wanted. stops : (session,) how often it was switched off, the last time included.
    """

    delivered_kwh: float
    share: FloatArray
    stops: FloatArray

    @property
    def met(self) -> int:
        """Drivers who got what they wanted."""
        return int((self.share >= MET).sum())

    @property
    def jain(self) -> float:
        """Jain's index of the shares, 1 where all are equal."""
        return float(self.share.sum() ** 2 / (len(self.share) * (self.share**2).sum()))


class Scheduler(Protocol):
    """Whole amps for those that are plugged in now; `problem` holds no one else and one or more steps."""

    def __call__(self, problem: Problem) -> Mapping[str, int]: ...


def drivers(site: Site, *, demand: float, seed: int) -> tuple[Session, ...]:
    """Who comes on a day: most for a working day, some in the morning or afternoon only."""
    random = np.random.default_rng(seed)
    found = list[Session]()
    for plug in site.plugs:
        spans = [(8.0, 16.5)] if random.random() < 0.7 else [(7.5, 12.0), (13.0, 17.5)]
        for begin_h, end_h in spans:
            arrives_h = begin_h + float(np.clip(random.normal(0, 0.8), -2, 2))
            departs_h = max(arrives_h + 0.75, end_h + float(np.clip(random.normal(0, 1.0), -2.5, 2.5)))
            energy_wh = 1e3 * BASE_KWH * demand * float(np.clip(random.lognormal(-0.18, 0.6), 0.2, 3.0))
            found.append(_session(f"{plug.id} {begin_h}", plug.id, arrives_h, departs_h, energy_wh))
    return tuple(found)


def _session(id: str, plug: str, arrives_h: float, departs_h: float, energy_wh: float) -> Session:
    """On whole steps, and never more than the vehicle could take alone."""
    first, last = round(12 * (arrives_h - 5)), round(12 * (departs_h - 5))
    most_wh = (last - first) / 12 * 16 * 3 * PHASE_V
    return Session(id, plug, MORNING + first * STEP, MORNING + last * STEP, min(energy_wh, most_wh), Vehicle())


def run(site: Site, sessions: tuple[Session, ...], scheduler: Scheduler, value: Valuation) -> Outcome:
    """One day in closed loop."""
    left_wh = {each.id: each.energy_wh for each in sessions}
    signal_a = dict.fromkeys(left_wh, 0)
    stops = dict.fromkeys(left_wh, 0)
    for step in range(STEPS):
        now = MORNING + step * STEP
        here = [each for each in sessions if each.arrives <= now < each.departs and left_wh[each.id] > 1.0]
        grid = Grid.ahead(now)
        asking = tuple(replace(each, energy_wh=left_wh[each.id]) for each in here)
        known = {
            each.id: AtPlug(signal_a[each.id], each.energy_wh - left_wh[each.id], (0, 1, 2), stops[each.id])
            for each in here
        }
        prices = Prices.bought(np.full(grid.count, 100.0))
        problem = Problem(site, grid, asking, value, prices, at_plug=known)
        amps = scheduler(problem) if here else {}
        _keeps_limits(problem, amps)
        for each in sessions:
            given_a = amps.get(each.id, 0)
            stops[each.id] += signal_a[each.id] > 0 and given_a == 0
            signal_a[each.id] = given_a
            left_wh[each.id] -= min(left_wh[each.id], given_a * each.vehicle.watts_per_amp / 12)
    wanted = np.array([each.energy_wh for each in sessions])
    got = wanted - np.array([left_wh[each.id] for each in sessions])
    return Outcome(got.sum() / 1e3, got / wanted, np.array([stops[each.id] for each in sessions], dtype=np.float64))


def _keeps_limits(problem: Problem, amps: Mapping[str, int]) -> None:
    room = Room(problem, 0)
    for i, session in enumerate(problem.sessions):
        given_a = amps.get(session.id, 0)
        if given_a and not (session.vehicle.min_a <= given_a <= session.vehicle.max_a and room.take(i, given_a)):
            raise RuntimeError(f"{session.id} was given {given_a} A, which is too much")


def bound_kwh(site: Site, sessions: tuple[Session, ...]) -> float:
    """The most that could be delivered by who knows the whole day, in any amps [kWh]."""
    grid = Grid(MORNING, np.full(STEPS, 1 / 12))
    value = Valuation(waiting_eur_per_mwh_hour=1e-3)
    problem = Problem(site, grid, sessions, value, Prices.bought(np.zeros(STEPS)), whole=False)
    return float((problem.wanted_wh - Planner().plan(problem).shortfall_wh).sum()) / 1e3
