"""What every reader gives: a network, its load, and what of the file is not in it."""

import importlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from api_spec.case import Injection
from api_spec.defects import defects_of
from api_spec.grid import Network
from api_spec.ids import Identifier
from market.errors import BadNetworkFile, ReaderUnavailable

_NAME: Final = TypeAdapter(Identifier)
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Dropped:
    """Something that stands in the file and not, or not quite, in the network: which, and what became of it."""

    what: str
    why: str


@dataclass(frozen=True)
class ReadNetwork:
    """A balanced network and the load at its buses, one value each [W], [var], consumption positive."""

    network: Network
    load: tuple[Injection, ...]
    dropped: tuple[Dropped, ...]


def library(name: str, *, install: str = "flexmarket[grid]") -> Any:
    """A package of the extra `grid`, or of another name; ReaderUnavailable where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as failure:
        raise ReaderUnavailable(name, install=install) from failure


def checked(path: Path, document: Mapping[str, Any]) -> Network:
    """The network in wire form; BadNetworkFile with every defect at its place."""
    try:
        return Network.model_validate(document)
    except ValidationError as failure:
        reasons = [f"{each.pointer}: {each.reason}" for each in defects_of(failure, document)]
        raise BadNetworkFile(path, reasons) from failure


def identifiers(kind: str, names: Mapping[Hashable, object]) -> dict[Hashable, str]:
    """An identifier for each of some things: its name where that can be one and is its own, else kind and number."""
    seen = Counter(str(name) for name in names.values())
    usable = {
        key: str(name) for key, name in names.items() if name and seen[str(name)] == 1 and _is_identifier(str(name))
    }
    return {key: usable.get(key, f"{kind}-{key}") for key in names}


def _is_identifier(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def loads(power: Iterable[tuple[str, float, float]]) -> tuple[Injection, ...]:
    """Sums per bus of (bus, W, var), in the order of buses."""
    total: dict[str, tuple[float, float]] = {}
    for bus, p_w, q_var in power:
        before = total.get(bus, (0.0, 0.0))
        total[bus] = (before[0] + p_w, before[1] + q_var)
    return tuple(Injection(bus=bus, p_w=(p,), q_var=(q,)) for bus, (p, q) in sorted(total.items()))


def reached(start: Key, edges: Iterable[tuple[Key, Key]]) -> set[Key]:
    """Everything that is connected with `start`."""
    beside: dict[Key, list[Key]] = {}
    for a, b in edges:
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    found, front = {start}, [start]
    while front:
        new = [each for each in beside.get(front.pop(), []) if each not in found]
        found.update(new)
        front += new
    return found
