"""Products, resources and their prequalification, reservations and acknowledgements."""

import sqlalchemy as sa
from alembic import op

from market.store.columns import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "product",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("registered_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner"], ["organisation.id"], name=op.f("fk_product_owner_organisation")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_product")),
        sqlite_strict=True,
    )
    op.create_table(
        "reference_load",
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["network"], ["network.name"], name=op.f("fk_reference_load_network_network")),
        sa.PrimaryKeyConstraint("network", name=op.f("pk_reference_load")),
        sqlite_strict=True,
    )
    op.create_table(
        "resource",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("registered_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["participant"], ["organisation.id"], name=op.f("fk_resource_participant_organisation")
        ),
        sa.ForeignKeyConstraint(["network"], ["network.name"], name=op.f("fk_resource_network_network")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource")),
        sa.UniqueConstraint("participant", "connection", name=op.f("uq_resource_participant_connection")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_resource_network"), "resource", ["network"])
    op.create_table(
        "prequalification",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["resource"], ["resource.id"], name=op.f("fk_prequalification_resource_resource")),
        sa.ForeignKeyConstraint(["product"], ["product.name"], name=op.f("fk_prequalification_product_product")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prequalification")),
        sqlite_strict=True,
    )
    for column in ("resource", "participant", "network"):
        op.create_index(op.f(f"ix_prequalification_{column}"), "prequalification", [column])
    op.create_table(
        "reservation",
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("offer", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("starts", UtcTime(), nullable=False),
        sa.Column("ends", UtcTime(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_reservation_auction_auction")),
        sa.PrimaryKeyConstraint("auction", "offer", name=op.f("pk_reservation")),
        sqlite_strict=True,
    )
    for column in ("participant", "network"):
        op.create_index(op.f(f"ix_reservation_{column}"), "reservation", [column])
    op.create_table(
        "obligation",
        sa.Column("activation", sa.Text(), nullable=False),
        sa.Column("reservation", sa.Text(), nullable=False),
        sa.Column("offer", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["activation"], ["auction.id"], name=op.f("fk_obligation_activation_auction")),
        sa.ForeignKeyConstraint(["reservation"], ["auction.id"], name=op.f("fk_obligation_reservation_auction")),
        sa.PrimaryKeyConstraint("activation", "reservation", "offer", name=op.f("pk_obligation")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_obligation_reservation"), "obligation", ["reservation"])
    op.create_table(
        "availability",
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_availability_auction_auction")),
        sa.PrimaryKeyConstraint("auction", "participant", "version", name=op.f("pk_availability")),
        sqlite_strict=True,
    )
    op.create_table(
        "acknowledgement",
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("offer", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_acknowledgement_auction_auction")),
        sa.PrimaryKeyConstraint("auction", "offer", "version", name=op.f("pk_acknowledgement")),
        sqlite_strict=True,
    )
    # Awards so far are of the first version: there was no other.
    with op.batch_alter_table("award", table_kwargs={"sqlite_strict": True}) as award:
        award.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
        award.drop_constraint(op.f("pk_award"), type_="primary")
        award.create_primary_key(op.f("pk_award"), ["auction", "offer", "version"])
    with op.batch_alter_table("award", table_kwargs={"sqlite_strict": True}) as award:
        award.alter_column("version", server_default=None)


def downgrade() -> None:
    """Back; of an offer with several awards only the first stays."""
    op.execute("DELETE FROM award WHERE version > 1")
    with op.batch_alter_table("award", table_kwargs={"sqlite_strict": True}) as award:
        award.drop_constraint(op.f("pk_award"), type_="primary")
        award.create_primary_key(op.f("pk_award"), ["auction", "offer"])
        award.drop_column("version")
    for table in ("acknowledgement", "availability"):
        op.drop_table(table)
    op.drop_index(op.f("ix_obligation_reservation"), "obligation")
    op.drop_table("obligation")
    for column in ("participant", "network"):
        op.drop_index(op.f(f"ix_reservation_{column}"), "reservation")
    op.drop_table("reservation")
    for column in ("resource", "participant", "network"):
        op.drop_index(op.f(f"ix_prequalification_{column}"), "prequalification")
    op.drop_table("prequalification")
    op.drop_index(op.f("ix_resource_network"), "resource")
    for table in ("resource", "reference_load", "product"):
        op.drop_table(table)
