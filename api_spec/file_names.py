"""Files that a document names: where in it, told by the type that it is read as.

A field of type `pathlib.Path` names a file, wherever it stands in a table. Names are relative to the folder of the
document that they stand in, as in TOML files of flexmarket and in tables of agents.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema

from api_spec.defects import Place

_FORMATS: Final = frozenset({"path", "file-path", "directory-path"})
_UNIONS: Final = ("anyOf", "oneOf", "allOf")
_REF: Final = "#/$defs/"
D = TypeVar("D", bound=Mapping[str, Any])

TomlPath = Annotated[str, WithJsonSchema({"type": "string", "format": "path", "pattern": r"\.toml$"})]
"""In `json_schema_input_type` of a field that takes other names, too: only those that end in .toml are files."""


def file_places(table: type[BaseModel], document: Mapping[str, Any]) -> Iterator[tuple[Place, Path]]:
    """Every place in a document where a file is named, and the name; document : that `table` is to be read from."""
    schema = schema_of(table)
    yield from _walk(schema, document, (), schema.get("$defs", {}))


def with_names(document: D, names: Mapping[Place, str]) -> D:
    """The document with other names at these places."""
    for place, name in names.items():
        document = _put(document, place, name)
    return document


def beside(table: type[BaseModel], document: D, folder: Path) -> D:
    """The document with its files named as they are found from anywhere, when it stands in `folder`."""
    found = file_places(table, document)
    return with_names(document, {place: str((folder / path).resolve()) for place, path in found})


def within(table: type[BaseModel], document: D, folder: Path) -> D:
    """The document with its files inside of `folder` named as seen from there: what `beside` undoes."""
    own = folder.resolve()
    inside = {place: path for place, path in file_places(table, document) if path.is_relative_to(own)}
    return with_names(document, {place: str(path.relative_to(own)) for place, path in inside.items()})


def _walk(schema: Any, value: Any, place: Place, kinds: Mapping[str, Any]) -> Iterator[tuple[Place, Path]]:
    """Alternatives that the document does not follow find nothing in it."""
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema:
        yield from _walk(kinds.get(schema["$ref"].removeprefix(_REF)), value, place, kinds)
    for each in (each for union in _UNIONS for each in schema.get(union, ())):
        yield from _walk(each, value, place, kinds)
    if isinstance(value, str | Path):
        if schema.get("format") in _FORMATS and re.search(schema.get("pattern", ""), str(value)):
            yield place, Path(value)
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            for each in fields_of(schema, str(key)):
                yield from _walk(each, inside, (*place, key), kinds)
    elif isinstance(value, list | tuple):
        first, others = schema.get("prefixItems", ()), schema.get("items")
        for at, inside in enumerate(value):
            yield from _walk(first[at] if at < len(first) else others, inside, (*place, at), kinds)


def fields_of(schema: Mapping[str, Any], key: str) -> Iterator[Any]:
    """The schemas of what may stand under a key of a table."""
    if key in schema.get("properties", {}):
        yield schema["properties"][key]
        return
    yield from (each for pattern, each in schema.get("patternProperties", {}).items() if re.search(pattern, key))
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield schema["additionalProperties"]


def _put(here: Any, place: Place, name: str) -> Any:
    if not place:
        return name
    part, rest = place[0], place[1:]
    inside = _put(here[part], rest, name)
    if isinstance(here, Mapping):
        return {**here, part: inside}
    return type(here)(inside if at == part else each for at, each in enumerate(here))


@cache
def schema_of(table: type[BaseModel]) -> Mapping[str, Any]:
    """What documents of this type look like, as JSON schema."""
    return table.model_json_schema(schema_generator=_Lenient)


class _Lenient(GenerateJsonSchema):
    """A type of somebody's own that has no schema names no files."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {}

    def emit_warning(self, kind: Any, detail: str) -> None:
        return None
