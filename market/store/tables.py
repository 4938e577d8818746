"""Tables, private to the store: documents of the contract as JSON text, beside the columns that are asked for."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Column, MetaData, Text, UniqueConstraint
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
metadata = MetaData(naming_convention=NAMING)


class _Table(SQLModel):
    metadata = metadata


class OrganisationRow(_Table, table=True):
    """An organisation; a suspended one stays on record, and none of its clients is let in."""

    __tablename__ = "organisation"
    id: str = Field(primary_key=True)
    name: str
    role: str = Field(index=True)
    created_at: datetime = Field(sa_type=UtcTime)
    suspended_at: datetime | None = Field(default=None, sa_type=UtcTime)


class ClientRow(_Table, table=True):
    """An API client and the hash of its secret. scopes : separated by spaces; absent = all that the role may."""

    __tablename__ = "client"
    __table_args__ = _STRICT
    id: str = Field(sa_type=Text, primary_key=True)
    organisation: str = Field(sa_type=Text, foreign_key="organisation.id", index=True)
    name: str = Field(sa_type=Text)
    secret_hash: str = Field(sa_type=Text)
    scopes: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcTime)


class SigningKeyRow(_Table, table=True):
    """A key that access tokens are signed with; the one of the highest number signs.

    The number is the primary key so that, of two workers that make the next key at once, one fails.
    """

    __tablename__ = "signing_key"
    __table_args__ = _STRICT
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kid: str = Field(sa_type=Text, unique=True)
    private_jwk: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UtcTime)
    retires_at: datetime | None = Field(default=None, sa_type=UtcTime)


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
