"""Which keys a table has: for whoever wrote another one by mistake."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel

from api_spec.defects import Defect
from api_spec.file_names import fields_of, schema_of

_UNKNOWN: Final = "Extra inputs are not permitted"
_REF: Final = "#/$defs/"


def with_nearest(defects: Iterable[Defect], table: type[BaseModel]) -> tuple[Defect, ...]:
    """The defects of a document; of keys that `table` does not have, with the nearest one that it has."""
    return tuple(each if each.reason != _UNKNOWN else _hinted(each, table) for each in defects)


def _hinted(defect: Defect, table: type[BaseModel]) -> Defect:
    *above, key = (part.replace("~1", "/").replace("~0", "~") for part in defect.pointer.split("/")[1:])
    near = get_close_matches(key, sorted(_keys(table, above)), n=1)
    return Defect(defect.pointer, f'{defect.reason} (did you mean "{near[0]}"?)') if near else defect


def _keys(table: type[BaseModel], place: Iterable[str]) -> set[str]:
    """Of the table at a place in a document."""
    whole = schema_of(table)
    kinds, here = whole.get("$defs", {}), [whole]
    for part in place:
        here = [inside for each in here for own in _alternatives(each, kinds) for inside in _inside(own, part)]
    return {key for each in here for own in _alternatives(each, kinds) for key in own.get("properties", ())}


def _alternatives(schema: Any, kinds: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if not isinstance(schema, Mapping):
        return
    yield schema
    if "$ref" in schema:
        yield from _alternatives(kinds.get(schema["$ref"].removeprefix(_REF)), kinds)
    for union in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(union, ()):
            yield from _alternatives(each, kinds)


def _inside(schema: Mapping[str, Any], part: str) -> Iterator[Any]:
    yield from fields_of(schema, part)
    if part.isdecimal():
        first = schema.get("prefixItems", ())
        yield first[int(part)] if int(part) < len(first) else schema.get("items", {})
