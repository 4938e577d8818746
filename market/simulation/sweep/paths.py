"""Dotted paths into a scenario: `agents.homes.config.sites.0.sessions.energy_kwh`; `*` stands for what is there.

`agents.homes-*.config.sites.*.adoption` is the adoption of every site of every agent whose name begins with `homes-`.

Paths are looked up in the scenario with every default filled in, and set in the scenario as it was written: a field
with a default can be set where the file says nothing of it, and a path to no field is refused with the nearest name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

Document: TypeAlias = Mapping[str, Any]
Place: TypeAlias = tuple[str | int, ...]
"""Keys of tables and positions in arrays, from the top."""

_EVERY: Final = "*"
_KEY: Final = re.compile(r'"([^"]+)"|([^."]+)')


class NoSuchPlace(ValueError):
    """A path that leads to no field of the scenario."""


def places(path: str, document: Document) -> tuple[Place, ...]:
    """Every place that `path` names in a document; a path with `*` names those that are there, at least one.

    A key that holds a dot stands in quotes. Where the document has null, a table or an array could be, and anything in
    it is taken for a place: whoever reads the document refuses what is not. Raises NoSuchPlace.
    """
    keys = _keys(path)
    found = tuple(_walk((), keys, document))
    if found:
        return found
    for end, key in enumerate(keys):
        if _EVERY not in key and not tuple(_walk((), keys[: end + 1], document)):
            raise NoSuchPlace(_missing(path, keys[:end], key, document))
    raise NoSuchPlace(f'nothing in the scenario fits "{path}"')


def put(document: Document, place: Place, value: Any, *, filled: Document) -> dict[str, Any]:
    """The document with `value` at `place`; what is missing on the way there is taken from `filled`."""
    return _put(document, place, value, filled)  # type: ignore[no-any-return]


def dotted(place: Place) -> str:
    """A place as a path, the way TOML writes keys."""
    return ".".join(f'"{part}"' if "." in str(part) else str(part) for part in place)


def _keys(path: str) -> tuple[str, ...]:
    keys = tuple(quoted or bare for quoted, bare in _KEY.findall(path))
    if not keys or path.replace('"', "") != ".".join(keys):
        raise NoSuchPlace(f'"{path}" is no path: keys with dots between them, such as product.pricing')
    return keys


def _walk(before: Place, keys: Sequence[str], here: Any) -> Iterator[Place]:
    if not keys:
        yield before
        return
    for part, inside in _inside(here, keys[0]):
        yield from _walk((*before, part), keys[1:], inside)


def _inside(here: Any, key: str) -> Iterator[tuple[str | int, Any]]:
    """What one key of a path leads to."""
    if isinstance(here, Mapping):
        yield from ((name, inside) for name, inside in here.items() if _fits(name, key))
    elif isinstance(here, list):
        yield from ((number, inside) for number, inside in enumerate(here) if _fits(str(number), key))
    elif here is None and _EVERY not in key and not key.isdecimal():
        yield key, None


def _fits(name: str, key: str) -> bool:
    return fnmatchcase(name, key) if _EVERY in key else name == key


def _missing(path: str, before: Sequence[str], key: str, document: Document) -> str:
    """Why a path ends at `key`, with the nearest name that would have led on."""
    known = sorted(
        {str(part) for place in _walk((), before, document) for part, _ in _inside(_at(document, place), _EVERY)}
    )
    at = f'no "{key}" at {".".join(before)}' if before else f'no "{key}"'
    near = get_close_matches(key, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"there is {', '.join(known[:12])}" if known else "it is a value"
    return f'"{path}": {at} ({hint})'


def _at(document: Any, place: Place) -> Any:
    for part in place:
        document = document[part]
    return document


def _put(here: Any, place: Place, value: Any, filled: Any) -> Any:
    if not place:
        return value
    part, rest = place[0], place[1:]
    if isinstance(part, int):
        whole = list(deepcopy(filled) if here is None else here)
        whole[part] = _put(whole[part], rest, value, filled[part])
        return whole
    here, filled = here or {}, filled or {}
    return {**here, part: _put(here.get(part), rest, value, filled.get(part))}
