"""The audit log: leaves that wait for their place, the tree's nodes, signed heads, and leaves of single rows."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table, bindparam, func, insert, update
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlmodel import Session, SQLModel, col, select

from api_spec.audit import TreeHead
from market.audit.heads import SigningKey
from market.audit.leaves import Leaf, canonical_key
from market.audit.tree import Node
from market.errors import CannotBeErased, NotFound
from market.store.sealing import LOST
from market.store.tables import (
    AuctionRow,
    AuditHeadRow,
    AuditKeyRow,
    AuditLeafRow,
    AuditLogRow,
    AuditNodeRow,
    AwardRow,
    BaselineRow,
    ClientRow,
    MeterReadingRow,
    OfferRow,
    OrganisationRow,
    ReadingRow,
    StatementRow,
    metadata,
)
from market.store.vault import vault_of
from market.store.witness import witnessed_key, witnessed_values

_LEAF: Final[Table] = metadata.tables["audit_leaf"]
_NODE: Final[Table] = metadata.tables["audit_node"]
ERASABLE: Final[dict[str, type[SQLModel]]] = {
    "baseline": BaselineRow,
    "client": ClientRow,
    "meter_reading": MeterReadingRow,
    "organisation": OrganisationRow,
    "reading": ReadingRow,
}
"""What may tell of a person: a name, what was to be drawn, what was drawn. Orders, results and money stay on record."""
_UNPUBLISHED: Final = ("open", "closed", "clearing")


@dataclass(frozen=True)
class WitnessedRow:
    """A row as it stands, in canonical form, with its newest leaf."""

    values: bytes
    leaf: Leaf


class AuditLog:
    """The log, in one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session, self._vault = session, vault_of(session.get_bind())

    # building

    def lock(self) -> int:
        """Be the only one who builds, until the transaction ends; returns the number of leaves in the tree."""
        row = self._session.exec(select(AuditLogRow).with_for_update()).one()
        return row.size

    def pending(self, most: int) -> list[Leaf]:
        """Committed leaves that have no place in the tree yet, in the order they came.

        A leaf whose transaction commits late is not there yet and is found the next time: it is never skipped, since
        what is pending is known by its missing place and not by its number.
        """
        query = _LEAF.select().where(_LEAF.c.log_index.is_(None))
        return [Leaf(*row) for row in self._session.connection().execute(query.order_by(_LEAF.c.sequence).limit(most))]

    def build_in(self, leaves: Sequence[Leaf], nodes: Iterable[Node], *, first_index: int) -> None:
        """Give leaves their places from `first_index` on, and keep the nodes that they complete."""
        places = [{"of": leaf.sequence, "place": first_index + at} for at, leaf in enumerate(leaves)]
        connection = self._session.connection()
        given = update(_LEAF).where(_LEAF.c.sequence == bindparam("of")).values(log_index=bindparam("place"))
        connection.execute(given, places)
        connection.execute(
            insert(_NODE), [{"level": each.level, "place": each.place, "hash": each.hash} for each in nodes]
        )
        self._session.exec(select(AuditLogRow)).one().size = first_index + len(leaves)

    def node(self, level: int, place: int) -> bytes:
        """Hash of a node of the tree."""
        query = select(AuditNodeRow.hash).where(AuditNodeRow.level == level, AuditNodeRow.place == place)
        return self._session.exec(query).one()

    # heads

    def signing_key(self) -> SigningKey:
        """The key that heads are signed with; made the first time it is asked for, under the lock."""
        # One that was lost stays on record for the heads that it signed.
        row = self._session.exec(select(AuditKeyRow).where(col(AuditKeyRow.private) != LOST)).first()
        if row is not None:
            return SigningKey(row.public, self._vault.open(row.private))
        key = SigningKey.new()
        self._session.add(AuditKeyRow(public=key.public, private=self._vault.seal(key.private)))
        return key

    def add_head(self, head: TreeHead) -> None:
        """Keep a signed head."""
        self._session.add(
            AuditHeadRow(
                number=head.number,
                size=head.size,
                root=bytes.fromhex(head.root),
                at=head.at,
                key=bytes.fromhex(head.key),
                signature=bytes.fromhex(head.signature),
            )
        )

    def newest_head(self, *, within: int | None = None) -> TreeHead | None:
        """The newest head; within : of at most so many leaves."""
        query = select(AuditHeadRow).order_by(col(AuditHeadRow.number).desc())
        if within is not None:
            query = query.where(col(AuditHeadRow.size) <= within)
        row = self._session.exec(query).first()
        return None if row is None else _head(row)

    def heads(self, *, after: int, limit: int, within: int | None = None) -> list[TreeHead]:
        """Heads after a number, oldest first; within : of at most so many leaves."""
        query = select(AuditHeadRow).where(col(AuditHeadRow.number) > after)
        if within is not None:
            query = query.where(col(AuditHeadRow.size) <= within)
        return [_head(row) for row in self._session.exec(query.order_by(col(AuditHeadRow.number)).limit(limit))]

    def size_before_unpublished(self) -> int | None:
        """How many leaves came before every auction that is not published yet; None where there is no such auction."""
        open_ones = self._session.exec(select(AuctionRow.sequence).where(col(AuctionRow.state).in_(_UNPUBLISHED)))
        keys = [canonical_key([sequence]) for sequence in open_ones]
        query = select(func.min(AuditLeafRow.log_index)).where(
            AuditLeafRow.table_name == "auction", col(AuditLeafRow.row_key).in_(keys), AuditLeafRow.change == 1
        )
        return self._session.exec(query).one()

    # erasure

    def erase(self, table: str, key: str) -> None:
        """Delete a person's row, and with it the salts of its leaves: nobody can confirm any more what stood there.

        The log still holds, and the deletion is a leaf of its own. key : a JSON array, as verification prints it.
        Raises NotFound, and CannotBeErased for what has to stay.
        """
        if table not in ERASABLE:
            raise CannotBeErased(table, key, f"only rows of {', '.join(sorted(ERASABLE))} are a person's")
        try:
            row = self._session.get(ERASABLE[table], tuple(json.loads(key)))
        except (ValueError, TypeError, InvalidRequestError) as failure:
            raise NotFound(table, key) from failure
        if row is None:
            raise NotFound(table, key)
        try:
            self._session.delete(row)
            self._session.flush()
        except IntegrityError as failure:
            raise CannotBeErased(table, key, "other rows refer to it") from failure

    # leaves of single rows

    def offer(self, auction: str, offer: str, *, participant: str | None) -> WitnessedRow:
        """The newest version of an offer; NotFound, also where it is not the participant's (None: anybody's)."""
        query = select(OfferRow).where(OfferRow.auction == auction, OfferRow.id == offer)
        row = self._session.exec(query.order_by(col(OfferRow.version).desc())).first()
        return self._own(row, None if row is None else row.participant, participant, "offer", offer)

    def award(self, auction: str, offer: str, *, participant: str | None) -> WitnessedRow:
        """An offer's newest award; NotFound, also where it is not the participant's (None: anybody's)."""
        query = select(AwardRow).where(AwardRow.auction == auction, AwardRow.offer == offer)
        row = self._session.exec(query.order_by(col(AwardRow.version).desc())).first()
        return self._own(row, None if row is None else row.participant, participant, "award", offer)

    def statement(self, auction: str, *, participant: str) -> WitnessedRow:
        """A participant's newest statement; NotFound."""
        query = select(StatementRow).where(StatementRow.auction == auction, StatementRow.participant == participant)
        row = self._session.exec(query.order_by(col(StatementRow.version).desc())).first()
        return self._own(row, participant, participant, "statement", auction)

    def _own(
        self, row: SQLModel | None, owner: str | None, participant: str | None, kind: str, name: str
    ) -> WitnessedRow:
        if row is None or participant not in (None, owner):
            raise NotFound(kind, name)
        query = select(AuditLeafRow).where(
            AuditLeafRow.table_name == row.__tablename__, AuditLeafRow.row_key == witnessed_key(row)
        )
        leaf = self._session.exec(query.order_by(col(AuditLeafRow.change).desc())).first()
        if leaf is None:
            raise NotFound("leaf", name)
        return WitnessedRow(witnessed_values(row, self._session.get_bind().dialect), _leaf(leaf))


def _leaf(row: AuditLeafRow) -> Leaf:
    return Leaf(
        sequence=row.sequence or 0,
        table=row.table_name,
        key=row.row_key,
        change=row.change,
        kind=row.kind,
        salt=row.salt,
        commitment=row.commitment,
        log_index=row.log_index,
    )


def _head(row: AuditHeadRow) -> TreeHead:
    return TreeHead(
        number=row.number,
        size=row.size,
        root=row.root.hex(),
        at=row.at,
        key=row.key.hex(),
        signature=row.signature.hex(),
    )
