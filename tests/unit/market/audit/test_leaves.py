"""What leaves commit to, how heads are signed, and what verification says of a log that is made up by hand."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_spec.audit import TreeHead
from market.audit.heads import SigningKey, signature_holds, signed_head
from market.audit.leaves import NOTHING, Leaf, canonical_key, canonical_values
from market.audit.tree import Frontier, Node
from market.audit.verification import Finding, History, check_tree, history_of, levels_of

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
KEY = SigningKey.of(bytes(range(32)))


def leaf(index: int, *, change: int = 1, kind: str = "insert", salt: bytes | None = b"s") -> Leaf:
    values = NOTHING if kind == "delete" else b'{"a":1}'
    committed = hashlib.sha256(b"s" + values).digest()
    return Leaf(index + 1, "offer", "[7]", change, kind, salt, committed, index)


def test_the_canonical_form_is_the_same_from_every_database() -> None:
    """SQLite gives text and whole numbers where PostgreSQL gives times and truth values; NULLs are left out."""
    copenhagen = timezone(timedelta(hours=1))
    values = canonical_values({"b": True, "a": NOON.astimezone(copenhagen), "c": None, "d": "æ", "e": b"\1\2"})
    assert values == b'{"a":"2026-01-14T12:00:00.000000+00:00","b":1,"d":"\\u00e6","e":["0102"]}'
    assert values == canonical_values({"a": NOON.isoformat(timespec="microseconds"), "b": 1, "d": "æ", "e": b"\1\2"})
    assert canonical_key(["auc_1", 7]) == '["auc_1",7]'
    with pytest.raises(TypeError, match="no canonical form for object"):
        canonical_values({"a": object()})  # type: ignore[dict-item]


def test_a_leaf_is_hashed_as_it_is_documented() -> None:
    entry = b'["flexmarket-leaf/1",1,"offer","[7]",1,"insert","' + leaf(0).commitment.hex().encode() + b'"]'
    assert leaf(0).hash() == hashlib.sha256(b"\x00" + entry).digest()
    assert leaf(0).opens_to(b'{"a":1}') and not leaf(0).opens_to(b'{"a":2}')
    assert not leaf(0, salt=None).opens_to(b'{"a":1}')


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (leaf(1, change=3, kind="update"), "leaf 2 is change 3, and the one before is missing"),
        (leaf(1, change=2, kind="insert"), "leaf 2 (insert) does not follow on insert"),
    ],
)
def test_changes_of_a_row_follow_on_each_other(second: Leaf, what: str) -> None:
    assert [each.what for each in history_of([leaf(0, salt=None), second]).findings] == [what]


def test_an_old_salt_has_to_be_gone() -> None:
    (finding,) = history_of([leaf(0), leaf(1, change=2, kind="delete")]).findings
    assert str(finding) == "offer [7]: leaf 1 has a salt although the row has changed since"
    assert history_of([leaf(0, salt=None), leaf(1, change=2, kind="delete")]).findings == []


def test_numbers_that_grew_beyond_all_measure_are_reported_in_a_line() -> None:
    """A flipped bit can say that the log has 2**60 leaves, or put a node on level 2**40."""
    assert [str(each) for each in check_tree({}, History(), size=2**60)][:2] == [
        f"audit_leaf [log_index 0 to {2**60 - 1}]: missing",
        f"audit_node [0,0 to {2**60 - 1}]: missing",
    ]
    far = levels_of([*Frontier().append(leaf(0).hash()), Node(2**40, 5, bytes(32))])
    (finding,) = check_tree(far, history_of([leaf(0)]), size=1)
    assert str(finding) == f"audit_node [{2**40},5]: the node is behind the end of the log"


def test_a_head_is_signed_over_a_text_that_anybody_can_write_down() -> None:
    head = signed_head(number=2, size=5, root=bytes(32), at=NOON, key=KEY)
    assert head.signed_text() == (b'["flexmarket-head/1",2,5,"' + b"00" * 32 + b'","2026-01-14T12:00:00.000000+00:00"]')
    assert signature_holds(head)
    assert TreeHead.model_validate_json(head.model_dump_json()) == head


@given(bit=st.integers(0, 511), more=st.integers(1, 10**6))
def test_no_changed_head_keeps_its_signature(bit: int, more: int) -> None:
    head = signed_head(number=2, size=5, root=bytes(32), at=NOON, key=KEY)
    signature = (int(head.signature, 16) ^ 1 << bit).to_bytes(64).hex()
    for change in (
        {"signature": signature},
        {"size": 5 + more},
        {"number": 2 + more},
        {"at": NOON + timedelta(microseconds=more)},
        {"root": hashlib.sha256(str(more).encode()).hexdigest()},
        {"key": SigningKey.new().public.hex()},
    ):
        assert not signature_holds(head.model_copy(update=change))


def test_a_finding_is_a_line_whatever_a_flipped_bit_made_of_a_name() -> None:
    assert str(Finding("of\x1b[2J\udcfffer", "[1]", "x")) == "of\\x1b[2J\\udcfffer [1]: x"
