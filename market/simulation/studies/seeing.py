"""A degree of observability, simulated: what its DSO asks, buys and pays, and how far off its picture is."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from api_spec.case import Case
from api_spec.flexibility import CongestionRequest
from api_spec.period import MarketPeriod
from api_spec.units import NonNegative, Real
from market.network import Grid, operating_points
from market.network.model import ROOT_3, FloatArray
from market.simulation.outcome import Outcome
from market.simulation.participant import BelievesLoad
from market.simulation.run import simulate
from market.simulation.scenario import Scenario
from market.simulation.studies.folder import write_table, write_words
from market.simulation.studies.observability import Degrees, Task
from market.simulation.studies.pieces import Came

_JUDGED: Final = timedelta(days=7)
"""Before the scenario begins: what the DSO takes for drawn then is compared with what was."""
_NOT_TOLD: Final = {"key", "seconds"}


class Seen(Came):
    """What came of a degree under one seed.

    requests : that the DSO posted. requested_kwh : by which its forecast and the nominated baselines exceed the limits
    that it asks for, at nominal voltage, summed over elements. bought_kwh, cost_eur : what was awarded, and what the
    DSO paid. unmet_kwh : of drivers. overload_minutes, overload_depth, voltage_minutes, lowest_voltage_pu,
    peak_loading : of what was really drawn. forecast_error_w : root of the mean square of what the DSO's forecast of
    the last delivery was off, by bus and period; forecast_bias_w : of the whole network, positive where it expected
    more. known : share of bus-periods of the week before that it knows anything of. estimate_error_w : of these, as
    forecast_error_w.
    """

    degree: str
    seed: int | None
    requests: NonNegative
    requested_kwh: NonNegative
    bought_kwh: NonNegative
    cost_eur: Real
    unmet_kwh: NonNegative
    peak_loading: NonNegative
    overload_minutes: NonNegative
    overload_depth: NonNegative
    voltage_minutes: NonNegative
    lowest_voltage_pu: NonNegative
    forecast_error_w: NonNegative
    forecast_bias_w: Real
    known: NonNegative
    estimate_error_w: NonNegative | None

    @property
    def place(self) -> tuple[str, int | None]:
        """Where it is in the study."""
        return self.degree, self.seed


def run_task(task: Task) -> Seen:
    """Simulate a degree, and look at what came of it."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="flexmarket-degree-") as name:
        finished = asyncio.run(simulate(task.scenario, folder=Path(name)))
        cases = [_case(file) for file in sorted((Path(name) / "inputs" / "cases").glob("*.json"))]
    measures, last = finished.measures, finished.last
    off_w = _forecast_off_w(last)
    believed = _beliefs_off_w(last)
    return Seen(
        key=task.key,
        degree=task.name,
        seed=task.seed,
        requests=sum(len(each.requests) for each in cases),
        requested_kwh=sum(requested_kwh(each) for each in cases),
        bought_kwh=measures.awarded_kwh,
        cost_eur=measures.dso_flexibility_eur,
        unmet_kwh=measures.unmet_kwh,
        peak_loading=measures.peak_loading,
        overload_minutes=measures.overload_minutes,
        overload_depth=measures.overload_depth,
        voltage_minutes=measures.voltage_violation_minutes,
        lowest_voltage_pu=measures.lowest_voltage_pu,
        forecast_error_w=_root_mean_square(off_w),
        forecast_bias_w=float(off_w.sum(axis=1).mean()),
        known=float(np.mean(~np.isnan(believed))) if believed.size else 0.0,
        estimate_error_w=_root_mean_square(believed) if (~np.isnan(believed)).any() else None,
        seconds=round(time.perf_counter() - began, 3),
    )


def observability_table(rows: Sequence[Seen]) -> pa.Table:
    """One row for each degree and seed; seconds, which no repetition repeats, stay out of it."""
    kinds = {"degree": pa.string(), "seed": pa.int64()}
    names = [name for name in Seen.model_fields if name not in _NOT_TOLD]
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in names])
    return pa.Table.from_pylist([each.model_dump(include=set(names)) for each in rows], schema)


def write_tables(rows: Sequence[Seen], degrees: Degrees, scenario: Scenario, folder: Path) -> None:
    """The table of all degrees, and the words of the report."""
    write_table(folder, "observability", observability_table(rows))
    told = {name: each.model_dump(include={"title", "note", "against"}) for name, each in degrees.degrees.items()}
    write_words(folder, {"title": scenario.title, "degrees": told})


def _case(file: Path) -> Case:
    return Case.model_validate_json(file.read_text(encoding="utf-8"))


def requested_kwh(case: Case) -> float:
    """Energy by which currents of the baselines exceed what congestion requests allow, at nominal voltage."""
    grid, period = Grid.of(case.network), case.market_period
    before = operating_points(grid, *grid.consumption(case.baseline, period.count)).current_a
    # Of several limits of one element the lowest counts.
    over_a = np.zeros_like(before)
    for request in case.requests:
        if isinstance(request, CongestionRequest):
            at = grid.branch_at[request.element]
            active = np.ones(period.count) if request.active is None else np.array(request.active, dtype=np.float64)
            over_a[:, at] = np.maximum(over_a[:, at], active * (before[:, at] - np.asarray(request.limit_a)))
    return float((over_a.sum(axis=0) * grid.nominal_v[grid.from_bus]).sum()) * ROOT_3 / 1e3 * period.hours


def _forecast_off_w(outcome: Outcome) -> FloatArray:
    """(period, bus) the DSO's forecast of its own load, less that load [W]."""
    case, period = outcome.case, outcome.case.market_period
    grid = Grid.of(case.network)
    forecast_w = _by_bus(grid, grid.consumption(case.baseline, period.count)[0])
    for fleet in outcome.fleets.values():
        for own in fleet.baseline.buses if fleet.baseline else ():
            forecast_w[:, grid.bus_at[own.bus]] -= own.power_w
    return forecast_w - _around_w(outcome, grid, period)


def _beliefs_off_w(outcome: Outcome) -> FloatArray:
    """(period, bus) what the DSO takes for drawn in the week before the scenario, less that; nan = unknown [W]."""
    scenario, grid = outcome.scenario, Grid.of(outcome.case.network)
    resolution = outcome.case.market_period.resolution
    period = MarketPeriod(start=scenario.begins - _JUDGED, resolution=resolution, count=_JUDGED // resolution)
    real_w = _around_w(outcome, grid, period)
    drawn = np.flatnonzero(real_w.any(axis=0))
    dso = next((each for each in outcome.agents.values() if isinstance(each, BelievesLoad)), None)
    if dso is None:
        return np.full((period.count, len(drawn)), np.nan)
    return dso.believed_w([grid.bus_ids[at] for at in drawn], period) - real_w[:, drawn]


def _around_w(outcome: Outcome, grid: Grid, period: MarketPeriod) -> FloatArray:
    actual = outcome.scenario.around().actual(period)
    return _by_bus(grid, grid.consumption(actual, period.count)[0])


def _by_bus(grid: Grid, p_w: FloatArray) -> FloatArray:
    by_bus: FloatArray = p_w.reshape(len(p_w), grid.buses, grid.phases).sum(axis=2)
    return by_bus


def _root_mean_square(off_w: FloatArray) -> float:
    return float(np.sqrt(np.nanmean(off_w**2)))
