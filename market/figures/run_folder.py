"""A simulation's run folder as its report and the market's pages read it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from api_spec.grid import Network

SUMMARY = "summary.json"
RESULTS = "results"
NETWORK = "inputs/network.json"
_OF_ALL = ("measures", "physical_network")
"""Tables that are shown of every delivery of a run: they have few rows."""
REPORT = "report.html"


@dataclass(frozen=True)
class SummaryRow:
    """One line of the short table; `after` alone where there is nothing to compare with."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class RunFolder:
    """What stands in the folder: `summary.json`, `results/*.parquet`, and files of any other kind.

    shown : the delivery of several that pictures are of; None where every row is.
    """

    path: Path
    title: str
    zone: tzinfo
    rows: tuple[SummaryRow, ...]
    shown: date | None = None

    @classmethod
    def at(cls, path: Path) -> Self:
        """Read the summary of the run at `path`; FileNotFoundError where there is none."""
        document: Mapping[str, Any] = json.loads((path / SUMMARY).read_text(encoding="utf-8"))
        rows = tuple(
            SummaryRow(row["label"], row.get("before") or "", row.get("after") or row.get("value") or "")
            for row in document["rows"]
        )
        shown = None if document.get("shown") is None else date.fromisoformat(document["shown"])
        return cls(path=path, title=document["title"], zone=ZoneInfo(document["timezone"]), rows=rows, shown=shown)

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.path.name

    def tables(self) -> dict[str, pa.Table]:
        """Every table of results, by name; of several deliveries the rows of the one that is shown, of some of all."""
        only = None if self.shown is None else [("delivery", "=", self.shown)]
        files = sorted((self.path / RESULTS).glob("*.parquet"))
        return {each.stem: pq.read_table(each, filters=None if each.stem in _OF_ALL else only) for each in files}

    def network(self) -> Network | None:
        """The network of the run, where it stands in the folder."""
        file = self.path / NETWORK
        return Network.model_validate_json(file.read_text(encoding="utf-8")) if file.is_file() else None

    def files(self) -> tuple[Path, ...]:
        """All files, relative to the folder, in the order of their names."""
        inside = (each.relative_to(self.path) for each in self.path.rglob("*") if each.is_file())
        return tuple(sorted(inside))


def runs_in(folder: Path) -> tuple[RunFolder, ...]:
    """The runs below `folder`, the newest first; other folders are passed over."""
    found = [each.parent for each in folder.glob(f"*/{SUMMARY}")]
    newest_first = sorted(found, key=lambda path: ((path / SUMMARY).stat().st_mtime, path.name), reverse=True)
    return tuple(RunFolder.at(path) for path in newest_first)
