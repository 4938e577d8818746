"""One cell of a study: a scenario under one instrument at one penetration, simulated, and what came of it."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from api_spec.units import Count, NonNegative, Real
from market.figures.run_folder import RESULTS
from market.network.model import FloatArray
from market.simulation.measures import Measures
from market.simulation.run import simulate
from market.simulation.scenario import Scenario
from market.simulation.studies.pieces import Came, key_of

CELLS: Final = "cells"


@dataclass(frozen=True)
class Cell:
    """What is to be run.

    penetration : share of the homes that have a vehicle, 0 to 1. seed : of chance; None = the scenario's own seeds.
    """

    instrument: str
    penetration: float
    seed: int | None
    scenario: Scenario

    @property
    def place(self) -> tuple[str, float, int | None]:
        """Where it is in the study."""
        return self.instrument, self.penetration, self.seed

    @property
    def key(self) -> str:
        """What it depends on, in short."""
        return key_of(self.scenario)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.instrument} {self.penetration:.0%}" + ("" if self.seed is None else f", seed {self.seed}")

    def file(self, folder: Path) -> Path:
        """Where its outcome is kept."""
        chance = "own-seeds" if self.seed is None else f"seed-{self.seed}"
        return folder / CELLS / self.instrument / f"{self.penetration:.4f}" / f"{chance}.json"


class CellOutcome(Came):
    """What came of a cell.

    starts : of every step of the physical world, of all deliveries one after another. fleet_w, nominated_w : (step,)
    what all vehicles drew, and would have drawn by their baselines [W]. source_w : (step,) what the network took from
    its source [W].
    """

    instrument: str
    penetration: NonNegative
    seed: Count | None
    measures: Measures
    starts: tuple[str, ...]
    fleet_w: tuple[Real, ...]
    nominated_w: tuple[Real, ...]
    source_w: tuple[Real, ...]

    @property
    def place(self) -> tuple[str, float, int | None]:
        """Where it is in the study."""
        return self.instrument, self.penetration, self.seed


def run_cell(cell: Cell) -> CellOutcome:
    """Simulate a cell in a folder that is not kept; the same cell gives the same outcome, but for its seconds."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="flexmarket-cell-") as name:
        finished = asyncio.run(simulate(cell.scenario, folder=Path(name)))
        drawn = pq.read_table(Path(name) / RESULTS / "physical_network.parquet")
        fleets = pq.read_table(Path(name) / RESULTS / "fleets.parquet")
    return CellOutcome(
        instrument=cell.instrument,
        penetration=cell.penetration,
        seed=cell.seed,
        key=cell.key,
        seconds=round(time.perf_counter() - began, 3),
        measures=finished.measures,
        starts=tuple(each.isoformat() for each in drawn["start"].to_pylist()),
        fleet_w=tuple(drawn["drawn_w"].to_numpy().round(1).tolist()),
        nominated_w=tuple(_nominated_w(fleets, drawn["start"]).round(1).tolist()),
        source_w=tuple(drawn["source_w"].to_numpy().round(1).tolist()),
    )


def _nominated_w(fleets: pa.Table, starts: pa.ChunkedArray) -> FloatArray:
    """(step,) sum of all baselines of the period in which each step starts [W]."""
    by_period = fleets.group_by("start").aggregate([("baseline_w", "sum")]).sort_by("start")
    if not len(by_period):
        return np.zeros(len(starts))
    at = np.searchsorted(by_period["start"].to_numpy(), starts.to_numpy(), side="right") - 1
    found: FloatArray = by_period["baseline_w_sum"].to_numpy()[at].astype(np.float64)
    return found
