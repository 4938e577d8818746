"""A run as a folder that says everything about it: inputs, configuration, versions, results, report.

inputs/scenario.toml   as it was given, where it was a file
inputs/scenario.json   the same with every default filled in: what a run is resumed and repeated from
inputs/files/, code/   copies of the files that it names, and of the code of agents that do not ship with flexmarket
inputs/sources.json    what all of these are (market.simulation.inputs)
inputs/network.json    the network
inputs/cases/DAY.json  each cleared book; `flexmarket clear` takes it
results/*.parquet      all deliveries, each row with its `delivery` (the local date); results/dictionary.json : what
                       every table and column means; README.md : the same for people
results/measures.parquet   one row for each delivery; measures.json : of the whole run (market.simulation.measures)
results/clearing/DAY.json  prices, limits, accepted power
resolved.json          the scenario with the defaults of its agents, too
versions.json          of Python, flexmarket and what it is built on
timing.json            where the time went; the only file that is not the same in every run of a scenario
summary.json           the short table          report.html                the plots, in one file
market.db              the market's database, with the ledger
checkpoint/, parts/    while the run goes on: where it can be resumed, and the deliveries that are settled
"""

import json
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from api_spec.file_names import within
from market.figures.report import write_report
from market.figures.run_folder import NETWORK, RESULTS, SUMMARY, SummaryRow
from market.simulation.agenda import Day
from market.simulation.describing import describe
from market.simulation.dictionary import described, dictionary
from market.simulation.measures import Measures, measures_of
from market.simulation.outcome import Outcome
from market.simulation.results import Results
from market.simulation.scenario import Scenario
from market.simulation.summary import summary, summary_of_days, summary_of_open
from market.simulation.timing import Seconds, total
from market.simulation.versions import versions
from market.simulation.whole_run import whole_run

INPUTS: Final = "inputs"
"""The folder from which the scenario's own names are seen."""
SCENARIO: Final = "inputs/scenario.json"
SCENARIO_TEXT: Final = "inputs/scenario.toml"
MEASURES: Final = "measures.json"
VERSIONS: Final = "versions.json"
TIMING: Final = "timing.json"
_PARTS: Final = "parts"
_CASES: Final = "inputs/cases"
_CLEARINGS: Final = "clearing"
_SUMMARY_PART: Final = "summary.json"


class Archive:
    """Writes the folder of one run, delivery by delivery."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        """Nothing is written yet."""
        self._folder, self._scenario = folder, scenario

    @property
    def scenario(self) -> str:
        """As JSON, with the files in the folder's inputs named as seen from there: the same wherever the folder is."""
        return self._scenario.seen_from(self._folder / INPUTS).model_dump_json(indent=1)

    def begin(self) -> None:
        """What stands before anything happens; what is there of deliveries is overwritten once they are settled."""
        for each in (self._folder / _CASES, self._folder / RESULTS / _CLEARINGS, self._folder / _PARTS):
            each.mkdir(parents=True, exist_ok=True)
        _write(self._folder / SCENARIO, self.scenario)
        _write_json(self._folder / VERSIONS, {**versions(), "platform": platform.platform()})

    def keep(self, outcome: Outcome, results: Results) -> None:
        """Write down a settled delivery."""
        day = outcome.day
        part = self._folder / _PARTS / day.name
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for name, table in results.tables.items():
            pq.write_table(_of_delivery(table, day), part / f"{name}.parquet")
        measures = measures_of(outcome, results)
        _write(part / MEASURES, measures.model_dump_json())
        _write_json(part / _SUMMARY_PART, _short(summary(outcome, results, measures)))
        _write(self._folder / _CASES / f"{day.name}.json", outcome.case.model_dump_json())
        _write(self._folder / RESULTS / _CLEARINGS / f"{day.name}.json", outcome.result.model_dump_json())
        if day.number == 0:
            _write(self._folder / NETWORK, outcome.case.network.model_dump_json(indent=1))
            _write_json(self._folder / "resolved.json", _resolved(outcome, self._folder / INPUTS))

    def spent(self, day: Day, seconds: Seconds) -> None:
        """Write down how long a delivery took to compute."""
        _write_json(self._folder / _PARTS / day.name / TIMING, seconds)

    def finish(self) -> Measures:
        """Put the deliveries together, and write what is said of the whole run."""
        days = self._scenario.planned
        parts = [self._folder / _PARTS / each.name for each in days]
        for table in sorted(each.name for each in parts[0].glob("*.parquet")):
            _put_together([each / table for each in parts], self._folder / RESULTS / table)
        measures = [Measures.model_validate_json((each / MEASURES).read_text(encoding="utf-8")) for each in parts]
        pq.write_table(_measures_table(days, measures), self._folder / RESULTS / "measures.parquet")
        describe(self._folder, title=self._scenario.title)
        whole = whole_run(measures)
        _write_json(self._folder / SUMMARY, self._summary(days, measures, whole))
        # A run that was killed between a day's checkpoint and its seconds does not know them.
        timed = {each.name: each / TIMING for each in parts if (each / TIMING).exists()}
        seconds = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in timed.items()}
        _write_json(self._folder / TIMING, {"total": total(seconds.values()), "deliveries": seconds})
        # Last of all: who finds it takes the run for finished.
        _write(self._folder / MEASURES, whole.model_dump_json(indent=1))
        shutil.rmtree(self._folder / _PARTS)
        return whole

    def _summary(self, days: Sequence[Day], measures: Sequence[Measures], whole: Measures) -> Mapping[str, Any]:
        """The short table, and which delivery the report shows: the one with the highest loading."""
        worst = max(zip(measures, days, strict=True), key=lambda each: (each[0].peak_loading, -each[1].number))[1]
        if len(days) == 1:
            rows = json.loads((self._folder / _PARTS / worst.name / _SUMMARY_PART).read_text(encoding="utf-8"))
        else:
            rows = _short(summary_of_days(days, measures, whole))
        rows += _short(summary_of_open(pq.read_table(self._folder / _PARTS / days[-1].name / "unsettled.parquet")))
        title, zone = self._scenario.title, self._scenario.timezone
        return {"title": title, "timezone": zone, "rows": rows, "shown": worst.name}


