"""How a trial's files looked, so that most of them need not be listed to know that they are the same."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Creates the table, empty: every folder is listed once more."""
    op.create_table(
        "looks",
        sa.Column("trial_id", sa.String, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("glance", sa.Text, nullable=False),
    )
