"""Clearing jobs, which workers claim; every auction that is not cleared yet has one."""

import sqlalchemy as sa
from alembic import op

from market.store.columns import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "clearing_job",
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("due_at", UtcTime(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_clearing_job_auction_auction")),
        sa.PrimaryKeyConstraint("auction", name=op.f("pk_clearing_job")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("clearing_job", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_clearing_job_due_at"), ["due_at"], unique=False)
    op.execute(
        "INSERT INTO clearing_job (auction, due_at) "
        "SELECT id, gate_closure FROM auction WHERE state IN ('open', 'closed', 'clearing')"
    )


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("clearing_job", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_clearing_job_due_at"))
    op.drop_table("clearing_job")
