"""The audit log: built outside of requests, shown as far as it may be, proved and verified."""

from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final, Literal, TypeAlias

from sqlalchemy import Engine

from api_spec.audit import ConsistencyProof, InclusionProof, LoggedChange, TreeHead
from api_spec.organisation import Organisation
from market.audit.heads import signed_head
from market.audit.tree import Frontier, consistency_path, inclusion_path
from market.audit.verification import (
    Finding,
    check_heads,
    check_keys,
    check_rows,
    check_saved,
    check_size,
    check_tables,
    check_tree,
    history_of,
    levels_of,
    signed_size,
)
from market.errors import NotFound, NotYetInLog
from market.store import UnitOfWork
from market.store.audit import WitnessedRow
from market.store.evidence import evidence

LOT: Final = 1000
"""Leaves that are built in at once; requests on SQLite wait for about a twentieth of a second meanwhile."""
Provable: TypeAlias = Literal["offer", "award", "statement"]


@dataclass(frozen=True)
class Verification:
    """What verifying found.

    rows : witnessed. leaves : in the tree; waiting : not built in yet. erased : rows of which only leaves stay.
    """

    rows: int
    leaves: int
    waiting: int
    erased: int
    heads: int
    findings: tuple[Finding, ...]


def build_log(*, now: datetime, engine: Engine, most: int = LOT) -> TreeHead | None:
    """Take up to `most` new leaves into the tree and sign its head; None where there were no new ones.

    Whoever builds holds the log's lock, so there is one at a time. Interrupted, nothing of it is there, and the leaves
    are still waiting.
    """
    with UnitOfWork(engine) as work:
        size = work.audit.lock()
        leaves = work.audit.pending(most)
        if not leaves:
            return None
        tree, before = Frontier(size, work.audit.node), work.audit.newest_head()

        nodes = tree.extend(leaf.hash() for leaf in leaves)
        number, key = 1 if before is None else before.number + 1, work.audit.signing_key()
        head = signed_head(number=number, size=tree.size, root=tree.root(), at=now, key=key)

        work.audit.build_in(leaves, nodes, first_index=size)
        work.audit.add_head(head)
        work.commit()
    return head


def newest_head(*, who: Organisation, work: UnitOfWork) -> TreeHead:
    """The newest head that the reader may see; NotFound."""
    head = work.audit.newest_head(within=_shown(who, work))
    if head is None:
        raise NotFound("tree head", "newest")
    return head


def heads(*, who: Organisation, work: UnitOfWork, after: int, limit: int) -> list[TreeHead]:
    """Heads that the reader may see, oldest first, after a number."""
    return work.audit.heads(after=after, limit=limit, within=_shown(who, work))


def consistency(first: int, second: int, *, who: Organisation, work: UnitOfWork) -> ConsistencyProof:
    """That the log of `first` leaves grew to that of `second`; NotFound for sizes that the reader knows no head of."""
    if not first <= second <= newest_head(who=who, work=work).size:
        raise NotFound("consistency proof", f"{first} to {second}")
    path = consistency_path(first, second, work.audit.node)
    return ConsistencyProof(first=first, second=second, path=tuple(each.hex() for each in path))


def inclusion(
    kind: Provable, *, auction: str, offer: str | None, who: Organisation, work: UnitOfWork
) -> InclusionProof:
    """That one's own offer, award or statement is in the log, as it stands; an operator is shown all offers and awards.

    Raises NotFound, also for somebody else's, and NotYetInLog until a head that the reader may see reaches it.
    """
    row, head = _row(kind, auction, offer, who, work), work.audit.newest_head(within=_shown(who, work))
    index = row.leaf.log_index
    if head is None or index is None or index >= head.size:
        raise NotYetInLog(kind, offer or auction)

    path = inclusion_path(index, head.size, work.audit.node)
    leaf = row.leaf
    return InclusionProof(
        index=index,
        leaf=LoggedChange.model_validate(
            {
                "sequence": leaf.sequence,
                "table": leaf.table,
                "key": leaf.key,
                "change": leaf.change,
                "kind": leaf.kind,
                "commitment": leaf.commitment.hex(),
            }
        ),
        salt=(leaf.salt or b"").hex(),
        values=row.values.decode(),
        path=tuple(each.hex() for each in path),
        head=head,
    )


def last_head(*, engine: Engine) -> TreeHead | None:
    """The newest head there is, for whoever runs the market."""
    with UnitOfWork(engine, reading=True) as work:
        return work.audit.newest_head()


def erase_row(table: str, key: str, *, engine: Engine) -> None:
    """Erase a person's row; the log holds on. Raises NotFound and CannotBeErased."""
    with UnitOfWork(engine) as work:
        work.audit.erase(table, key)
        work.commit()


def verify_log(*, engine: Engine, saved: TreeHead | None = None) -> Verification:
    """Recompute everything from the database; saved : a head kept outside, which a rewritten database does not have."""
    with evidence(engine) as found:
        history, levels, tables = history_of(found.leaves()), levels_of(found.nodes()), found.tables()
        kept, keys, said = list(found.heads()), found.keys(), found.size()

        size = signed_size(kept)
        findings = [
            *history.findings,
            *chain.from_iterable(check_rows(table, found.rows(table), history) for table in tables),
            *check_tables(tables, history),
            *check_tree(levels, history, size=size),
            *check_heads(kept, levels, keys),
            *check_keys(keys),
            *check_size(said, size),
        ]
        if saved is not None:
            findings += check_saved(saved, levels, keys)
    newest = [leaf for of_table in history.newest.values() for leaf in of_table.values()]
    erased = sum(leaf.kind == "delete" for leaf in newest)
    return Verification(
        rows=len(newest) - erased,
        leaves=len(history.leaf_hashes),
        waiting=history.waiting,
        erased=erased,
        heads=len(kept),
        findings=tuple(findings),
    )


def _shown(who: Organisation, work: UnitOfWork) -> int | None:
    """How long a log the reader may see; None = all of it.

    The number of leaves tells how many offers came in. Until an auction is published nobody but an operator may learn
    anything of others' offers, so the log is shown up to where the oldest unpublished auction begins.
    """
    return None if who.role == "operator" else work.audit.size_before_unpublished()


def _row(kind: Provable, auction: str, offer: str | None, who: Organisation, work: UnitOfWork) -> WitnessedRow:
    participant = None if who.role == "operator" else who.id
    if kind == "statement":
        return work.audit.statement(auction, participant=who.id)
    if offer is None:
        raise NotFound(kind, "")
    ask = work.audit.offer if kind == "offer" else work.audit.award
    return ask(auction, offer, participant=participant)
