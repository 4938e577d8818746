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

    The number is the primary key so that, of two workers that make the next key at once, one fails. The
    private_jwk stands sealed.
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
    """An award of one version of a published result; it never changes."""

    __tablename__ = "award"
    __table_args__ = _STRICT
    auction: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id")
    offer: str = Field(sa_type=Text, primary_key=True)
    version: int = Field(primary_key=True)
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


class SettlementRow(_Table, table=True):
    """A DSO's statement, and how much stood on record when it was made: messages of readings, accepted disputes."""

    __tablename__ = "settlement"
    __table_args__ = (UniqueConstraint("auction", "version"), _STRICT)
    sequence: int | None = Field(default=None, primary_key=True)
    auction: str = Field(sa_type=Text, foreign_key="auction.id")
    version: int
    readings: int
    disputes: int
    document: str = Field(sa_type=Text)
    settled_at: datetime = Field(sa_type=UtcTime)


class StatementAcceptanceRow(_Table, table=True):
    """A participant's agreement with a version of its statement."""

    __tablename__ = "statement_acceptance"
    __table_args__ = _STRICT
    auction: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id")
    participant: str = Field(sa_type=Text, primary_key=True)
    version: int = Field(primary_key=True)
    accepted_at: datetime = Field(sa_type=UtcTime)


class DisputeRow(_Table, table=True):
    """A dispute; document and state change once, when it is decided."""

    __tablename__ = "dispute"
    __table_args__ = _STRICT
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(sa_type=Text, unique=True)
    auction: str = Field(sa_type=Text, foreign_key="auction.id", index=True)
    participant: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    document: str = Field(sa_type=Text)
    decided_at: datetime | None = Field(default=None, sa_type=UtcTime)


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


class ProductRow(_Table, table=True):
    """A registered product; it never changes."""

    __tablename__ = "product"
    __table_args__ = _STRICT
    name: str = Field(sa_type=Text, primary_key=True)
    owner: str = Field(sa_type=Text, foreign_key="organisation.id")
    document: str = Field(sa_type=Text)
    registered_at: datetime = Field(sa_type=UtcTime)


class ReferenceLoadRow(_Table, table=True):
    """What a network carries without the resources that ask to be admitted, as its DSO states it."""

    __tablename__ = "reference_load"
    __table_args__ = _STRICT
    network: str = Field(sa_type=Text, primary_key=True, foreign_key="network.name")
    document: str = Field(sa_type=Text)


class ResourceRow(_Table, table=True):
    """A resource as it stands; one that was removed stays on record without its connection."""

    __tablename__ = "resource"
    __table_args__ = (UniqueConstraint("participant", "connection"), _STRICT)
    id: str = Field(sa_type=Text, primary_key=True)
    participant: str = Field(sa_type=Text, foreign_key="organisation.id")
    network: str = Field(sa_type=Text, foreign_key="network.name", index=True)
    connection: str | None = Field(default=None, sa_type=Text)
    version: int
    document: str | None = Field(default=None, sa_type=Text)
    registered_at: datetime = Field(sa_type=UtcTime)


class PrequalificationRow(_Table, table=True):
    """An application of a resource for a product, in its present state."""

    __tablename__ = "prequalification"
    __table_args__ = _STRICT
    id: str = Field(sa_type=Text, primary_key=True)
    resource: str = Field(sa_type=Text, foreign_key="resource.id", index=True)
    participant: str = Field(sa_type=Text, index=True)
    network: str = Field(sa_type=Text, index=True)
    product: str = Field(sa_type=Text, foreign_key="product.name")
    state: str = Field(sa_type=Text)
    document: str = Field(sa_type=Text)


class ReservationRow(_Table, table=True):
    """An award of a reservation auction, by the time it holds for."""

    __tablename__ = "reservation"
    __table_args__ = _STRICT
    auction: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id")
    offer: str = Field(sa_type=Text, primary_key=True)
    participant: str = Field(sa_type=Text, index=True)
    network: str = Field(sa_type=Text, index=True)
    starts: datetime = Field(sa_type=UtcTime)
    ends: datetime = Field(sa_type=UtcTime)
    document: str = Field(sa_type=Text)


class ObligationRow(_Table, table=True):
    """How far a reservation was honoured in one activation auction."""

    __tablename__ = "obligation"
    __table_args__ = _STRICT
    activation: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id")
    reservation: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id", index=True)
    offer: str = Field(sa_type=Text, primary_key=True)
    participant: str = Field(sa_type=Text)
    document: str = Field(sa_type=Text)


