"""Instruments beside the market: contracts, their rights in auctions and their ledgers; tariffs and bills."""

import sqlalchemy as sa
from alembic import op

from market.store.columns import Euro, UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    _contracts()
    _tariffs()


def _contracts() -> None:
    op.create_table(
        "contract",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dso", sa.String(), nullable=False),
        sa.Column("participant", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("proposed_at", UtcTime(), nullable=False),
        sa.Column("accepted_at", UtcTime(), nullable=True),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["dso"], ["organisation.id"], name=op.f("fk_contract_dso_organisation")),
        sa.ForeignKeyConstraint(
            ["participant"], ["organisation.id"], name=op.f("fk_contract_participant_organisation")
        ),
        sa.ForeignKeyConstraint(["network"], ["network.name"], name=op.f("fk_contract_network_network")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_contract")),
        sa.UniqueConstraint("id", "version", name=op.f("uq_contract_id_version")),
    )
    for column in ("id", "dso", "participant", "network"):
        op.create_index(op.f(f"ix_contract_{column}"), "contract", [column], unique=False)
    op.create_table(
        "contract_right",
        sa.Column("auction", sa.Text(), nullable=False),
        sa.Column("offer", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_contract_right_auction_auction")),
        sa.PrimaryKeyConstraint("auction", "offer", name=op.f("pk_contract_right")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_contract_right_contract"), "contract_right", ["contract"], unique=False)
    op.create_table(
        "contract_transfer",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("auction", sa.Text(), nullable=True),
        sa.Column("start", UtcTime(), nullable=False),
        sa.Column("end", UtcTime(), nullable=False),
        sa.Column("debit", sa.Text(), nullable=False),
        sa.Column("credit", sa.Text(), nullable=False),
        sa.Column("amount_eur", Euro(), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["auction"], ["auction.id"], name=op.f("fk_contract_transfer_auction_auction")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_contract_transfer")),
        sa.UniqueConstraint("id", name=op.f("uq_contract_transfer_id")),
        sqlite_strict=True,
    )
    for column in ("contract", "auction"):
        op.create_index(op.f(f"ix_contract_transfer_{column}"), "contract_transfer", [column], unique=False)


def _tariffs() -> None:
    op.create_table(
        "tariff",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["network"], ["network.name"], name=op.f("fk_tariff_network_network")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariff")),
    )
    op.create_index(op.f("ix_tariff_network"), "tariff", ["network"], unique=False)
    op.create_table(
        "critical_window",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("tariff", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tariff"], ["tariff.id"], name=op.f("fk_critical_window_tariff_tariff")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_critical_window")),
    )
    op.create_index(op.f("ix_critical_window_tariff"), "critical_window", ["tariff"], unique=False)
    op.create_table(
        "bill",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tariff", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tariff"], ["tariff.id"], name=op.f("fk_bill_tariff_tariff")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_bill")),
        sa.UniqueConstraint("id", name=op.f("uq_bill_id")),
        sqlite_strict=True,
    )
    for column in ("tariff", "participant"):
        op.create_index(op.f(f"ix_bill_{column}"), "bill", [column], unique=False)


def downgrade() -> None:
    """Back."""
    for table in ("bill", "critical_window", "tariff", "contract_transfer", "contract_right", "contract"):
        op.drop_table(table)
