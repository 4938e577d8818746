"""One cell of a study: a scenario under one instrument at one penetration, simulated, and what came of it."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from api_spec.units import NonNegative, Real
from market.network.model import FloatArray
from market.simulation.measures import Measures
from market.simulation.results import Results
from market.simulation.run import simulate
from market.simulation.scenario import Scenario
from market.simulation.studies.pieces import Came, key_of

CELLS: Final = "cells"


@dataclass(frozen=True)
class Cell:
    """What is to be run. penetration : share of the homes that have a vehicle, 0 to 1."""

    instrument: str
    penetration: float
    scenario: Scenario

    @property
    def place(self) -> tuple[str, float]:
        """Where it is in the study."""
        return self.instrument, self.penetration

    @property
    def key(self) -> str:
        """What it depends on, in short."""
        return key_of(self.scenario)

    def file(self, folder: Path) -> Path:
        """Where its outcome is kept."""
        return folder / CELLS / self.instrument / f"{self.penetration:.4f}.json"


class CellOutcome(Came):
    """What came of a cell.

    starts : of every period. fleet_w, nominated_w :
    (period,) what all vehicles drew, and would have drawn by their baselines [W]. source_w : (period,) what the network
    took from its source [W].
    """

    instrument: str
    penetration: NonNegative
    measures: Measures
    starts: tuple[str, ...]
    fleet_w: tuple[Real, ...]
    nominated_w: tuple[Real, ...]
    source_w: tuple[Real, ...]

    @property
    def place(self) -> tuple[str, float]:
        """Where it is in the study."""
        return self.instrument, self.penetration


def run_cell(cell: Cell) -> CellOutcome:
    """Simulate a cell in a folder that is not kept; the same cell gives the same outcome, but for its seconds."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="flexmarket-cell-") as folder:
        finished = asyncio.run(simulate(cell.scenario, folder=Path(folder)))
    outcome = finished.last
    results = Results(outcome)
    delivery = outcome.auction.delivery
    nominated_w = np.zeros(delivery.count)
    for fleet in outcome.fleets.values():
        for own in fleet.baseline.buses if fleet.baseline else ():
            nominated_w += own.power_w
    return CellOutcome(
        instrument=cell.instrument,
        penetration=cell.penetration,
        key=cell.key,
        seconds=round(time.perf_counter() - began, 3),
        measures=finished.measures,
        starts=tuple(each.isoformat() for each in delivery.starts()),
        fleet_w=tuple(sum(outcome.drawn_w.values(), np.zeros(delivery.count)).round(1).tolist()),
        nominated_w=tuple(nominated_w.tolist()),
        source_w=tuple(_by_period(results.truth.points.source_w, delivery.count).round(1).tolist()),
    )


def _by_period(values: FloatArray, count: int) -> FloatArray:
    """(period,) mean of the steps of each."""
    means: FloatArray = values.reshape(count, -1).mean(axis=1)
    return means
