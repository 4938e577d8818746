"""A Merkle tree that grows at its right edge, and proofs from its stored nodes (RFC 9162 section 2.1).

Only perfect subtrees are stored. A node never changes once it is there, an append adds two on average, and every root
and proof takes O(log size) of them.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from api_spec.merkle import EMPTY_ROOT, node_hash


class Node(NamedTuple):
    """Root of the perfect subtree over leaves place * 2**level to (place + 1) * 2**level; level 0 is a leaf's hash."""

    level: int
    place: int
    hash: bytes


Lookup: TypeAlias = Callable[[int, int], bytes]
"""Hash of the stored node (level, place)."""


class Frontier:
    """The right edge of a growing tree: the perfect subtrees that its size is the sum of, the largest first."""

    def __init__(self, size: int = 0, node: Lookup | None = None) -> None:
        """The edge of a tree of `size` leaves, from its stored nodes; without any for an empty tree."""
        self.size = size
        self._edge: list[Node] = []
        for level, place in _edge_of(size):
            assert node is not None, "the edge of a tree with leaves is made of its nodes"
            self._edge.append(Node(level, place, node(level, place)))

    def append(self, leaf: bytes) -> list[Node]:
        """Add a leaf by its hash; returns the nodes that this completes, the leaf's own first."""
        node = Node(0, self.size, leaf)
        completed = [node]
        while self._edge and self._edge[-1].level == node.level:
            left = self._edge.pop()
            node = Node(node.level + 1, node.place // 2, node_hash(left.hash, node.hash))
            completed.append(node)
        self._edge.append(node)
        self.size += 1
        return completed

    def extend(self, leaves: Iterable[bytes]) -> list[Node]:
        """Add leaves in their order; returns all nodes that this completes."""
        return [node for leaf in leaves for node in self.append(leaf)]

    def root(self) -> bytes:
        """The tree's root."""
        if not self._edge:
            return EMPTY_ROOT
        *larger, smallest = self._edge
        reached = smallest.hash
        for each in reversed(larger):
            reached = node_hash(each.hash, reached)
        return reached


def inclusion_path(index: int, size: int, node: Lookup) -> list[bytes]:
    """Sister nodes of leaf `index` in the tree of `size` leaves, from the leaf upward (section 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_root(middle, end, node))
            end = middle
        else:
            path.append(_root(start, middle, node))
            start = middle
    return path[::-1]


def consistency_path(first: int, second: int, node: Lookup) -> list[bytes]:
    """Nodes that show how the tree of `first` leaves grew to that of `second` (section 2.1.4.1)."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {first} leaves does not grow to {second}")
    if first in (0, second):
        return []
    path: list[bytes] = []
    start, end = 0, second
    # Down to the subtree that ends where the first tree does.
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            path.append(_root(middle, end, node))
            end = middle
        else:
            path.append(_root(start, middle, node))
            start = middle
    if start > 0:
        path.append(_root(start, end, node))
    return path[::-1]


def _root(start: int, end: int, node: Lookup) -> bytes:
    """Root over leaves start to end, a subtree as splitting makes them: perfect ones are stored."""
    size = end - start
    level = size.bit_length() - 1
    if size == 1 << level:
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(_root(start, middle, node), _root(middle, end, node))


def _split(size: int) -> int:
    """The largest power of two below a size of two or more."""
    return int(1 << (size - 1).bit_length() - 1)


def _edge_of(size: int) -> list[tuple[int, int]]:
    levels = [level for level in range(size.bit_length()) if size >> level & 1]
    return [(level, (size >> level) - 1) for level in reversed(levels)]
