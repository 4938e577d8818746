"""Meter history, calendars, settlement baselines and delivery quality."""

import sqlalchemy as sa
from alembic import op

from market.store.columns import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "calendar",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("set_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["network"], ["network.name"], name=op.f("fk_calendar_network_network")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_calendar")),
        sa.UniqueConstraint("network", "version", name=op.f("uq_calendar_network_version")),
        sqlite_strict=True,
    )
    op.create_table(
        "meter_reading",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("bus", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("start", UtcTime(), nullable=False),
        sa.Column("until", UtcTime(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["network"], ["network.name"], name=op.f("fk_meter_reading_network_network")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_meter_reading")),
        sa.UniqueConstraint(
            "participant",
            "network",
            "bus",
            "version",
            name=op.f("uq_meter_reading_participant_network_bus_version"),
        ),
        sqlite_strict=True,
    )
    with op.batch_alter_table("meter_reading", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_meter_reading_network"), ["network"], unique=False)

    op.create_table(
        "settlement_baseline",
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("bus", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_settlement_baseline_auction_auction")),
        sa.PrimaryKeyConstraint("auction", "participant", "bus", name=op.f("pk_settlement_baseline")),
        sqlite_strict=True,
    )
    op.create_table(
        "quality",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("bus", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("delivered_at", UtcTime(), nullable=False),
        sa.Column("recorded_at", UtcTime(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_quality_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_quality")),
        sa.UniqueConstraint(
            "auction", "participant", "bus", "version", name=op.f("uq_quality_auction_participant_bus_version")
        ),
        sqlite_strict=True,
    )
    with op.batch_alter_table("quality", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quality_network"), ["network"], unique=False)
        batch_op.create_index(batch_op.f("ix_quality_participant"), ["participant"], unique=False)


def downgrade() -> None:
    """Back."""
    for name in ("quality", "settlement_baseline", "meter_reading", "calendar"):
        op.drop_table(name)
