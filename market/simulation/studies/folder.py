"""What every study leaves in its folder besides its pieces: what it was made from, tables with their words, titles."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from market.figures.run_folder import RESULTS
from market.figures.study_page import STUDY, TIMING
from market.simulation.dictionary import described, dictionary
from market.simulation.studies.pieces import Came

INPUTS: Final = "inputs"


def keep_inputs(folder: Path, files: Mapping[str, Path | Traversable]) -> None:
    """Copy what a study is made from, TOML files by their names in it, into its folder."""
    inputs = folder / INPUTS
    inputs.mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        (inputs / f"{name}.toml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")


def write_table(folder: Path, name: str, table: pa.Table) -> None:
    """`results/NAME.parquet`, each column with its unit and meaning; KeyError for one without words."""
    words = dictionary().study(name).columns
    own = {column: words[column] for column in table.column_names}
    (folder / RESULTS).mkdir(parents=True, exist_ok=True)
    pq.write_table(table.cast(described(table.schema, own)), folder / RESULTS / f"{name}.parquet")


def write_words(folder: Path, words: Mapping[str, Any]) -> None:
    """What the tables do not tell, such as titles."""
    _write_json(folder / STUDY, words)


def write_timing(folder: Path, came: Sequence[Came]) -> None:
    """What each piece took, which no repetition repeats."""
    _write_json(folder / TIMING, [[*each.place, each.seconds] for each in came])


def _write_json(file: Path, document: object) -> None:
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
