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
from market.simulation.run import simulate
from market.simulation.scenario import Scenario


class FolderOutOfReach(FlexmarketError):
    """Where a run is to be kept cannot be seen from where it is run."""

    def __init__(self, folder: Path) -> None:
        """Say which folder."""
        super().__init__(f"{folder} is not there: runs are kept on a cluster whose workers share the sweep's folder")
        self.folder = folder


@dataclass(frozen=True)
class RunTask:
    """text : of the scenario, which names files as seen from `beside`. keep : the run's folder; absent = not kept."""

    text: str
    beside: Path
    keep: Path | None = None


def measured(task: RunTask) -> Mapping[str, float]:
    """Simulate a scenario; its measures by name."""
    scenario = Scenario.model_validate(tomllib.loads(task.text)).beside(task.beside)
    with tempfile.TemporaryDirectory(prefix="flexmarket-", dir=_beside(task.keep)) as name:
        folder = Path(name) / "run"
        folder.mkdir()
        finished = asyncio.run(simulate(scenario, folder=folder))
        if task.keep is not None:
            keep_text(folder, task.text)
            publish(folder)
            shutil.rmtree(task.keep, ignore_errors=True)
            folder.rename(task.keep)
    return finished.measures.model_dump()


def _beside(keep: Path | None) -> Path | None:
    if keep is not None and not keep.parent.is_dir():
        raise FolderOutOfReach(keep.parent)
    return None if keep is None else keep.parent
