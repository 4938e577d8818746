"""The first tables."""

import sqlalchemy as sa
from alembic import op

from market.store.columns import Euro, UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "answer",
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("body_sha256", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "key", name=op.f("pk_answer")),
    )
    op.create_table(
        "organisation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("client_id", name=op.f("uq_organisation_client_id")),
    )
    with op.batch_alter_table("organisation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_organisation_role"), ["role"], unique=False)

    op.create_table(
        "network",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("dso", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("registered_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["dso"], ["organisation.id"], name=op.f("fk_network_dso_organisation")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_network")),
    )
    with op.batch_alter_table("network", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_network_dso"), ["dso"], unique=False)

    op.create_table(
        "auction",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("dso", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("gate_closure", UtcTime(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("forecast", sa.Text(), nullable=True),
        sa.Column("closed_at", UtcTime(), nullable=True),
        sa.Column("published_at", UtcTime(), nullable=True),
        sa.Column("settled_at", UtcTime(), nullable=True),
        sa.Column("failure", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["dso"], ["organisation.id"], name=op.f("fk_auction_dso_organisation")),
        sa.ForeignKeyConstraint(["network"], ["network.name"], name=op.f("fk_auction_network_network")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_auction")),
        sa.UniqueConstraint("id", name=op.f("uq_auction_id")),
    )
    with op.batch_alter_table("auction", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_auction_dso"), ["dso"], unique=False)
        batch_op.create_index(batch_op.f("ix_auction_state"), ["state"], unique=False)

    op.create_table(
        "award",
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("offer", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_award_auction_auction")),
        sa.PrimaryKeyConstraint("auction", "offer", name=op.f("pk_award")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("award", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_award_participant"), ["participant"], unique=False)

    op.create_table(
        "baseline",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("auction", sa.String(), nullable=False),
        sa.Column("participant", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("nominated_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_baseline_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_baseline")),
        sa.UniqueConstraint("auction", "participant", "version", name=op.f("uq_baseline_auction_participant_version")),
    )
    op.create_table(
        "offer",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("auction", sa.String(), nullable=False),
        sa.Column("participant", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_offer_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_offer")),
        sa.UniqueConstraint("id", "version", name=op.f("uq_offer_id_version")),
    )
    with op.batch_alter_table("offer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_offer_auction"), ["auction"], unique=False)
        batch_op.create_index(batch_op.f("ix_offer_id"), ["id"], unique=False)
        batch_op.create_index(batch_op.f("ix_offer_participant"), ["participant"], unique=False)

    op.create_table(
        "reading",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("auction", sa.String(), nullable=False),
        sa.Column("participant", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_reading_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_reading")),
        sa.UniqueConstraint("auction", "participant", "version", name=op.f("uq_reading_auction_participant_version")),
    )
    op.create_table(
        "request",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("auction", sa.String(), nullable=False),
        sa.Column("dso", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_request_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_request")),
        sa.UniqueConstraint("id", name=op.f("uq_request_id")),
    )
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_request_auction"), ["auction"], unique=False)

    op.create_table(
        "result",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("auction", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("case_document", sa.Text(), nullable=False),
        sa.Column("input_sha256", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("published_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_result_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_result")),
        sa.UniqueConstraint("auction", "version", name=op.f("uq_result_auction_version")),
    )
    op.create_table(
        "statement",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_statement_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_statement")),
        sa.UniqueConstraint("auction", "participant", "version", name=op.f("uq_statement_auction_participant_version")),
        sqlite_strict=True,
    )
    op.create_table(
        "transfer",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("debit", sa.Text(), nullable=False),
        sa.Column("credit", sa.Text(), nullable=False),
        sa.Column("amount_eur", Euro(), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_transfer_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_transfer")),
        sa.UniqueConstraint("id", name=op.f("uq_transfer_id")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("transfer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_transfer_auction"), ["auction"], unique=False)
        batch_op.create_index(batch_op.f("ix_transfer_credit"), ["credit"], unique=False)
        batch_op.create_index(batch_op.f("ix_transfer_debit"), ["debit"], unique=False)


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("transfer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_transfer_debit"))
        batch_op.drop_index(batch_op.f("ix_transfer_credit"))
        batch_op.drop_index(batch_op.f("ix_transfer_auction"))

    op.drop_table("transfer")
    op.drop_table("statement")
    op.drop_table("result")
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_request_auction"))

    op.drop_table("request")
    op.drop_table("reading")
    with op.batch_alter_table("offer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_offer_participant"))
        batch_op.drop_index(batch_op.f("ix_offer_id"))
        batch_op.drop_index(batch_op.f("ix_offer_auction"))

    op.drop_table("offer")
    op.drop_table("baseline")
    with op.batch_alter_table("award", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_award_participant"))

    op.drop_table("award")
    with op.batch_alter_table("auction", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_auction_state"))
        batch_op.drop_index(batch_op.f("ix_auction_dso"))

    op.drop_table("auction")
    with op.batch_alter_table("network", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_network_dso"))

    op.drop_table("network")
    with op.batch_alter_table("organisation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_organisation_role"))

    op.drop_table("organisation")
    op.drop_table("answer")
