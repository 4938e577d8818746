"""The buses of a nominated baseline, beside its document: every offer is held to them."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    with op.batch_alter_table("baseline", schema=None) as batch_op:
        batch_op.add_column(sa.Column("buses", sa.Text(), nullable=True))
    baseline = sa.table(
        "baseline", sa.column("sequence", sa.Integer), sa.column("document", sa.Text), sa.column("buses")
    )
    connection = op.get_bind()
    for sequence, document in connection.execute(sa.select(baseline.c.sequence, baseline.c.document)).all():
        names = json.dumps([each["bus"] for each in json.loads(document)["buses"]])
        connection.execute(sa.update(baseline).where(baseline.c.sequence == sequence).values(buses=names))
    with op.batch_alter_table("baseline", schema=None) as batch_op:
        batch_op.alter_column("buses", existing_type=sa.Text(), nullable=False)


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("baseline", schema=None) as batch_op:
        batch_op.drop_column("buses")
