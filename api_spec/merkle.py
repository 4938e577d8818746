"""Merkle trees as RFC 9162 section 2.1 (and RFC 6962) defines them: hashes, and the verification of proofs.

Leaves and inner nodes are hashed in domains of their own (0x00, 0x01), so that neither passes for the other. Everything
here needs hashlib only: whoever keeps a tree head can hold the market to it.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""Root of a tree without leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def commitment(salt: bytes, text: bytes) -> bytes:
    """SHA-256(salt || text): binds to the text, and says nothing of it to those who do not have the salt."""
    return hashlib.sha256(salt + text).digest()


def inclusion_holds(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` shows that `leaf` is leaf number `index` of the tree of `size` leaves with this root.

    leaf : its hash. path : sister nodes from the leaf upward. Source: RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    place, last, reached = index, size - 1, leaf
    for sister in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            reached = node_hash(sister, reached)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            reached = node_hash(reached, sister)
        place, last = place >> 1, last >> 1
    return last == 0 and reached == root


def consistency_holds(*, first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` shows that the tree of `first` leaves is how the tree of `second` leaves began.

    Source: RFC 9162 section 2.1.4.2; every tree begins with the empty one and with itself, on an empty path.
    """
    if not 0 <= first <= second or (first == 0 and first_root != EMPTY_ROOT):
        return False
    if first in (0, second):
        return not path and (first == 0 or first_root == second_root)
    if not path:
        return False
    # Where the first tree is perfect, its root is a node of the second one and is not sent.
    nodes = [first_root, *path] if first & (first - 1) == 0 else list(path)
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = nodes[0]
    for sister in nodes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(sister, old), node_hash(sister, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sister)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root
