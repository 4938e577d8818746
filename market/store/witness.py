"""No change without its witness: a session that writes an audit leaf for each changed row, in the same transaction.

It does so whenever it flushes, so no query has to think of it. Tables are witnessed unless `EXEMPT` names them. What
would pass by a flush (`session.execute(update(...))`) is refused; what passes by the session altogether is found by
`flexmarket audit verify`.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Dialect, Table, bindparam, event, func, insert, inspect, select, update
from sqlalchemy.orm import Mapper, ORMExecuteState, UOWTransaction
from sqlalchemy.orm import Session as OrmSession
from sqlmodel import Session, SQLModel

from api_spec.audit import ChangeKind
from api_spec.merkle import commitment
from market.audit.leaves import NOTHING, SALT_BYTES, Stored, canonical_key, canonical_values
from market.store.tables import metadata

EXEMPT: Final = frozenset(
    {
        "answer",  # a copy of what was answered about rows that are witnessed themselves
        "audit_head",
        "audit_key",
        "audit_leaf",
        "audit_log",
        "audit_node",
        "clearing_job",  # who works at what; it is gone once the auction, which is witnessed, has its result
        "delivery",  # what is on its way to whom, of events that tell of rows that are witnessed themselves
        "outbox",
        "signing_key",  # of tokens, which live for minutes
        "webhook",
    }
)
"""Tables whose changes are not witnessed: the log's own, and what the market's business does not rest on."""

_LEAF: Final[Table] = metadata.tables["audit_leaf"]
_BEFORE: Final = _LEAF.alias("before")
_NEXT_CHANGE: Final = (
    select(func.coalesce(func.max(_BEFORE.c.change), 0) + 1)
    .where(_BEFORE.c.table_name == bindparam("of_table"), _BEFORE.c.row_key == bindparam("of_key"))
    .scalar_subquery()
)
_WITNESS: Final = insert(_LEAF).values(change=_NEXT_CHANGE)
_FORGET: Final = (
    update(_LEAF)
    .where(_LEAF.c.table_name == bindparam("of_table"), _LEAF.c.row_key == bindparam("of_key"))
    .where(_LEAF.c.kind != "delete", _LEAF.c.salt.is_not(None))
    .values(salt=None)
)


class NotWitnessed(RuntimeError):
    """A statement would change rows without leaving a trace in the audit log."""

    def __init__(self, table: str) -> None:
        """Say what to do instead."""
        super().__init__(f"rows of {table} change through the session's objects only (session.add_all for many)")


class WitnessedSession(Session):
    """A session whose every flush leaves one leaf for each row that it inserted, changed or deleted."""


class _Column(NamedTuple):
    """name : in the table; attribute : of the object; bound : the value as it is handed to the driver."""

    name: str
    attribute: str
    bound: Callable[[Any], Any] | None


@event.listens_for(WitnessedSession, "after_flush")
def _witness(session: OrmSession, _: UOWTransaction) -> None:
    leaves = list(_leaves(session))
    if not leaves:
        return
    connection = session.connection()
    if replaced := [each for each in leaves if each["kind"] != "insert"]:
        connection.execute(_FORGET, [{name: each[name] for name in ("of_table", "of_key")} for each in replaced])
    connection.execute(_WITNESS, leaves)


@event.listens_for(WitnessedSession, "do_orm_execute")
def _refuse_what_passes_by(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        table = state.statement.table.name  # type: ignore[attr-defined]
        if table not in EXEMPT:
            raise NotWitnessed(table)


def witnessed_key(row: SQLModel) -> str:
    """The key of a stored object, as leaves have it."""
    mapper: Mapper[Any] = inspect(type(row))
    return canonical_key(list(mapper.primary_key_from_instance(row)))


def witnessed_values(row: SQLModel, dialect: Dialect) -> bytes:
    """The values of a stored object, as its newest leaf commits to them."""
    # What the database computed is not there yet; asking for it reads it back, in the same transaction.
    return canonical_values(
        {each.name: _stored(getattr(row, each.attribute), each) for each in _columns(type(row), dialect)}
    )


def _leaves(session: OrmSession) -> Iterator[dict[str, Any]]:
    dialect = session.get_bind().dialect
    # A key that is deleted and inserted again in one flush is deleted first.
    for row in _audited(session.deleted):
        yield _leaf(row, "delete", NOTHING)
    for row in _audited(session.dirty):
        if session.is_modified(row):
            yield _leaf(row, "update", witnessed_values(row, dialect))
    for row in _audited(session.new):
        yield _leaf(row, "insert", witnessed_values(row, dialect))


def _audited(rows: Iterable[Any]) -> Iterator[SQLModel]:
    return (row for row in rows if row.__tablename__ not in EXEMPT)


def _leaf(row: SQLModel, kind: ChangeKind, values: bytes) -> dict[str, Any]:
    salt, table, key = secrets.token_bytes(SALT_BYTES), str(row.__tablename__), witnessed_key(row)
    return {
        "table_name": table,
        "row_key": key,
        "kind": kind,
        "salt": salt,
        "commitment": commitment(salt, values),
        "of_table": table,
        "of_key": key,
    }


@lru_cache(maxsize=256)
def _columns(kind: type[SQLModel], dialect: Dialect) -> tuple[_Column, ...]:
    mapper: Mapper[Any] = inspect(kind)
    return tuple(
        _Column(
            column.name,
            mapper.get_property_by_column(column).key,
            column.type.dialect_impl(dialect).bind_processor(dialect),
        )
        for column in mapper.local_table.columns
    )


def _stored(value: Any, column: _Column) -> Stored:
    bound: Stored = value if column.bound is None or isinstance(value, bytes) else column.bound(value)
    return bound