class AvailabilityRow(_Table, table=True):
    """A participant's settled statement of a reservation auction."""

    __tablename__ = "availability"
    __table_args__ = _STRICT
    auction: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id")
    participant: str = Field(sa_type=Text, primary_key=True)
    version: int = Field(primary_key=True)
    document: str = Field(sa_type=Text)


class AcknowledgementRow(_Table, table=True):
    """What a participant answered to an award; there is one answer."""

    __tablename__ = "acknowledgement"
    __table_args__ = _STRICT
    auction: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id")
    offer: str = Field(sa_type=Text, primary_key=True)
    version: int = Field(primary_key=True)
    document: str = Field(sa_type=Text)


class AnswerRow(_Table, table=True):
    """The stored answer to a POST, by organisation and Idempotency-Key."""

    __tablename__ = "answer"
    organisation: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    operation: str
    body_sha256: str
    document: str = Field(sa_type=Text)


class CalendarRow(_Table, table=True):
    """One version of a network's clocks and holidays."""

    __tablename__ = "calendar"
    __table_args__ = (UniqueConstraint("network", "version"), _STRICT)
    sequence: int | None = Field(default=None, primary_key=True)
    network: str = Field(sa_type=Text, foreign_key="network.name")
    version: int
    document: str = Field(sa_type=Text)
    set_at: datetime = Field(sa_type=UtcTime)


class MeterReadingRow(_Table, table=True):
    """One message of meter history; a later version replaces what it repeats."""

    __tablename__ = "meter_reading"
    __table_args__ = (UniqueConstraint("participant", "network", "bus", "version"), _STRICT)
    sequence: int | None = Field(default=None, primary_key=True)
    participant: str = Field(sa_type=Text)
    network: str = Field(sa_type=Text, foreign_key="network.name", index=True)
    bus: str = Field(sa_type=Text)
    version: int
    start: datetime = Field(sa_type=UtcTime)
    until: datetime = Field(sa_type=UtcTime)
    document: str = Field(sa_type=Text)
    received_at: datetime = Field(sa_type=UtcTime)


class SettlementBaselineRow(_Table, table=True):
    """What a place is settled against; written once, at its first settlement."""

    __tablename__ = "settlement_baseline"
    __table_args__ = _STRICT
    auction: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id")
    participant: str = Field(sa_type=Text, primary_key=True)
    bus: str = Field(sa_type=Text, primary_key=True)
    document: str = Field(sa_type=Text)


class QualityRow(_Table, table=True):
    """One version of the quality of a delivery; a settlement that is corrected writes the next."""

    __tablename__ = "quality"
    __table_args__ = (UniqueConstraint("auction", "participant", "bus", "version"), _STRICT)
    sequence: int | None = Field(default=None, primary_key=True)
    auction: str = Field(sa_type=Text, foreign_key="auction.id")
    network: str = Field(sa_type=Text, index=True)
    participant: str = Field(sa_type=Text, index=True)
    bus: str = Field(sa_type=Text)
    version: int
    delivered_at: datetime = Field(sa_type=UtcTime)
    recorded_at: datetime = Field(sa_type=UtcTime)
    document: str = Field(sa_type=Text)


# --- instruments beside the market -----------------------------------------------------------------------------------


class ContractRow(_Table, table=True):
    """One version of a contract; its terms never change, the columns say since when and until when it is in force."""

    __tablename__ = "contract"
    __table_args__ = (UniqueConstraint("id", "version"),)
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(index=True)
    version: int
    dso: str = Field(foreign_key="organisation.id", index=True)
    participant: str = Field(foreign_key="organisation.id", index=True)
    network: str = Field(foreign_key="network.name", index=True)
    terms: str = Field(sa_type=Text)
    proposed_at: datetime = Field(sa_type=UtcTime)
    accepted_at: datetime | None = Field(default=None, sa_type=UtcTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcTime)


class RightRow(_Table, table=True):
    """A right of a contract as it stands in the frozen book of an auction."""

    __tablename__ = "contract_right"
    __table_args__ = _STRICT
    auction: str = Field(sa_type=Text, primary_key=True, foreign_key="auction.id")
    offer: str = Field(sa_type=Text, primary_key=True)
    contract: str = Field(sa_type=Text, index=True)
    document: str = Field(sa_type=Text)


