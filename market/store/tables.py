"""Tables, private to the store: documents of the contract as JSON text, beside the columns that are asked for."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Column, Index, LargeBinary, MetaData, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from market.store.columns import Euro, UtcTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_STRICT = {"sqlite_strict": True}
"""For what money depends on: SQLite refuses a value of another type there instead of keeping it."""
PENDING, BUILT = "log_index IS NULL", "log_index IS NOT NULL"
metadata = MetaData(naming_convention=NAMING)


class _Table(SQLModel):
    metadata = metadata


class OrganisationRow(_Table, table=True):
    """An organisation and the hash of its secret."""

    __tablename__ = "organisation"
    id: str = Field(primary_key=True)
    name: str
    role: str = Field(index=True)
    client_id: str = Field(unique=True)
    secret_hash: str
    created_at: datetime = Field(sa_type=UtcTime)


class NetworkRow(_Table, table=True):
    """A registered network."""

    __tablename__ = "network"
    name: str = Field(primary_key=True)
    dso: str = Field(foreign_key="organisation.id", index=True)
    document: str = Field(sa_type=Text)
    registered_at: datetime = Field(sa_type=UtcTime)


class AuctionRow(_Table, table=True):
    """An auction; the document holds its terms, the columns its state."""

    __tablename__ = "auction"
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    dso: str = Field(foreign_key="organisation.id", index=True)
    network: str = Field(foreign_key="network.name")
    state: str = Field(index=True)
    gate_closure: datetime = Field(sa_type=UtcTime)
    terms: str = Field(sa_type=Text)
    forecast: str | None = Field(default=None, sa_column=Column(Text))
    closed_at: datetime | None = Field(default=None, sa_type=UtcTime)
    published_at: datetime | None = Field(default=None, sa_type=UtcTime)
    settled_at: datetime | None = Field(default=None, sa_type=UtcTime)
    failure: str | None = None


class ClearingJobRow(_Table, table=True):
    """An auction that is still to be cleared, and the worker that has taken it, until when."""

    __tablename__ = "clearing_job"
    __table_args__ = _STRICT
    auction: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id")
    due_at: datetime = Field(sa_type=UtcTime, index=True)
    worker: str | None = Field(default=None, sa_type=Text)
    lease_until: datetime | None = Field(default=None, sa_type=UtcTime)


class RequestRow(_Table, table=True):
    """A request; withdrawn ones stay on record."""

    __tablename__ = "request"
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    auction: str = Field(foreign_key="auction.id", index=True)
    dso: str
    document: str = Field(sa_type=Text)
    withdrawn: bool = False
    received_at: datetime = Field(sa_type=UtcTime)


class OfferRow(_Table, table=True):
    """One version of an offer; the newest one counts, the older stay on record."""

    __tablename__ = "offer"
    __table_args__ = (UniqueConstraint("id", "version"),)
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(index=True)
    version: int
    auction: str = Field(foreign_key="auction.id", index=True)
    participant: str = Field(index=True)
    state: str
    document: str = Field(sa_type=Text)
    received_at: datetime = Field(sa_type=UtcTime)


class BaselineRow(_Table, table=True):
    """One version of a participant's nominated baseline; buses : the names of its buses alone, as JSON."""

    __tablename__ = "baseline"
    __table_args__ = (UniqueConstraint("auction", "participant", "version"),)
    sequence: int | None = Field(default=None, primary_key=True)
    auction: str = Field(foreign_key="auction.id")
    participant: str
    version: int
    buses: str = Field(sa_type=Text)
    document: str = Field(sa_type=Text)
    nominated_at: datetime = Field(sa_type=UtcTime)


class ResultRow(_Table, table=True):
    """What was cleared and what came of it: the canonical case, its hash, and the result."""

    __tablename__ = "result"
    __table_args__ = (UniqueConstraint("auction", "version"),)
    sequence: int | None = Field(default=None, primary_key=True)
    auction: str = Field(foreign_key="auction.id")
    version: int
    case_document: str = Field(sa_type=Text)
    input_sha256: str
    document: str = Field(sa_type=Text)
    published_at: datetime = Field(sa_type=UtcTime)


