"""The audit log; what is in the database already gets its first leaf."""

import secrets
from typing import Any

import sqlalchemy as sa
from alembic import op

from api_spec.merkle import commitment
from market.audit.leaves import SALT_BYTES, canonical_key, canonical_values
from market.store.columns import UtcTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NOT_WITNESSED = {"alembic_version", "answer", "clearing_job", "delivery", "outbox", "signing_key", "webhook"}


def upgrade() -> None:
    """Forward."""
    before = [name for name in sa.inspect(op.get_bind()).get_table_names() if name not in _NOT_WITNESSED]
    leaf = op.create_table(
        "audit_leaf",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_key", sa.Text(), nullable=False),
        sa.Column("change", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_leaf")),
        sa.UniqueConstraint("table_name", "row_key", "change", name=op.f("uq_audit_leaf_table_name_row_key_change")),
        sqlite_strict=True,
    )
    pending, built = sa.text("log_index IS NULL"), sa.text("log_index IS NOT NULL")
    op.create_index("ix_audit_leaf_pending", "audit_leaf", ["sequence"], sqlite_where=pending, postgresql_where=pending)
    op.create_index(
        "ix_audit_leaf_built", "audit_leaf", ["log_index"], unique=True, sqlite_where=built, postgresql_where=built
    )
    op.create_table(
        "audit_node",
        sa.Column("level", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("place", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "place", name=op.f("pk_audit_node")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_head",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_head")),
        sqlite_strict=True,
    )
    op.create_table(
        "audit_key",
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("private", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("public", name=op.f("pk_audit_key")),
        sqlite_strict=True,
    )
    log = op.create_table(
        "audit_log",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
        sqlite_strict=True,
    )
    op.bulk_insert(log, [{"id": 1, "size": 0}])
    for name in sorted(before):
        op.bulk_insert(leaf, _first_leaves(name))


def _first_leaves(name: str) -> list[dict[str, Any]]:
    table = sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())
    # Without types, so that values are what is stored.
    columns: list[sa.ColumnClause[Any]] = [sa.column(each.name) for each in table.columns]
    stored = sa.select(*columns).select_from(sa.table(name))
    leaves = []
    for row in op.get_bind().execute(stored).mappings():
        salt = secrets.token_bytes(SALT_BYTES)
        leaves.append(
            {
                "table_name": name,
                "row_key": canonical_key([row[each.name] for each in table.primary_key.columns]),
                "change": 1,
                "kind": "insert",
                "salt": salt,
                "commitment": commitment(salt, canonical_values(dict(row))),
            }
        )
    return leaves


def downgrade() -> None:
    """Back."""
    for name in ("audit_log", "audit_key", "audit_head", "audit_node", "audit_leaf"):
        op.drop_table(name)
