"""Clients, several per organisation; keys that sign access tokens; organisations that are suspended."""

import sqlalchemy as sa
from alembic import op

from market.store.columns import UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Credentials that exist become the first client of their organisation and go on working."""
    op.create_table(
        "client",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("revoked_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation"], ["organisation.id"], name=op.f("fk_client_organisation_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_client_organisation"), ["organisation"], unique=False)
    op.execute(
        "INSERT INTO client (id, organisation, name, secret_hash, created_at) "
        "SELECT client_id, id, 'first', secret_hash, created_at FROM organisation"
    )
    op.create_table(
        "signing_key",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("private_jwk", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("retires_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_signing_key")),
        sa.UniqueConstraint("kid", name=op.f("uq_signing_key_kid")),
        sqlite_strict=True,
    )
    if op.get_bind().dialect.name == "sqlite":
        _rebuild(sa.Column("suspended_at", UtcTime(), nullable=True))
        return
    op.add_column("organisation", sa.Column("suspended_at", UtcTime(), nullable=True))
    op.drop_column("organisation", "client_id")
    op.drop_column("organisation", "secret_hash")


def downgrade() -> None:
    """Back: each organisation keeps the client it had first."""
    op.add_column("organisation", sa.Column("client_id", sa.String(), nullable=True))
    op.add_column("organisation", sa.Column("secret_hash", sa.String(), nullable=True))
    first = "FROM client WHERE client.organisation = organisation.id ORDER BY created_at, client.id LIMIT 1"
    op.execute(f"UPDATE organisation SET client_id = (SELECT client.id {first})")
    op.execute(f"UPDATE organisation SET secret_hash = (SELECT client.secret_hash {first})")
    op.drop_table("signing_key")
    op.drop_table("client")
    if op.get_bind().dialect.name == "sqlite":
        _rebuild(
            sa.Column("client_id", sa.String(), nullable=False),
            sa.Column("secret_hash", sa.String(), nullable=False),
            sa.UniqueConstraint("client_id", name=op.f("uq_organisation_client_id")),
            kept="id, name, role, created_at, client_id, secret_hash",
        )
        return
    op.drop_column("organisation", "suspended_at")
    op.alter_column("organisation", "client_id", nullable=False)
    op.alter_column("organisation", "secret_hash", nullable=False)
    op.create_unique_constraint(op.f("uq_organisation_client_id"), "organisation", ["client_id"])


def _rebuild(*more: sa.schema.SchemaItem, kept: str = "id, name, role, created_at") -> None:
    """The table anew on SQLite, which drops no column that is unique.

    Rows of other tables refer to these: the references are checked at the commit, when the rows stand there again.
    """
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute(f"CREATE TEMPORARY TABLE kept AS SELECT {kept} FROM organisation")
    op.execute("DELETE FROM organisation")
    op.drop_table("organisation")
    op.create_table(
        "organisation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        *more,
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
    )
    op.execute(f"INSERT INTO organisation ({kept}) SELECT {kept} FROM kept")
    op.execute("DROP TABLE kept")
    with op.batch_alter_table("organisation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_organisation_role"), ["role"], unique=False)
