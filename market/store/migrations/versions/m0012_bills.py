"""Bills have versions and a ledger."""

import sqlalchemy as sa
from alembic import op

from market.store.columns import Euro, UtcTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "bill_correction",
        sa.Column("bill", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["bill"], ["bill.id"], name=op.f("fk_bill_correction_bill_bill")),
        sa.PrimaryKeyConstraint("bill", "version", name=op.f("pk_bill_correction")),
        sqlite_strict=True,
    )
    op.create_table(
        "bill_transfer",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("bill", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("debit", sa.Text(), nullable=False),
        sa.Column("credit", sa.Text(), nullable=False),
        sa.Column("amount_eur", Euro(), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["bill"], ["bill.id"], name=op.f("fk_bill_transfer_bill_bill")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_bill_transfer")),
        sa.UniqueConstraint("id", name=op.f("uq_bill_transfer_id")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_bill_transfer_bill"), "bill_transfer", ["bill"], unique=False)


def downgrade() -> None:
    """Back."""
    op.drop_table("bill_transfer")
    op.drop_table("bill_correction")
