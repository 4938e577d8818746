"""The audit log on the wire: signed tree heads, and proofs that a change is in the log and that the log only grew.

The log is a Merkle tree (`api_spec.merkle`). Each leaf witnesses one change of one stored row by a salted commitment:
without the salt, which only the row's owner is given, a leaf tells nothing of the row.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import StringConstraints

from api_spec import merkle
from api_spec.period import Instant
from api_spec.units import Count, Message

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""32 bytes in hexadecimal: a SHA-256 hash, a salt, or an Ed25519 public key."""
Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
"""An Ed25519 signature (RFC 8032) in hexadecimal."""
ChangeKind: TypeAlias = Literal["insert", "update", "delete"]


class TreeHead(Message):
    """The log's first `size` leaves in one hash, signed by the market.

    number : heads are counted from 1, without gaps. at : when it was signed. key : the public key that checks
    `signature` over `signed_text`.
    """

    number: Count
    size: Count
    root: Digest
    at: Instant
    key: Digest
    signature: Signature

    def signed_text(self) -> bytes:
        """What is signed."""
        return head_text(
            number=self.number, size=self.size, root=self.root, at=self.at.isoformat(timespec="microseconds")
        )


class LoggedChange(Message):
    """One leaf: the `change`-th change of the row `key` of a table.

    sequence : in which order leaves came to the store; their order in the log is another. key : the row's primary key,
    a JSON array. commitment : SHA-256(salt || values).
    """

    sequence: Count
    table: str
    key: str
    change: Count
    kind: ChangeKind
    commitment: Digest

    def entry(self) -> bytes:
        """What the tree hashes."""
        return entry_text(self.sequence, self.table, self.key, self.change, self.kind, bytes.fromhex(self.commitment))


class InclusionProof(Message):
    """That a row's present values are in the log: leaf number `index` of the tree of `head`.

    salt, values : what the leaf's commitment opens to; values is the row as canonical JSON. path : sister hashes from
    the leaf upward.
    """

    index: Count
    leaf: LoggedChange
    salt: Digest
    values: str
    path: tuple[Digest, ...]
    head: TreeHead

    def holds(self) -> bool:
        """Whether values, leaf, path and root fit; the head's signature is checked apart from it."""
        opened = merkle.commitment(bytes.fromhex(self.salt), self.values.encode())
        return opened.hex() == self.leaf.commitment and merkle.inclusion_holds(
            merkle.leaf_hash(self.leaf.entry()),
            index=self.index,
            size=self.head.size,
            path=_hashes(self.path),
            root=bytes.fromhex(self.head.root),
        )


class ConsistencyProof(Message):
    """That the log's first `first` leaves are how its first `second` leaves begin."""

    first: Count
    second: Count
    path: tuple[Digest, ...]

    def holds(self, older: TreeHead, newer: TreeHead) -> bool:
        """Whether it shows that the tree of `newer` only added to that of `older`."""
        return (self.first, self.second) == (older.size, newer.size) and merkle.consistency_holds(
            first=self.first,
            second=self.second,
            first_root=bytes.fromhex(older.root),
            second_root=bytes.fromhex(newer.root),
            path=_hashes(self.path),
        )


def entry_text(sequence: int, table: str, key: str, change: int, kind: str, commitment: bytes) -> bytes:
    """A leaf as the tree hashes it: a JSON array in ASCII, without spaces."""
    parts = ("flexmarket-leaf/1", sequence, table, key, change, kind, commitment.hex())
    return json.dumps(parts, separators=(",", ":")).encode()


def head_text(*, number: int, size: int, root: str, at: str) -> bytes:
    """A head as it is signed: a JSON array in ASCII, without spaces. at : UTC, with microseconds."""
    return json.dumps(("flexmarket-head/1", number, size, root, at), separators=(",", ":")).encode()


def _hashes(path: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(each) for each in path]
