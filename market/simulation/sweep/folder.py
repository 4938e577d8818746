"""A sweep's folder: what is done is kept there run by run, and is not done again.

sweep.toml          as it was given          results.parquet   all that is done, one row a run
begun.json          what the folder is for   inputs            files and code that runs need (market.simulation.inputs)
parts/ID.parquet    one for each run         runs/ID           whole run folders, where they are kept
failures/ID.json    why a run failed         seconds.json      what each run took, which no repetition gives again
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from market.errors import FlexmarketError
from market.simulation.archive import INPUTS
from market.simulation.reading import SWEEP_RESULTS
from market.simulation.sweep.executors import Failure
from market.simulation.sweep.plan import Plan, Run
from market.simulation.sweep.table import MEASURES, part_of, schema_of
from market.simulation.sweep.toml_text import toml_value
from market.simulation.versions import versions

_BEGUN: Final = "begun.json"
_COVERED: Final = (
    "the scenario's text, what stands in the files that it and its agents' tables name, the code of agents that do not "
    "ship with flexmarket and of what that imports, versions of packages that read or run these; all runs together: "
    "the versions below"
)


class SweepChanged(FlexmarketError):
    """The folder was begun with another sweep, another scenario or other versions."""


@dataclass(frozen=True)
class SweepFolder:
    """The folder of one plan."""

    path: Path
    plan: Plan

    @classmethod
    def open(cls, path: Path, plan: Plan, *, text: str, changed: bool) -> Self:
        """Make a folder, or go on with one.

        text : of the sweep's file. changed : go on also where the folder was begun with something else; keeps the runs
        that are among the plan's, and deletes those that no longer are. Raises SweepChanged where it is not given.
        """
        folder, begun = cls(path, plan), _begun(plan)
        before = json.loads((path / _BEGUN).read_text(encoding="utf-8")) if (path / _BEGUN).exists() else begun
        if _differ(before, begun) and not changed:
            raise SweepChanged(folder._difference(before, begun))
        for each in ("parts", "failures", "runs"):
            (path / each).mkdir(parents=True, exist_ok=True)
        if _differ(before, begun):
            folder._adopt()
        plan.sources.keep(folder.inputs)
        _write(path / "sweep.toml", text)
        _write_json(path / _BEGUN, begun)
        return folder

    @property
    def inputs(self) -> Path:
        """From where runs name their files."""
        return self.path.resolve() / INPUTS

    def done(self, run: Run) -> bool:
        """Whether a run has its part."""
        return self._part(run.id).exists()

    def failed(self, run: Run) -> bool:
        """Whether a run was tried and failed."""
        return self._failure(run.id).exists()

    def kept(self, run: Run) -> Path:
        """Where the whole folder of a run is, if it is kept."""
        return self.path.resolve() / "runs" / run.id

    def keep(self, run: Run, measures: Mapping[str, float]) -> None:
        """A run is done."""
        _write_table(part_of(run, measures, self.plan), self._part(run.id))
        self._failure(run.id).unlink(missing_ok=True)

    def keep_failure(self, run: Run, failure: Failure) -> None:
        """A run has failed."""
        point = {column: toml_value(value) for column, value in run.point.items()}
        told = {"point": point, "kind": failure.kind, "reason": failure.reason, "where": failure.where}
        _write_json(self._failure(run.id), told)

    def failures(self) -> dict[str, str]:
        """Why the failed runs failed, by their ids, in the order of the sweep."""
        failed = [run.id for run in self.plan.runs if self.failed(run)]
        told = {run: json.loads(self._failure(run).read_text(encoding="utf-8")) for run in failed}
        return {run: f"{each['kind']}: {each['reason']}" for run, each in told.items()}

    def keep_seconds(self, seconds: Mapping[str, float]) -> None:
        """What runs took, by their id; those of before stay."""
        file = self.path / "seconds.json"
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        _write_json(file, {name: round(each, 3) for name, each in sorted({**before, **seconds}.items())})

    def keep_results(self) -> pa.Table:
        """All that is done in one table, in the order of the sweep."""
        done = [self._part(run.id) for run in self.plan.runs if self.done(run)]
        table = pa.concat_tables([schema_of(self.plan).empty_table(), *map(pq.read_table, done)])
        _write_table(table, self.path / SWEEP_RESULTS)
        return table

    def _part(self, run: str) -> Path:
        return self.path / "parts" / f"{run}.parquet"

    def _failure(self, run: str) -> Path:
        return self.path / "failures" / f"{run}.json"

    def _adopt(self) -> None:
        """Keep what is among the plan's runs, under the plan's columns."""
        runs = {run.id: run for run in self.plan.runs}
        for file in (self.path / "failures").glob("*.json"):
            if file.stem not in runs:
                file.unlink()
        for file in (self.path / "parts").glob("*.parquet"):
            measures = pq.read_table(file).to_pylist()[0]
            if file.stem in runs and measures.keys() >= set(MEASURES):
                self.keep(runs[file.stem], measures)
            else:
                file.unlink()

    def _difference(self, before: Mapping[str, Any], begun: Mapping[str, Any]) -> str:
        done = {file.stem for file in (self.path / "parts").glob("*.parquet")}
        runs = {run.id for run in self.plan.runs}
        said = []
        if before["versions"] != begun["versions"]:
            pairs = {**before["versions"], **begun["versions"]}
            moved = [name for name in pairs if before["versions"].get(name) != begun["versions"].get(name)]
            said.append(f"with other versions of {', '.join(sorted(moved))}")
        if before["runs"] != begun["runs"]:
            said.append("with another sweep or scenario, or with other files or code that these name")
        return (
            f"{self.path} was begun {' and '.join(said)}: {len(done & runs)} of the {len(runs)} runs are done there, "
            f"and {len(done - runs)} that are no longer among them. --changed goes on with the former and deletes the "
            "latter; --out takes another folder"
        )


def _differ(before: Mapping[str, Any], begun: Mapping[str, Any]) -> bool:
    return any(before.get(name) != begun[name] for name in ("name", "runs", "versions"))


def _begun(plan: Plan) -> dict[str, Any]:
    runs = json.dumps([schema_of(plan).names, [run.id for run in plan.runs]])
    return {
        "name": plan.sweep.name,
        "runs": hashlib.sha256(runs.encode()).hexdigest(),
        "ids of runs cover": _COVERED,
        "sources": plan.sources.told(),
        "versions": dict(versions()),
    }


def _write_table(table: pa.Table, file: Path) -> None:
    partial = file.with_name(f"{file.name}.partial")
    pq.write_table(table, partial)
    partial.replace(file)


def _write_json(file: Path, document: Mapping[str, Any]) -> None:
    _write(file, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _write(file: Path, text: str) -> None:
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
