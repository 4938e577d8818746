"""Holding a market's database to its audit log: everything is recomputed, and what does not fit is named.

Each check is local: a leaf against its node, a node against its two children, a head against the nodes of its edge, a
row against its newest leaf. Together they leave nothing out, and one defect is reported where it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from api_spec.audit import TreeHead
from api_spec.merkle import node_hash
from market.audit.heads import SigningKey, signature_holds
from market.audit.leaves import NOTHING, Leaf
from market.audit.tree import Frontier, Node

Levels: TypeAlias = dict[int, dict[int, bytes]]
"""Hashes of nodes by level and place."""


class Finding(NamedTuple):
    """One thing that does not fit: in which table, at which key, and what."""

    table: str
    key: str
    what: str

    def __str__(self) -> str:
        """One line that a terminal may print, whatever has become of a name."""
        line = f"{self.table} {self.key}: {self.what}"
        return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)


class KeptHead(NamedTuple):
    """A stored head; None where what is stored is none."""

    number: int
    head: TreeHead | None


@dataclass
class History:
    """The leaves, read through: the newest one of each row, and what was wrong on the way.

    newest : by table and key. leaf_hashes : of leaves in the tree, by their place. waiting : leaves without a place.
    """

    newest: dict[str, dict[str, Leaf]] = field(default_factory=dict)
    leaf_hashes: dict[int, tuple[bytes, str, str]] = field(default_factory=dict)
    waiting: int = 0
    findings: list[Finding] = field(default_factory=list)


def history_of(leaves: Iterable[Leaf]) -> History:
    """Read leaves in the order of the log: every row's changes are counted without gaps, and old salts are gone."""
    history = History()
    for leaf in leaves:
        if leaf.log_index is None:
            history.waiting += 1
        else:
            history.leaf_hashes[leaf.log_index] = (leaf.hash(), leaf.table, leaf.key)
        of_table = history.newest.setdefault(leaf.table, {})
        before = of_table.get(leaf.key)
        history.findings += (Finding(leaf.table, leaf.key, what) for what in _against_its_predecessor(leaf, before))
        of_table[leaf.key] = leaf
    return history


def check_rows(table: str, rows: Iterable[tuple[str, bytes]], history: History) -> Iterator[Finding]:
    """Hold the rows of a table, as key and canonical values, to their newest leaves."""
    newest = dict(history.newest.get(table, {}))
    for key, values in rows:
        leaf = newest.pop(key, None)
        if leaf is None:
            yield Finding(table, key, "a row without a leaf")
        elif leaf.kind == "delete":
            yield Finding(table, key, f"a row that leaf {leaf.sequence} says was deleted")
        elif not leaf.opens_to(values):
            yield Finding(table, key, f"the row is not what leaf {leaf.sequence} commits to")
    for key, leaf in newest.items():
        if leaf.kind != "delete":
            yield Finding(table, key, f"the row of leaf {leaf.sequence} is gone")


def check_tables(tables: Iterable[str], history: History) -> Iterator[Finding]:
    """Leaves that speak of tables whose rows nobody witnesses."""
    for table in sorted(set(history.newest) - set(tables)):
        for key, leaf in history.newest[table].items():
            yield Finding(table, key, f"leaf {leaf.sequence} is of no witnessed table")


def levels_of(nodes: Iterable[Node]) -> Levels:
    """Stored nodes by level."""
    levels: Levels = {}
    for node in nodes:
        levels.setdefault(node.level, {})[node.place] = node.hash
    return levels


def signed_size(heads: Iterable[KeptHead]) -> int:
    """How many leaves the market has signed for at most; a head without a valid signature says nothing."""
    signed = (each.head for each in heads if each.head is not None and signature_holds(each.head))
    return max((head.size for head in signed), default=0)


def check_tree(levels: Levels, history: History, *, size: int) -> Iterator[Finding]:
    """Hold the nodes of a tree of `size` leaves to the leaves and to each other."""
    for first, last in _gaps(history.leaf_hashes, size):
        yield Finding("audit_leaf", f"[log_index {_span(first, last)}]", "missing")
    stored = levels.get(0, {})
    for index, (expected, table, key) in history.leaf_hashes.items():
        if index not in range(size):
            yield Finding(table, key, f"its leaf stands at {index}, behind the end of the log")
        elif stored.get(index, expected) != expected:
            yield Finding(table, key, f"its leaf is not what the tree has at {index}")
    for level in sorted({*levels, *range(size.bit_length())}):
        yield from _check_level(levels, level, count=0 if level < 0 else size >> min(level, 64))


