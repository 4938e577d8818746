"""The same days with a network that its DSO sees better and better: what that changes in what it buys.

OUT/inputs/scenario.toml, degrees.toml       as they were given
OUT/degrees/NAME.json                        every degree that is done; what is there is not run again
OUT/results/observability.parquet            one row for each degree, see `Seen`
OUT/timing.json                              what each degree took [s]
OUT/report.html                              the table and figures, in one file
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pyarrow as pa
from pydantic import Field, ValidationError

from api_spec.case import Case
from api_spec.defects import defects_of
from api_spec.flexibility import CongestionRequest
from api_spec.period import MarketPeriod
from api_spec.toml_file import BadFile, read_toml, toml_key
from api_spec.units import Message, NonNegative, Real
from market.network import Grid, operating_points
from market.network.model import ROOT_3, FloatArray
from market.network.surroundings import SurroundingsTable
from market.simulation.outcome import Outcome
from market.simulation.participant import BelievesLoad
from market.simulation.run import simulate
from market.simulation.scenario import AgentEntry, BadScenario, Scenario
from market.simulation.studies.instruments import Name, merged
from market.simulation.studies.pieces import Came, key_of, run_pieces
from market.simulation.sweep.executors import Executor, Failure

SHIPPED: Final = files("market.simulation.studies") / "observability.toml"
_JUDGED: Final = timedelta(days=7)
"""Before the scenario begins: what the DSO takes for drawn then is compared with what was."""
_NOT_TOLD: Final = {"key", "seconds"}


class Degree(Message):
    """How much is seen. metering : keys of the scenario's table, absent = no instruments. dso : of DSOs' agents."""

    title: Annotated[str, Field(min_length=1, max_length=60)]
    note: str = ""
    metering: dict[str, Any] | None = None
    dso: dict[str, Any] = Field(default_factory=dict)


class Degrees(Message):
    """Degrees by their names, in the order of tables and reports."""

    degrees: Annotated[dict[Name, Degree], Field(min_length=1, max_length=100)]


class Seen(Came):
    """What came of a degree.

    requests : that the DSO posted. requested_kwh : by which its forecast and the nominated baselines exceed the limits
    that it asks for, at nominal voltage, summed over elements. bought_kwh, cost_eur : what was awarded, and what the
    DSO paid. unmet_kwh : of drivers. overload_minutes, overload_depth, voltage_minutes, lowest_voltage_pu,
    peak_loading : of what was really drawn. forecast_error_w : root of the mean square of what the DSO's forecast of
    the last delivery was off, by bus and period; forecast_bias_w : of the whole network, positive where it expected
    more. known : share of bus-periods of the week before that it knows anything of. estimate_error_w : of these, as
    forecast_error_w. seconds : of wall time.
    """

    degree: str
    title: str
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
    seconds: NonNegative


@dataclass(frozen=True)
class Task:
    """A degree to be simulated."""

    name: str
    title: str
    scenario: Scenario

    @property
    def place(self) -> tuple[str]:
        """Where it is in the study."""
        return (self.name,)

    @property
    def key(self) -> str:
        """What it depends on, in short."""
        return key_of(self.scenario)

    def file(self, folder: Path) -> Path:
        """Where what came of it is kept."""
        return folder / "degrees" / f"{self.name}.json"


def read_degrees(file: Path | None = None) -> Degrees:
    """Those that ship with flexmarket, or those of a file; BadScenario says what is wrong at which key."""
    source: Path | Traversable = file or SHIPPED
    try:
        return read_toml(source, Degrees)
    except BadFile as failure:
        raise BadScenario(str(failure)) from failure


def tasks_of(scenario: Scenario, degrees: Degrees, names: Sequence[str], *, history_days: int) -> tuple[Task, ...]:
    """All degrees that are asked for; BadScenario before anything is run, and where nothing ever strays.

    history_days : as many days of readings stand before the scenario begins.
    """
    around = scenario.surroundings or SurroundingsTable()
    if around.load.std == around.common.std == 0 and not around.pv and not around.heat_pumps:
        raise BadScenario(
            f'scenario "{scenario.name}": its load is exactly its profile, so there is nothing to observe'
        )
    return tuple(
        Task(name, own.title, _seen(scenario, own, history_days))
        for name, own in degrees.degrees.items()
        if name in names
    )


def _seen(scenario: Scenario, degree: Degree, history_days: int) -> Scenario:
    metering = None
    if degree.metering is not None:
        own = {} if scenario.metering is None else scenario.metering.model_dump(exclude_unset=True)
        metering = {**merged({key: own[key] for key in degree.metering if key in own}, degree.metering)}
        metering["history_days"] = history_days
    document = {
        **{name: getattr(scenario, name) for name in Scenario.model_fields},
        "agents": {name: _told(entry, degree, scenario) for name, entry in scenario.agents.items()},
        "metering": metering,
    }
    try:
        return Scenario.model_validate(document)
    except ValidationError as failure:
        lines = (f"{toml_key(each.pointer)}: {each.reason}" for each in defects_of(failure, document))
        raise BadScenario("\n".join(f"{degree.title}: {line}" for line in lines)) from failure


def _told(entry: AgentEntry, degree: Degree, scenario: Scenario) -> AgentEntry:
    """A DSO knows that there were no fleets in the history."""
    if entry.role != "dso":
        return entry
    own = {key: value for key, value in entry.config.items() if key != "estimating"}
    own["chargers_since"] = scenario.begins.isoformat()
    return entry.model_copy(update={"config": merged(own, degree.dso)})


def run_study(
    tasks: Sequence[Task], *, folder: Path, executor: Executor, told: Callable[[Task, Seen | Failure], object]
) -> tuple[Seen, ...]:
    """Run what is not known in the folder yet."""
    return run_pieces(tasks, run_task, Seen, folder=folder, executor=executor, told=told)


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
        title=task.title,
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
    """One row for each degree; seconds, which no repetition repeats, stay out of it."""
    kinds = {name: pa.string() if own.annotation is str else pa.float64() for name, own in Seen.model_fields.items()}
    schema = pa.schema([(name, kind) for name, kind in kinds.items() if name not in _NOT_TOLD])
    return pa.Table.from_pylist([each.model_dump(exclude=_NOT_TOLD) for each in rows], schema)


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
