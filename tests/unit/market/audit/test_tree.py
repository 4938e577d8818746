"""The tree and its proofs against RFC 9162, by its published vectors and by its definition written out."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_spec.merkle import consistency_holds, inclusion_holds, leaf_hash
from market.audit.tree import Frontier, Lookup, consistency_path, inclusion_path

# The test data of the certificate-transparency project, in hexadecimal, and the roots over the first 0 to 8 of them.
ENTRIES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def by_definition(entries: list[bytes]) -> bytes:
    """MTH of section 2.1.1, word by word."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = max(2**e for e in range(20) if 2**e < len(entries))
    return hashlib.sha256(b"\x01" + by_definition(entries[:k]) + by_definition(entries[k:])).digest()


def made_up(size: int) -> list[bytes]:
    return [b"entry %d" % each for each in range(size)]


def grown(entries: list[bytes]) -> tuple[Frontier, Lookup]:
    tree = Frontier()
    nodes = {(each.level, each.place): each.hash for each in tree.extend(map(leaf_hash, entries))}
    return tree, lambda level, place: nodes[level, place]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_that_are_published(size: int) -> None:
    assert grown(ENTRIES[:size])[0].root().hex() == ROOTS[size]
    assert by_definition(ENTRIES[:size]).hex() == ROOTS[size]


def test_published_inclusion_path() -> None:
    """Leaf 0 of 8: leaf 1, the node over 2 and 3, the node over 4 to 7."""
    path = inclusion_path(0, 8, grown(ENTRIES)[1])
    assert path == [leaf_hash(ENTRIES[1]), by_definition(ENTRIES[2:4]), by_definition(ENTRIES[4:8])]
    assert [each.hex()[:8] for each in path] == ["96a296d2", "5f083f0a", "6b47aaf2"]


def test_paths_of_the_rfcs_own_example() -> None:
    """The tree of seven leaves of RFC 9162 section 2.1.5, with its names of nodes."""
    entries = made_up(7)
    _, node = grown(entries)
    _, b, c, d, _, f, j = map(leaf_hash, entries)
    g, h, i = (by_definition(entries[at : at + 2]) for at in (0, 2, 4))
    k, ell = by_definition(entries[:4]), by_definition(entries[4:7])
    assert inclusion_path(0, 7, node) == [b, h, ell]
    assert inclusion_path(3, 7, node) == [c, g, ell]
    assert inclusion_path(4, 7, node) == [f, j, k]
    assert inclusion_path(6, 7, node) == [i, k]
    assert consistency_path(3, 7, node) == [c, d, g, ell]
    assert consistency_path(4, 7, node) == [ell]
    assert consistency_path(6, 7, node) == [i, j, k]


@pytest.mark.parametrize("size", range(1, 34))
def test_every_leaf_of_every_small_tree_has_a_path_that_holds_and_fits_nowhere_else(size: int) -> None:
    entries = made_up(size)
    tree, node = grown(entries)
    for index in range(size):
        path = inclusion_path(index, size, node)
        holds = [
            inclusion_holds(leaf_hash(entries[index]), index=other, size=size, path=path, root=tree.root())
            for other in range(size)
        ]
        assert holds == [other == index for other in range(size)]


@pytest.mark.parametrize("second", range(34))
def test_every_small_tree_began_as_each_smaller_one(second: int) -> None:
    entries = made_up(second)
    _, node = grown(entries)
    new = by_definition(entries)
    for first in range(second + 1):
        old, path = by_definition(entries[:first]), consistency_path(first, second, node)
        assert consistency_holds(first=first, second=second, first_root=old, second_root=new, path=path)
        forged = by_definition([b"forged", *entries[1:first]])
        assert not consistency_holds(first=first, second=second, first_root=forged, second_root=new, path=path)


@given(size=st.integers(1, 600), more=st.integers(0, 600), share=st.floats(0, 0.999))
def test_a_tree_that_is_taken_up_from_its_nodes_grows_to_the_same_root(size: int, more: int, share: float) -> None:
    entries = made_up(size + more)
    whole, node = grown(entries)
    taken_up = Frontier(size, node)
    assert taken_up.root() == by_definition(entries[:size])

    taken_up.extend(map(leaf_hash, entries[size:]))

    assert taken_up.root() == whole.root() == by_definition(entries)
    index = int(share * (size + more))
    path = inclusion_path(index, size + more, node)
    assert len(path) <= (size + more).bit_length()
    leaf = leaf_hash(entries[index])
    assert inclusion_holds(leaf, index=index, size=size + more, path=path, root=whole.root())


@given(size=st.integers(2, 200), index=st.integers(0, 199), bit=st.integers(0, 10**6))
def test_no_flipped_bit_of_a_path_holds(size: int, index: int, bit: int) -> None:
    index %= size
    entries = made_up(size)
    tree, node = grown(entries)
    path = inclusion_path(index, size, node)
    forged = bytearray(b"".join(path))
    forged[bit // 8 % len(forged)] ^= 1 << bit % 8
    flipped = [bytes(forged[at : at + 32]) for at in range(0, len(forged), 32)]

    assert not inclusion_holds(leaf_hash(entries[index]), index=index, size=size, path=flipped, root=tree.root())
    longer = [*path, bytes(32)]
    assert not inclusion_holds(leaf_hash(entries[index]), index=index, size=size, path=longer, root=tree.root())
    assert not inclusion_holds(leaf_hash(entries[index]), index=index, size=size, path=path[:-1], root=tree.root())


@given(first=st.integers(1, 200), more=st.integers(1, 200), bit=st.integers(0, 10**6))
def test_no_flipped_bit_of_a_consistency_path_holds(first: int, more: int, bit: int) -> None:
    entries = made_up(first + more)
    _, node = grown(entries)
    path = consistency_path(first, first + more, node)
    forged = bytearray(b"".join(path))
    forged[bit // 8 % len(forged)] ^= 1 << bit % 8
    flipped = [bytes(forged[at : at + 32]) for at in range(0, len(forged), 32)]
    roots = {"first_root": by_definition(entries[:first]), "second_root": by_definition(entries)}

    assert not consistency_holds(first=first, second=first + more, path=flipped, **roots)
    assert not consistency_holds(first=first, second=first + more, path=[], **roots)


def test_what_is_outside_a_tree_has_no_path() -> None:
    _, node = grown(made_up(3))
    with pytest.raises(ValueError, match="a tree of 3 leaves has no leaf 3"):
        inclusion_path(3, 3, node)
    with pytest.raises(ValueError, match="a tree of 4 leaves does not grow to 3"):
        consistency_path(4, 3, node)
    assert not inclusion_holds(bytes(32), index=3, size=3, path=[], root=bytes(32))
