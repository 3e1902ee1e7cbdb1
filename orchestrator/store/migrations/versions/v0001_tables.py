"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates them."""
    op.create_table(
        "sweeps",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False, index=True),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("axes", sa.Text, nullable=False),
        sa.Column("fixed", sa.Text, nullable=False),
        sa.Column("unix_s", sa.Double, nullable=False),
    )
    op.create_table(
        "sweep_trials",
        sa.Column("sweep_id", sa.String, sa.ForeignKey("sweeps.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("trial_id", sa.String, nullable=False, index=True),
        sa.Column("overrides", sa.Text, nullable=False),
    )
    op.create_table(
        "trials",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("signature", sa.String, nullable=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("points_digest", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("sent_id", sa.BigInteger, nullable=False),
        sa.Column("sent_signature", sa.String, nullable=False),
        sa.Column("run_is_stale", sa.Boolean, nullable=False),
        sa.Index("ix_trials_unsent", "id", "signature", "sent_signature"),
    )
    op.create_table(
        "points",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("trial_id", sa.String, sa.ForeignKey("trials.id", ondelete="CASCADE"), nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("unix_s", sa.Double, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.UniqueConstraint("trial_id", "key", "step", name="uq_points_place"),
        sa.Index("ix_points_order", "trial_id", "id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "destination",
        sa.Column("tracking_uri", sa.String, primary_key=True),
        sa.Column("experiment_id", sa.String, primary_key=True),
        sa.Column("created_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    )
