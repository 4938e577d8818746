"""What a leaf says of a change: where it was, which change it is, and a salted commitment to the row's values.

A salt lives as long as the state of the row that it opens. Once the row is changed or deleted it is forgotten: nobody
can confirm any more what stood there, while the commitment stays in the log. That is how a person's row is erased.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from api_spec.audit import entry_text
from api_spec.merkle import commitment, leaf_hash

Stored: TypeAlias = str | int | float | bytes | bool | datetime | None
"""A value as a database driver takes and gives it."""

SALT_BYTES: Final = 32
NOTHING: Final = b"{}"
"""The values of a deleted row."""


@dataclass(frozen=True)
class Leaf:
    """One change of one row.

    sequence : given by the store. key : the row's primary key, a JSON array. change : counted from 1 for each key. kind
    : "insert", "update" or "delete". salt : forgotten once the row has changed again; that of a deletion, which opens
    to nothing, stays. log_index : its place in the tree, once it is built in.
    """

    sequence: int
    table: str
    key: str
    change: int
    kind: str
    salt: bytes | None
    commitment: bytes
    log_index: int | None

    def hash(self) -> bytes:
        """What the tree holds of it; neither salt nor place enter."""
        return leaf_hash(entry_text(self.sequence, self.table, self.key, self.change, self.kind, self.commitment))

    def opens_to(self, values: bytes) -> bool:
        """Whether these are the values that it commits to."""
        return self.salt is not None and commitment(self.salt, values) == self.commitment


def canonical_values(row: Mapping[str, Stored]) -> bytes:
    """A row as it is committed to: JSON with sorted names, in ASCII, without spaces and without NULLs.

    The same on every database. A column that a later schema adds and leaves empty changes nothing.
    """
    present = {name: _plain(value) for name, value in row.items() if value is not None}
    return json.dumps(present, separators=(",", ":"), sort_keys=True).encode()


def canonical_key(values: list[Stored]) -> str:
    """A primary key as a JSON array in ASCII, in the order of its columns."""
    return json.dumps([_plain(each) for each in values], separators=(",", ":"))


def _plain(value: Stored) -> str | int | float | list[str] | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return [value.hex()]  # no text of any column is an array
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"no canonical form for {type(value).__name__}")
