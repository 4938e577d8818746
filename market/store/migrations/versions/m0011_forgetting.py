"""Old events, and what was sent of them, are found without reading all."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_index(op.f("ix_outbox_occurred_at"), "outbox", ["occurred_at"])
    op.create_index(op.f("ix_delivery_event"), "delivery", ["event"])


def downgrade() -> None:
    """Back."""
    op.drop_index(op.f("ix_delivery_event"), table_name="delivery")
    op.drop_index(op.f("ix_outbox_occurred_at"), table_name="outbox")
