"""Case files: read with every defect named at its place, results written whole or not at all."""

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from api_spec.case import Case
from api_spec.defects import Defect, defects_of, unknown
from api_spec.result import Result
from market.errors import BadCaseFile, BadZonesFile

_RESULT: Final = TypeAdapter(Result)
_NAME_APART: Final = re.compile(rb'"[ \t\r\n]+:')


def read_case(path: Path) -> Case:
    """The case in a file of format `flexmarket-case/1`.

    Raises BadCaseFile with JSON pointers and reasons; a name that stands twice in one object is a defect, too.
    """
    document = _document(path, BadCaseFile)
    try:
        return Case.model_validate(document)
    except ValidationError as failure:
        raise BadCaseFile(defects_of(failure, document)) from failure


def read_zones(path: Path, case: Case) -> dict[str, str]:
    """Zone of each bus from a JSON object; buses that are not in it share a zone. Raises BadZonesFile."""
    zones = _document(path, BadZonesFile)
    if not isinstance(zones, dict):
        raise BadZonesFile((Defect("", "must be an object that names a zone for each bus"),))
    buses, where = case.network.bus_ids, f'on network "{case.network.name}"'
    defects = [Defect(f"/{bus}", unknown("bus", bus, buses, where)) for bus in zones if bus not in buses]
    defects += [Defect(f"/{bus}", "must be a text") for bus, zone in zones.items() if not isinstance(zone, str)]
    if defects:
        raise BadZonesFile(tuple(defects))
    return zones


def write_result(result: Result, path: Path) -> None:
    """Write a result as indented JSON; a reader never sees half of it.

    Raises OSError where the folder cannot be written to.
    """
    text = _RESULT.dump_json(result, indent=1, context={}) + b"\n"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _document(path: Path, bad: type[BadCaseFile] | type[BadZonesFile]) -> Any:
    try:
        return _parsed(path.read_bytes())
    except OSError as failure:
        raise bad((Defect("", f"cannot be read: {failure.strerror}"),)) from failure
    except (ValueError, RecursionError) as failure:
        raise bad((Defect("", f"is not JSON: {failure}"),)) from failure


def _parsed(text: bytes) -> Any:
    """A document in which no object has a name twice. Raises ValueError, RecursionError.

    After every name, and hardly anywhere else, stands `":`. Where there are as many of these as objects have members,
    no name was there twice; where there are not, the slower reader of the standard library finds out.
    """
    try:
        document = from_json(text)
    except ValueError:
        document = None
    if document is None or text.count(b'":') != _members(document) or _NAME_APART.search(text):
        return json.loads(text, object_pairs_hook=_each_name_once)
    return document


def _members(document: Any) -> int:
    """How many members the objects have. A list that begins with something else is not searched for objects."""
    count, left = 0, [document]
    while left:
        here = left.pop()
        if isinstance(here, dict):
            count += len(here)
            left += here.values()
        elif isinstance(here, list) and here and isinstance(here[0], dict | list):
            left += here
    return count


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the name "{twice}" stands twice in one object')
    return members