def publish(folder: Path) -> None:
    """Write what people look at, of a finished run: the report, and where it is of one delivery, tables as CSV."""
    write_report(folder)
    tables = {each.stem: each for each in (folder / RESULTS).glob("*.parquet")}
    if pq.read_metadata(tables["measures"]).num_rows == 1:
        for name, file in tables.items():
            pa.csv.write_csv(pq.read_table(file), folder / RESULTS / f"{name}.csv")


def keep_text(folder: Path, text: str) -> None:
    """Keep a scenario's file as it was given."""
    file = folder / SCENARIO_TEXT
    file.parent.mkdir(exist_ok=True)
    _write(file, text)


def _resolved(outcome: Outcome, inputs: Path) -> Mapping[str, Any]:
    scenario = outcome.scenario.seen_from(inputs).model_dump(mode="json")
    for name, agent in outcome.agents.items():
        table = agent.config.model_dump(mode="json")
        scenario["agents"][name]["config"] = within(type(agent.config), table, inputs)
    return scenario


def _of_delivery(table: pa.Table, day: Day) -> pa.Table:
    """With the delivery that each row belongs to."""
    column = pa.array([date.fromisoformat(day.name)] * len(table), pa.date32())
    return table.add_column(0, "delivery", column)


def _put_together(parts: Sequence[Path], file: Path) -> None:
    """One table of all deliveries; never more than one of them in memory."""
    schema = described(pq.read_schema(parts[0]), dictionary().table(file.stem).columns)
    with pq.ParquetWriter(file, schema) as writer:
        for each in parts:
            writer.write_table(pq.read_table(each).cast(schema))


def _measures_table(days: Sequence[Day], measures: Sequence[Measures]) -> pa.Table:
    dates = pa.array([date.fromisoformat(each.name) for each in days], pa.date32())
    columns = {name: pa.array([getattr(each, name) for each in measures], pa.float64()) for name in _figures()}
    table = pa.table({"delivery": dates, **columns})
    return table.cast(described(table.schema, dictionary().table("measures").columns))


def _figures() -> Iterator[str]:
    return iter(Measures.model_fields)


def _short(rows: Sequence[SummaryRow]) -> list[dict[str, str]]:
    return [{"label": row.label, "before": row.before, "after": row.after} for row in rows]


def _write_json(file: Path, document: Any) -> None:
    _write(file, json.dumps(document, indent=1, ensure_ascii=False))


def _write(file: Path, text: str) -> None:
    # Whole or not at all, whenever the run is killed.
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text + ("" if text.endswith("\n") else "\n"), encoding="utf-8")
    partial.replace(file)
