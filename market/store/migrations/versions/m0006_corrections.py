"""Corrections: the DSO's statements, agreement with statements, and disputes."""

import sqlalchemy as sa
from alembic import op

from market.store.columns import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "settlement",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("readings", sa.Integer(), nullable=False),
        sa.Column("disputes", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("settled_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_settlement_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_settlement")),
        sa.UniqueConstraint("auction", "version", name=op.f("uq_settlement_auction_version")),
        sqlite_strict=True,
    )
    op.create_table(
        "statement_acceptance",
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("accepted_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_statement_acceptance_auction_auction")),
        sa.PrimaryKeyConstraint("auction", "participant", "version", name=op.f("pk_statement_acceptance")),
        sqlite_strict=True,
    )
    op.create_table(
        "dispute",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("decided_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_dispute_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_dispute")),
        sa.UniqueConstraint("id", name=op.f("uq_dispute_id")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_dispute_auction"), "dispute", ["auction"], unique=False)


def downgrade() -> None:
    """Back."""
    op.drop_index(op.f("ix_dispute_auction"), table_name="dispute")
    op.drop_table("dispute")
    op.drop_table("statement_acceptance")
    op.drop_table("settlement")
