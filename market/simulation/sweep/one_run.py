"""One run of a sweep: from the text of a scenario to its measures, wherever it is run."""

import asyncio
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from market.errors import FlexmarketError
from market.simulation.archive import keep_text, publish
from market.simulation.checkpoint import CannotResume
from market.simulation.run import DayFailed, simulate
from market.simulation.scenario import BadScenario, Scenario


class FolderOutOfReach(FlexmarketError):
    """Where a run is to be kept, or what it needs, cannot be seen from where it is run."""

    def __init__(self, folder: Path) -> None:
        """Say which folder."""
        super().__init__(
            f"{folder} is not there: runs that are kept, and those that need files or code of one's own, are run on a "
            "cluster whose workers share the sweep's folder"
        )
        self.folder = folder


class RunFailed(FlexmarketError):
    """A run broke off: when, doing what, and why."""


@dataclass(frozen=True)
class RunTask:
    """text : of the scenario, which names files as seen from `beside`. keep : the run's folder; absent = not kept."""

    text: str
    beside: Path
    keep: Path | None = None


def measured(task: RunTask) -> Mapping[str, float]:
    """Simulate a scenario; its measures by name. A run that is kept and was stopped goes on after its last delivery.

    Raises RunFailed for whatever goes wrong on a day.
    """
    try:
        return _measured(task)
    except BadScenario as failure:
        if not task.beside.is_dir():
            raise FolderOutOfReach(task.beside) from failure
        raise


def _measured(task: RunTask) -> Mapping[str, float]:
    scenario = Scenario.model_validate(tomllib.loads(task.text)).beside(task.beside)
    if task.keep is None:
        with tempfile.TemporaryDirectory(prefix="flexmarket-") as name:
            return _simulated(scenario, Path(name))
    partial = task.keep.with_name(f"{task.keep.name}.partial")
    try:
        partial.mkdir(exist_ok=True)
    except FileNotFoundError as failure:
        raise FolderOutOfReach(task.keep.parent) from failure
    try:
        measures = _simulated(scenario, partial)
    except CannotResume:  # begun with other versions, or by agents that cannot be kept
        shutil.rmtree(partial)
        partial.mkdir()
        measures = _simulated(scenario, partial)
    keep_text(partial, task.text)
    publish(partial)
    shutil.rmtree(task.keep, ignore_errors=True)
    partial.replace(task.keep)
    return measures


def _simulated(scenario: Scenario, folder: Path) -> Mapping[str, float]:
    try:
        finished = asyncio.run(simulate(scenario, folder=folder, resume=True))
    except DayFailed as failure:
        # What it says of going on is for who runs one scenario, and names a folder that may be gone.
        raise RunFailed(str(failure).splitlines()[0]) from failure.__cause__
    return finished.measures.model_dump()