def check_heads(heads: Iterable[KeptHead], levels: Levels, keys: list[SigningKey]) -> Iterator[Finding]:
    """Hold signed heads, in order, to the tree, to each other and to the keys."""
    number, size = 0, 0
    known = {each.public.hex() for each in keys}
    for kept in heads:
        number += 1
        if kept.number != number:
            yield Finding("audit_head", f"[{number}]", "the head is missing")
            number = kept.number
        defects = ["it cannot be read"] if kept.head is None else _head_defects(kept.head, levels, known)
        if kept.head is not None:
            if kept.head.size <= size:
                defects = [*defects, f"it has {kept.head.size} leaves, the one before {size}"]
            size = kept.head.size
        yield from (Finding("audit_head", f"[{kept.number}]", what) for what in defects)


def check_keys(keys: list[SigningKey]) -> Iterator[Finding]:
    """Hold public keys to their private ones, where these are there."""
    for key in keys:
        if key.private and (len(key.private) != 32 or SigningKey.of(key.private) != key):
            yield Finding("audit_key", f"[{key.public.hex()}]", "public and private key do not belong together")


def check_size(said: int | None, size: int) -> Iterator[Finding]:
    """Hold what the log says of its size to its newest head."""
    if said != size:
        yield Finding("audit_log", "[1]", f"its size is {said}, that of the newest head {size}")


def check_saved(saved: TreeHead, levels: Levels, keys: list[SigningKey]) -> Iterator[Finding]:
    """Hold the log to a head that somebody kept elsewhere."""
    for what in _head_defects(saved, levels, {each.public.hex() for each in keys}):
        yield Finding("saved head", f"[{saved.number}]", what)


def _head_defects(head: TreeHead, levels: Levels, known: set[str]) -> list[str]:
    defects = []
    if head.key not in known:
        defects.append("it is signed with a key that this market does not have")
    if not signature_holds(head):
        defects.append("its signature does not hold")
    try:
        root = Frontier(head.size, lambda level, place: levels[level][place]).root()
    except LookupError:
        return [*defects, f"the log does not reach to its {head.size} leaves"]
    return defects if root.hex() == head.root else [*defects, f"the log's first {head.size} leaves have another root"]


def _against_its_predecessor(leaf: Leaf, before: Leaf | None) -> Iterator[str]:
    if leaf.change != (1 if before is None else before.change + 1):
        yield f"leaf {leaf.sequence} is change {leaf.change}, and the one before is missing"
    if leaf.kind == "delete" and not leaf.opens_to(NOTHING):
        yield f"leaf {leaf.sequence} does not commit to a deleted row"
    if before is not None and before.kind != "delete" and before.salt is not None:
        yield f"leaf {before.sequence} has a salt although the row has changed since"
    stood = before is not None and before.kind != "delete"
    if leaf.kind not in (("update", "delete") if stood else ("insert",)):
        yield f"leaf {leaf.sequence} ({leaf.kind}) does not follow on {'nothing' if before is None else before.kind}"


def _check_level(levels: Levels, level: int, *, count: int) -> Iterator[Finding]:
    stored, below = levels.get(level, {}), levels.get(level - 1, {})
    for first, last in _gaps(stored, count):
        yield Finding("audit_node", f"[{level},{_span(first, last)}]", "missing")
    for place, stands in stored.items():
        left, right = below.get(2 * place), below.get(2 * place + 1)
        if place not in range(count):
            yield Finding("audit_node", f"[{level},{place}]", "the node is behind the end of the log")
        elif left is not None and right is not None and node_hash(left, right) != stands:
            yield Finding("audit_node", f"[{level},{place}]", "the node is not the hash of the two below it")


def _gaps(present: Iterable[int], count: int) -> Iterator[tuple[int, int]]:
    """First and last of every run of numbers from 0 to count - 1 that are not present."""
    expected = 0
    for number in sorted(each for each in present if 0 <= each < count):
        if number > expected:
            yield expected, number - 1
        expected = number + 1
    if expected < count:
        yield expected, count - 1


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"
