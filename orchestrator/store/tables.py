"""The tables. JSON is stored as text that we serialise, so that SQLite and PostgreSQL hold equal bytes.

sweeps         one row per sweep.json
sweep_trials   its trials in order, each with its overrides
trials         one row per trial.json: its status, and what has been sent to MLflow
looks          each trial's glance (`records/scan.py`); a table of its own, since it is read and written as a whole
points         every (metric, step) once; `id` increases in the order of the trial's history
destination    at most one row: the MLflow experiment that the trials were sent to
iwm_schema     one row: the version of these tables; tables of an older version are dropped and filled again
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
    false,
)

VERSION = 4
"""Raised with every change of the tables or of what a column holds."""

metadata = MetaData()

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, index=True),
    Column("unix_s", Double, nullable=False),
    Column("record", Text, nullable=False),  # its sweep.json without the trials
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
    Column("status", Text, nullable=False),  # store/status_json.py
    Column("signature", String, nullable=False),  # of its files, records/scan.py
    Column("points", Integer, nullable=False),  # how many there are, and
    Column("points_digest", String, nullable=False),  # their sha256
    Column("run_id", String, nullable=False, server_default=""),  # MLflow's; empty: none yet
    Column("sent_id", BigInteger, nullable=False, server_default="0"),  # the last point that MLflow has
    Column("sent_signature", String, nullable=False, server_default=""),  # MLflow has the trial as of this signature
    Column("run_is_stale", Boolean, nullable=False, server_default=false()),  # its run has values that no longer exist
    Index("ix_trials_unsent", "id", "signature", "sent_signature"),
)

looks = Table(
    "looks",
    metadata,
    Column("trial_id", String, ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    Column("glance", Text, nullable=False),  # empty: none that is valid
)

points = Table(
    "points",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("trial_id", String, ForeignKey("trials.id", ondelete="CASCADE"), nullable=False),
    Column("key", String, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("value", Double),  # NULL is NaN, which SQLite cannot store
    Column("unix_s", Double, nullable=False),
    Column("attempt", Integer, nullable=False),
    UniqueConstraint("trial_id", "key", "step", name="uq_points_place"),
    Index("ix_points_order", "trial_id", "id"),
    sqlite_autoincrement=True,  # ids are never reused, so a cursor never skips a replaced point
)

destination = Table(
    "destination",
    metadata,
    Column("tracking_uri", String, primary_key=True),  # without credentials
    Column("experiment_id", String, primary_key=True),
    Column("created_ms", BigInteger, primary_key=True, autoincrement=False),  # ids start again in a new database
)

iwm_schema = Table("iwm_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))
