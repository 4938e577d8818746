"""What every study leaves in its folder besides its pieces: what it was made from, tables with their words, titles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from market.figures.run_folder import RESULTS
from market.figures.study_page import STUDY, TIMING
from market.simulation.archive import INPUTS
from market.simulation.dictionary import described, dictionary
from market.simulation.inputs import Known, together
from market.simulation.occupied import occupied
from market.simulation.studies.pieces import Came, P
from market.simulation.versions import versions

_COVERED: Final = (
    "every field of its scenario, what stands in the files that this and the tables of its agents name, the code of "
    "agents that do not ship with flexmarket and of what that imports, and the versions below"
)


def keep_inputs(pieces: Sequence[P], folder: Path, files: Mapping[str, Path | Traversable]) -> tuple[P, ...]:
    """Keep what a study is made from in its folder; the pieces, which need nothing else then.

    files : its TOML files by their names there, "scenario" and the catalogue of what is compared. Files that the pieces
    name, those of the catalogue as seen from its folder, and the code of their agents are copied, too, and what the key
    of a piece covers is written down.
    """
    inputs, known = folder / INPUTS, Known()
    # What a piece changes is written in the catalogue: names of files in it are as seen from there.
    own = [each.parent for name, each in files.items() if name != "scenario" and isinstance(each, Path)]
    given = files["scenario"]
    beside = own[0] if own else given.parent if isinstance(given, Path) else Path()
    seen = [piece.scenario.beside(beside) for piece in pieces]
    found = [known.sources(each) for each in seen]
    sources = together(own for _, own in found)
    covered = {"the key of a piece covers": _COVERED, "sources": sources.told(), "versions": dict(versions())}
    with occupied(folder):
        sources.keep(inputs)
        for name, file in files.items():
            (inputs / f"{name}.toml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
        _write_json(inputs / "covered.json", covered)
    scenarios = (each.naming(names).beside(inputs) for each, (names, _) in zip(seen, found, strict=True))
    # A piece is a dataclass of some kind, which is more than its protocol can say.
    return tuple(replace(cast(Any, piece), scenario=each) for piece, each in zip(pieces, scenarios, strict=True))


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
