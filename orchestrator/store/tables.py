"""The tables as they are now. JSON is kept as text, spelled by us, so that SQLite and PostgreSQL hold equal bytes.

sweeps         one row per sweep.json
sweep_trials   its trials, in order, each with the overrides that made it
trials         one row per trial.json, what its files have come to, and what MLflow has been told of it
looks          how a trial's files looked when it was last folded; its own table, since it is read and written whole
points         every (metric, step) once; `id` counts up in the order of the trial's history
destination    at most one row: the experiment in MLflow that was told what `trials` says it was told
iwm_schema     one row: the version of these tables; where it is an older one, they are dropped and folded again
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION = 3
"""Raised with every change of the tables."""

metadata = MetaData()

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, index=True),
    Column("about", Text, nullable=False),
    Column("axes", Text, nullable=False),  # JSON list
    Column("fixed", Text, nullable=False),  # JSON list
    Column("unix_s", Double, nullable=False),
)

sweep_trials = Table(
    "sweep_trials",
    metadata,
    Column("sweep_id", String, ForeignKey("sweeps.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("trial_id", String, nullable=False, index=True),  # no foreign key: its trial.json may be unreadable
    Column("overrides", Text, nullable=False),  # JSON object
)

trials = Table(
    "trials",
    metadata,
    Column("id", String, primary_key=True),
    Column("config", Text, nullable=False),  # JSON object, flat, every field
    Column("state", String, nullable=False, index=True),
    Column("status", Text, nullable=False),  # JSON object, orchestrator.status_json
    Column("signature", String, nullable=False),  # of the files behind this row
    Column("points", Integer, nullable=False),  # how many there are, and
    Column("points_digest", String, nullable=False),  # their sha256
    Column("run_id", String, nullable=False),  # MLflow's; empty: none yet
    Column("sent_id", BigInteger, nullable=False),  # the last of its points that MLflow has
    Column("sent_signature", String, nullable=False),  # MLflow has all of the trial as it was at this signature
    Column("run_is_stale", Boolean, nullable=False),  # MLflow was sent values that the history has since disowned
    Index("ix_trials_unsent", "id", "signature", "sent_signature"),
)

looks = Table(
    "looks",
    metadata,
    Column("trial_id", String, ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    Column("glance", Text, nullable=False),  # orchestrator.census; empty: none that holds
)

points = Table(
    "points",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("trial_id", String, ForeignKey("trials.id", ondelete="CASCADE"), nullable=False),
    Column("key", String, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("value", Double),  # NULL is NaN, which SQLite has no way to store
    Column("unix_s", Double, nullable=False),
    Column("attempt", Integer, nullable=False),
    UniqueConstraint("trial_id", "key", "step", name="uq_points_place"),
    Index("ix_points_order", "trial_id", "id"),
    sqlite_autoincrement=True,  # an id is never used twice, so a cursor never skips a replaced point
)

destination = Table(
    "destination",
    metadata,
    Column("tracking_uri", String, primary_key=True),  # without credentials
    Column("experiment_id", String, primary_key=True),
    Column(
        "created_ms", BigInteger, primary_key=True, autoincrement=False
    ),  # tells a new database's first from the old
)

iwm_schema = Table("iwm_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))
