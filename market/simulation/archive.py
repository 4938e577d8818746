"""A finished run as a folder that says everything about it: inputs, configuration, versions, results, report.

inputs/scenario.toml   as it was given          results/*.parquet, *.csv   see market.simulation.results
inputs/network.json    the network              results/clearing.json      prices, limits, accepted power
inputs/case.json       the cleared book; `flexmarket clear` takes it
resolved.json          the scenario with every default filled in
versions.json          of Python, flexmarket and what it is built on
summary.json           the short table          report.html                the plots, in one file
measures.json          see market.simulation.measures
market.db              the market's database, with the ledger
"""

import json
import platform
import re
import sys
from collections.abc import Mapping
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from market.figures.report import write_report
from market.figures.run_folder import RESULTS, SUMMARY, SummaryRow
from market.simulation.measures import measures_of
from market.simulation.results import Results
from market.simulation.run import Outcome
from market.simulation.summary import summary

MEASURES: Final = "measures.json"


def archive(outcome: Outcome, *, scenario_text: str, folder: Path) -> tuple[SummaryRow, ...]:
    """Write everything into `folder`, where the run's market.db stands already; returns the short table."""
    results = Results(outcome)
    rows = summary(outcome, results)
    inputs = folder / "inputs"
    inputs.mkdir()
    _write(inputs / "scenario.toml", scenario_text)
    _write(inputs / "network.json", outcome.case.network.model_dump_json(indent=1))
    _write(inputs / "case.json", outcome.case.model_dump_json(indent=1))
    _write_json(folder / "resolved.json", _resolved(outcome))
    _write_json(folder / "versions.json", _versions())
    _write_tables(results.tables, folder / RESULTS)
    _write(folder / RESULTS / "clearing.json", outcome.result.model_dump_json(indent=1))
    short = [{"label": row.label, "before": row.before, "after": row.after} for row in rows]
    document = {"title": outcome.scenario.title, "timezone": outcome.scenario.timezone, "rows": short}
    _write_json(folder / SUMMARY, document)
    _write(folder / MEASURES, measures_of(outcome, results).model_dump_json(indent=1))
    write_report(folder)
    return rows


def _resolved(outcome: Outcome) -> Mapping[str, Any]:
    scenario = outcome.scenario.model_dump(mode="json")
    for name, agent in outcome.agents.items():
        scenario["agents"][name]["config"] = agent.config.model_dump(mode="json")
    return scenario


def _versions() -> Mapping[str, str]:
    """Of Python and of every package that flexmarket requires to run."""
    needed = [each for each in requires("flexmarket") or () if "extra ==" not in each]
    names = sorted(re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in needed)
    machine = {"python": sys.version.split()[0], "platform": platform.platform()}
    return machine | {name: version(name) for name in ("flexmarket", *names)}


def _write_tables(tables: Mapping[str, pa.Table], folder: Path) -> None:
    folder.mkdir()
    for name, table in tables.items():
        pa.parquet.write_table(table, folder / f"{name}.parquet")
        pa.csv.write_csv(table, folder / f"{name}.csv")


def _write_json(file: Path, document: Mapping[str, Any]) -> None:
    _write(file, json.dumps(document, indent=1, ensure_ascii=False))


def _write(file: Path, text: str) -> None:
    file.write_text(text + ("" if text.endswith("\n") else "\n"), encoding="utf-8")