class AwardRow(_Table, table=True):
    """An award of a published result; it never changes."""

    __tablename__ = "award"
    __table_args__ = _STRICT
    auction: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id")
    offer: str = Field(sa_type=Text, primary_key=True)
    participant: str = Field(sa_type=Text, index=True)
    document: str = Field(sa_type=Text)


class ReadingRow(_Table, table=True):
    """One message of meter readings."""

    __tablename__ = "reading"
    __table_args__ = (UniqueConstraint("auction", "participant", "version"),)
    sequence: int | None = Field(default=None, primary_key=True)
    auction: str = Field(foreign_key="auction.id")
    participant: str
    version: int
    document: str = Field(sa_type=Text)
    received_at: datetime = Field(sa_type=UtcTime)


class StatementRow(_Table, table=True):
    """A participant's settled statement."""

    __tablename__ = "statement"
    __table_args__ = (UniqueConstraint("auction", "participant", "version"), _STRICT)
    sequence: int | None = Field(default=None, primary_key=True)
    auction: str = Field(sa_type=Text, foreign_key="auction.id")
    participant: str = Field(sa_type=Text)
    version: int
    document: str = Field(sa_type=Text)


class TransferRow(_Table, table=True):
    """An immutable ledger entry."""

    __tablename__ = "transfer"
    __table_args__ = _STRICT
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(sa_type=Text, unique=True)
    auction: str = Field(sa_type=Text, foreign_key="auction.id", index=True)
    stage: str = Field(sa_type=Text)
    debit: str = Field(sa_type=Text, index=True)
    credit: str = Field(sa_type=Text, index=True)
    amount_eur: Decimal = Field(sa_type=Euro)
    memo: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=UtcTime)


class AnswerRow(_Table, table=True):
    """The stored answer to a POST, by organisation and Idempotency-Key."""

    __tablename__ = "answer"
    organisation: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    operation: str
    body_sha256: str
    document: str = Field(sa_type=Text)


class AuditLeafRow(_Table, table=True):
    """One change of one row of another table (`market.audit.leaves`); log_index is absent until it is built in."""

    __tablename__ = "audit_leaf"
    __table_args__ = (
        UniqueConstraint("table_name", "row_key", "change"),
        # Partial, so that finding what is to be built in takes no longer as the log grows.
        Index("ix_audit_leaf_pending", "sequence", sqlite_where=text(PENDING), postgresql_where=text(PENDING)),
        Index("ix_audit_leaf_built", "log_index", unique=True, sqlite_where=text(BUILT), postgresql_where=text(BUILT)),
        _STRICT,
    )
    sequence: int | None = Field(default=None, primary_key=True)
    table_name: str = Field(sa_type=Text)
    row_key: str = Field(sa_type=Text)
    change: int
    kind: str = Field(sa_type=Text)
    salt: bytes | None = Field(default=None, sa_type=LargeBinary)
    commitment: bytes = Field(sa_type=LargeBinary)
    log_index: int | None = None


class AuditNodeRow(_Table, table=True):
    """A node of the tree over the leaves: a perfect subtree (`market.audit.tree`)."""

    __tablename__ = "audit_node"
    __table_args__ = {"sqlite_strict": True, "sqlite_with_rowid": False}
    level: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    place: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    hash: bytes = Field(sa_type=LargeBinary)


class AuditHeadRow(_Table, table=True):
    """A signed head of the tree."""

    __tablename__ = "audit_head"
    __table_args__ = _STRICT
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    size: int
    root: bytes = Field(sa_type=LargeBinary)
    at: datetime = Field(sa_type=UtcTime)
    key: bytes = Field(sa_type=LargeBinary)
    signature: bytes = Field(sa_type=LargeBinary)


class AuditKeyRow(_Table, table=True):
    """The key pair that heads are signed with."""

    __tablename__ = "audit_key"
    __table_args__ = _STRICT
    public: bytes = Field(sa_type=LargeBinary, primary_key=True)
    private: bytes = Field(sa_type=LargeBinary)


class AuditLogRow(_Table, table=True):
    """The one row that whoever builds the log locks: how many leaves are in the tree."""

    __tablename__ = "audit_log"
    __table_args__ = _STRICT
    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    size: int