class ContractTransferRow(_Table, table=True):
    """An immutable entry of a contract's ledger."""

    __tablename__ = "contract_transfer"
    __table_args__ = _STRICT
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(sa_type=Text, unique=True)
    contract: str = Field(sa_type=Text, index=True)
    auction: str | None = Field(default=None, sa_type=Text, foreign_key="auction.id", index=True)
    start: datetime = Field(sa_type=UtcTime)
    end: datetime = Field(sa_type=UtcTime)
    debit: str = Field(sa_type=Text)
    credit: str = Field(sa_type=Text)
    amount_eur: Decimal = Field(sa_type=Euro)
    memo: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=UtcTime)


class TariffRow(_Table, table=True):
    """A tariff; it never changes."""

    __tablename__ = "tariff"
    id: str = Field(primary_key=True)
    network: str = Field(foreign_key="network.name", index=True)
    document: str = Field(sa_type=Text)


class CriticalWindowRow(_Table, table=True):
    """An announced critical window of a tariff."""

    __tablename__ = "critical_window"
    sequence: int | None = Field(default=None, primary_key=True)
    tariff: str = Field(foreign_key="tariff.id", index=True)
    document: str = Field(sa_type=Text)


class BillRow(_Table, table=True):
    """The first version of a bill; it never changes."""

    __tablename__ = "bill"
    __table_args__ = _STRICT
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(sa_type=Text, unique=True)
    tariff: str = Field(sa_type=Text, foreign_key="tariff.id", index=True)
    participant: str = Field(sa_type=Text, index=True)
    document: str = Field(sa_type=Text)


class BillCorrectionRow(_Table, table=True):
    """A later version of a bill."""

    __tablename__ = "bill_correction"
    __table_args__ = _STRICT
    bill: str = Field(sa_type=Text, primary_key=True, foreign_key="bill.id")
    version: int = Field(primary_key=True)
    document: str = Field(sa_type=Text)


class BillTransferRow(_Table, table=True):
    """An immutable entry of a bill's ledger."""

    __tablename__ = "bill_transfer"
    __table_args__ = _STRICT
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(sa_type=Text, unique=True)
    bill: str = Field(sa_type=Text, foreign_key="bill.id", index=True)
    version: int
    debit: str = Field(sa_type=Text)
    credit: str = Field(sa_type=Text)
    amount_eur: Decimal = Field(sa_type=Euro)
    memo: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=UtcTime)


class OutboxRow(_Table, table=True):
    """An event that has to be told, written with what it tells of. In the order of `sequence` they became durable.

    Old ones are forgotten, but never the newest: on SQLite its `sequence` would be given again.
    """

    __tablename__ = "outbox"
    __table_args__ = _STRICT
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(sa_type=Text, unique=True)
    audience: str = Field(sa_type=Text)
    auction: str = Field(sa_type=Text)
    document: str = Field(sa_type=Text)
    occurred_at: datetime = Field(sa_type=UtcTime, index=True)


class WebhookRow(_Table, table=True):
    """Where an organisation is told of events; `lease` says which sender is busy with it, and until when at most.

    The secrets can be read again, sealed (`market.store.vault`): a signature cannot be made with a hash.
    """

    __tablename__ = "webhook"
    __table_args__ = _STRICT
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(sa_type=Text, unique=True)
    organisation: str = Field(sa_type=Text, foreign_key="organisation.id", index=True)
    terms: str = Field(sa_type=Text)
    secret: str = Field(sa_type=Text)
    previous_secret: str | None = Field(default=None, sa_type=Text)
    previous_secret_until: datetime | None = Field(default=None, sa_type=UtcTime)
    created_at: datetime = Field(sa_type=UtcTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcTime)
    lease: str | None = Field(default=None, sa_type=Text)
    leased_until: datetime | None = Field(default=None, sa_type=UtcTime)


class DeliveryRow(_Table, table=True):
    """One event on its way to one webhook. failed : attempts in a row since it was queued; attempts : all, as JSON."""

    __tablename__ = "delivery"
    __table_args__ = (UniqueConstraint("webhook", "event"), Index(None, "state", "due_at"), _STRICT)
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(sa_type=Text, unique=True)
    webhook: str = Field(sa_type=Text, foreign_key="webhook.id")
    event: str = Field(sa_type=Text, foreign_key="outbox.id", index=True)
    state: str = Field(sa_type=Text)
    due_at: datetime = Field(sa_type=UtcTime)
    failed: int = 0
    attempts: str = Field(default="[]", sa_type=Text)


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
    """The key pair that heads are signed with. private : sealed; empty where it was lost."""

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
