"""From a sweep to its runs: each a whole scenario, checked before anything is run."""

import hashlib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from api_spec.defects import MOST_DEFECTS
from api_spec.file_names import with_names
from market.simulation.checking import Checks
from market.simulation.inputs import Known, Sources, together
from market.simulation.scenario import BadScenario, Scenario, locate_scenario, read_scenario
from market.simulation.sweep.paths import Document, NoSuchPlace, Place, dotted, places, put
from market.simulation.sweep.points import Point, points
from market.simulation.sweep.sweep_file import SEED, BadSweep, Sweep, read_sweep
from market.simulation.sweep.toml_text import toml_text, toml_value

_ID: Final = 12


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    id : of what is run, and so the same in every sweep that runs the same: its text, with the files that it names under
    what stands in them, the code of its agents that are one's own, versions of what reads and runs them. point : its
    value in each column of the sweep. text : its scenario, as the text of a TOML file in the sweep's inputs.
    """

    id: str
    point: Point
    text: str


@dataclass(frozen=True)
class Plan:
    """A sweep whose every run could be built.

    runs : in the order of the sweep, each once. sources : what they depend on beside their texts.
    """

    sweep: Sweep
    runs: tuple[Run, ...]
    sources: Sources


def plan_of(file: Path, *, told: Callable[[int, int], object] = lambda *_: None) -> Plan:
    """Read a sweep and its scenario, and check every run.

    told : how many runs are checked, and of how many. Raises BadSweep and BadScenario: what is wrong at which key.
    """
    sweep = read_sweep(file)
    scenario_file = locate_scenario(sweep.scenario, beside=file.parent)
    scenario, checks = read_scenario(scenario_file), Checks(scenario_file.parent)
    written = tomllib.loads(scenario_file.read_text(encoding="utf-8"))
    try:
        filled = checks.filled(scenario)
    except BadScenario as failure:
        raise BadScenario("\n".join(f"{scenario_file}: {line}" for line in str(failure).splitlines())) from failure
    where = _places(sweep, filled, file)
    runs, defects, known = dict[str, Run](), dict[str, None](), Known()
    sources = dict[str, Sources]()
    every = tuple(points(sweep))
    for number, point in enumerate(every):
        document = _document(written, filled, sweep, point, where)
        document = _seen_from(file.parent, document, point, where)
        defects.update(dict.fromkeys(_defects(document, point, where, checks)))
        if len(defects) >= MOST_DEFECTS:
            break
        if not defects:
            run, own = _run(document, point, scenario_file.parent, known)
            runs.setdefault(run.id, run)
            sources.setdefault(run.id, own)
        told(number + 1, len(every))
    if defects:
        raise BadSweep("\n".join(f"{file}: {each}" for each in defects))
    return Plan(sweep, tuple(runs.values()), together(sources.values()))


_Places = Mapping[str, Mapping[str, tuple[Place, ...]]]
"""Of each column, where each of its paths leads."""


def _places(sweep: Sweep, filled: Document, file: Path) -> _Places:
    found, defects = dict[str, dict[str, tuple[Place, ...]]](), list[str]()
    for column in sweep.columns:
        found[column] = {}
        for path in sorted(sweep.paths_of(column)):
            try:
                found[column][path] = places(path, filled)
            except NoSuchPlace as failure:
                if column != SEED:  # agents may do without
                    defects.append(f"axes.{column}: {failure}")
    defects += _overlaps(found)
    if defects:
        raise BadSweep("\n".join(f"{file}: {each}" for each in defects[:MOST_DEFECTS]))
    return found


def _overlaps(found: _Places) -> Iterator[str]:
    """Places that two columns set, one of them perhaps as a part of the other: which of them would count?"""
    owner = {place: column for column, paths in found.items() for each in paths.values() for place in each}
    for column, paths in found.items():
        for place in (place for each in paths.values() for place in each):
            above = (place[:end] for end in range(1, len(place) + 1))
            other = next((owner[each] for each in above if owner.get(each, column) != column), None)
            if other is not None:
                yield f"axes.{column}: {dotted(place)} is set by {other}, too"


def _document(written: Document, filled: Document, sweep: Sweep, point: Point, where: _Places) -> Document:
    document = written
    for column, value in point.items():
        axis = sweep.axes.get(column)
        settings = axis.settings(value) if axis else ((path, value) for path in where[column])
        for path, setting in settings:
            for place in where[column][path]:
                document = put(document, place, setting, filled=filled)
    return document


def _seen_from(folder: Path, document: Document, point: Point, where: _Places) -> Document:
    """The document with the files that the sweep names as found from anywhere: they stand in the sweep's file."""
    own = [place for column in point for places in where[column].values() for place in places]
    try:
        files = Scenario.model_validate(document).files
    except ValidationError:  # said where it is checked
        return document
    named = {at: path for at, path in files.items() if any(at[: len(place)] == place for place in own)}
    return with_names(document, {at: str((folder / path).resolve()) for at, path in named.items()})


def _defects(document: Document, point: Point, where: _Places, checks: Checks) -> Iterator[str]:
    """What is wrong with a run, at the axis that is to blame where one is."""
    for line in checks.defects(document):
        key, _, reason = line.partition(": ")
        column = next((each for each in point if _set_by(where[each], key)), None)
        if column is None:
            yield f"with {_words(point)}: {line}"
        else:
            yield f"axes.{column}: {_words({column: point[column]})}: {key}: {reason}"


def _set_by(paths: Mapping[str, tuple[Place, ...]], key: str) -> bool:
    names = [dotted(place) for each in paths.values() for place in each]
    return any(key == name or key.startswith(f"{name}.") for name in names)


def _words(point: Point) -> str:
    return ", ".join(f"{column} = {toml_value(value)}" for column, value in point.items())


def _run(document: Document, point: Point, folder: Path, known: Known) -> tuple[Run, Sources]:
    names, sources = known.sources(Scenario.model_validate(document).beside(folder))
    text = toml_text(with_names(document, {place: str(name) for place, name in names.items()}))
    what = text + sources.digest()
    return Run(hashlib.sha256(what.encode()).hexdigest()[:_ID], point, text), sources
