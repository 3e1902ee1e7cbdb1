"""MLflow's client with plain errors: the only importer of mlflow, which is loaded when a client is opened.

A new SQLite database is built in memory, written to a temporary file and renamed into place, so that a killed process
leaves a whole database or none; processes that find none take turns. Errors of MLflow become one sentence without a
password.
"""

import contextlib
import logging
import os
import socket
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies

from orchestrator.errors import IwmError, TrackingError
from orchestrator.host.locks import holding
from orchestrator.host.redact import redact, shown
from orchestrator.records.layout import Layout
from orchestrator.tracking.run_card import ENDED, Row, RunCard, milliseconds, safe_key, spelled
from orchestrator.trial.lifecycle import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

PARAMS_PER_BATCH = TAGS_PER_BATCH = 100
NO_TAGS: Mapping[str, str] = {}
CONNECT_S = 5
PREPARE_S = 60
ADVISORY_LOCK = 0x6D6C666C6F77  # "mlflow"
SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""Environment variables, set before mlflow is loaded unless the user has set them."""

REFUSALS = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"})
"""Codes of errors with which MLflow rejects a request."""

DATABASES = frozenset({"sqlite", "postgresql", "mysql", "mssql"})

UNUSED = ("pandas", "pyarrow")
"""Libraries that MLflow's client loads and we never use: 75 MB and a second."""


class RefusedError(TrackingError):
    """MLflow rejected a request about one run."""


@dataclass
class Tracking:
    """MLflow's client with plain errors.

    Raises:
        TrackingError: from the constructor and every method, if MLflow cannot be reached.
        RefusedError: from every method, if MLflow rejects the request.
    """

    layout: Layout
    _client: "MlflowClient" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        with self._plain():
            self._client = open_client(self.layout)

    def experiment(self, name: str) -> "Experiment":
        """The experiment of this name; created if there is none. A deleted one is renamed and stays deleted."""
        with self._plain():
            found = self._client.get_experiment_by_name(name)
            if found and found.lifecycle_stage == "active":
                return found
            if found:  # its name stays taken, and restoring it for good would restore every deleted run
                self._client.restore_experiment(found.experiment_id)
                self._client.rename_experiment(found.experiment_id, f"{name} (deleted {found.experiment_id})")
                self._client.delete_experiment(found.experiment_id)
            return self._create_experiment(name)

    def _create_experiment(self, name: str) -> "Experiment":
        from mlflow.exceptions import MlflowException

        folder = self.layout.artifacts / quote(name, safe=" ")
        location = folder.as_uri() if is_database(self.layout.tracking_uri) else None
        try:
            return self._client.get_experiment(self._client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return self.experiment(name)  # another host was faster

    def tag_experiment(self, experiment: "Experiment", key: str, value: str) -> None:
        """Set a tag of an experiment."""
        with self._plain():
            self._client.set_experiment_tag(experiment.experiment_id, key, value)

    def get(self, run_id: str) -> "Run | None":
        """The run; None if there is none or it was deleted."""
        if not run_id:
            return None
        try:
            with self._plain():
                run = self._client.get_run(run_id)
        except RefusedError:
            return None
        return run if run.info.lifecycle_stage == "active" else None

    def find(self, experiment_id: str, *, tag: str, value: str, start_ms: int) -> "Run | None":
        """The active run that was created with this tag and start."""
        with self._plain():
            runs = self._client.search_runs(
                [experiment_id], filter_string=f"tags.`{tag}` = '{value}' AND attributes.start_time = {start_ms}"
            )
        return runs[0] if runs else None

    def create(self, experiment_id: str, card: RunCard, *, tag: str) -> "Run":
        """Create a run, from the start with the tag by which `find` finds it."""
        with self._plain():
            return self._client.create_run(
                experiment_id, start_time=card.start_ms, tags={tag: card.tags[tag]}, run_name=card.name
            )

    def delete(self, run: "Run") -> None:
        """Delete the run; MLflow can restore it."""
        with self._plain():
            self._client.delete_run(run.info.run_id)

    def describe(self, run: "Run", card: RunCard) -> None:
        """Send the name, parameters and tags that the run does not have yet."""
        from mlflow.entities import Param, RunTag

        params = [Param(key, value) for key, value in card.params.items() if key not in run.data.params]
        tags = [RunTag(key, value) for key, value in card.tags.items() if run.data.tags.get(key) != value]
        pairs = zip_longest(chunks(params, PARAMS_PER_BATCH), chunks(tags, TAGS_PER_BATCH), fillvalue=())
        with self._plain():
            for some_params, some_tags in pairs:
                self._client.log_batch(run.info.run_id, params=some_params, tags=some_tags, synchronous=True)
            if run.info.run_name != card.name:
                self._client.update_run(run.info.run_id, name=card.name)

    def log(self, run_id: str, points: Sequence[Point], *, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Send at most one batch of points and of tags, in one request."""
        from mlflow.entities import Metric, RunTag

        metrics = [
            Metric(safe_key(point.key), float(point.value), milliseconds(point.t), point.step) for point in points
        ]
        if metrics or tags:
            set_tags = [RunTag(key, value) for key, value in tags.items()]
            with self._plain():
                self._client.log_batch(run_id, metrics=metrics, tags=set_tags, synchronous=True)

    def rows(self, run: "Run", *, keys: Iterable[str]) -> frozenset[Row]:
        """The values of these metrics that the run has."""
        with self._plain():
            return frozenset(
                (metric.key, metric.step, metric.timestamp, spelled(metric.value))
                for key in keys
                if key in run.data.metrics
                for metric in self._client.get_metric_history(run.info.run_id, key)
            )

    def set_status(self, run: "Run", card: RunCard) -> None:
        """Set the run's status and end to the card's."""
        with self._plain():
            if card.status in ENDED:
                if (run.info.status, run.info.end_time) != (card.status, card.end_ms):
                    self._client.set_terminated(run.info.run_id, card.status, end_time=card.end_ms)
            elif run.info.status != card.status:
                self._client.update_run(run.info.run_id, status=card.status)

    def attach(self, run: "Run", files: Mapping[str, bytes]) -> None:
        """Upload artifacts; replaces those of equal name."""
        with self._plain(), tempfile.TemporaryDirectory(prefix="iwm-") as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._client.log_artifacts(run.info.run_id, folder)

    @contextlib.contextmanager
    def _plain(self) -> Iterator[None]:
        """Raise any error, those of drivers and sockets included, as one sentence without a password."""
        try:
            yield
        except IwmError:
            raise
        except Exception as error:
            uri = self.layout.tracking_uri
            reason = redact(" ".join(str(error).split()), url=uri)[:500]
            kind = RefusedError if getattr(error, "error_code", "") in REFUSALS else TrackingError
            raise kind(f"MLflow at '{shown(uri)}': {reason}", value=shown(uri)) from None


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The items, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def open_client(layout: Layout) -> "MlflowClient":
    """A client on this layout's MLflow. Creates or migrates our own database first."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = layout.tracking_uri
    with warnings.catch_warnings():
        # SQLAlchemy 2.1 warns about a loader strategy that MLflow's own tables use.
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy", category=DeprecationWarning)
        if file := sqlite_file(uri):
            return _open_sqlite(uri, file, is_ours=file == layout.state / "mlflow.db")
        parts = urlsplit(uri)
        if parts.hostname and parts.scheme not in getproxies():
            # Fails within seconds if nothing answers; MLflow itself retries a dead database for minutes.
            port = parts.port or {"http": 80, "https": 443, "mysql": 3306}.get(parts.scheme.partition("+")[0], 5432)
            socket.create_connection((parts.hostname, port), timeout=CONNECT_S).close()
        return _open_postgresql(uri) if uri.startswith("postgresql") else _client(uri)


def do_without_unused_libraries() -> None:
    """Make `UNUSED` unimportable in this process, which MLflow handles."""
    modules: dict[str, Any] = sys.modules
    for name in UNUSED:
        modules.setdefault(name, None)


def _client(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite tracking URI, as SQLAlchemy reads it (`%23` and `#` are both a `#`); None for any other."""
    scheme, _, file = uri.partition(":///")
    return Path(unquote(file.partition("?")[0])) if scheme == "sqlite" else None


def is_database(uri: str) -> bool:
    """Return True if the URI is a database without a server in front; artifacts are then files under the root."""
    return uri.partition(":")[0].partition("+")[0] in DATABASES


def without_credentials(uri: str) -> str:
    """The URI without user and password, which stays the same when a password is renewed."""
    place, _, query = uri.partition("?")
    user, at, _ = urlsplit(uri).netloc.rpartition("@")
    kept = [pair for pair in query.split("&") if pair.partition("=")[0] not in ("", "user", "password")]
    return "?".join([place.replace(user + at, "", 1), "&".join(kept)]).rstrip("?")


def _open_sqlite(uri: str, file: Path, *, is_ours: bool) -> "MlflowClient":
    """One process at a time creates or migrates the file, which remembers that it uses write-ahead logging."""
    file.parent.mkdir(parents=True, exist_ok=True)
    forget_connections(uri)
    with holding(file.with_name(file.name + ".lock"), wait_s=PREPARE_S) as alone:
        if not alone:
            raise TrackingError(f"another process has been preparing '{file}' for {PREPARE_S} s", path=file)
        if not file.exists() or not file.stat().st_size:
            _create(file)
        elif is_ours:
            _migrate(uri)
        return _client(uri)


def _open_postgresql(uri: str) -> "MlflowClient":
    """One process at a time lets MLflow create its tables: of several at once all but one fail, minutes later."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if uri in SqlAlchemyStore._engine_map:
        return _client(uri)
    with _engine(uri) as engine, engine.connect() as connection:  # the lock ends with the connection
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({ADVISORY_LOCK})")
        return _client(uri)


@contextlib.contextmanager
def _engine(uri: str) -> Iterator[Any]:
    """MLflow's engine on a database, disposed of at the end."""
    from mlflow.store.db.utils import create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(uri)
    try:
        yield engine
    finally:
        engine.dispose()


def forget_connections(uri: str) -> None:
    """Close the connections that MLflow caches by URI, even to a file that was deleted since."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    if engine := SqlAlchemyStore._engine_map.pop(uri, None):
        engine.dispose()
        _tracking_store_registry._get_store_with_resolved_uri.cache_clear()


def _create(file: Path) -> None:
    """Create a whole database: built in memory, where no migration waits for the disk, then renamed into place."""
    from mlflow.store.db.utils import _initialize_tables

    aside = file.with_name(f".{file.name}.new")
    aside.unlink(missing_ok=True)
    try:
        with _engine("sqlite:///:memory:") as engine, contextlib.closing(sqlite3.connect(aside)) as database:
            _initialize_tables(engine)
            connection: Any = engine.raw_connection()
            connection.driver_connection.backup(database)
            connection.close()
            database.execute("PRAGMA journal_mode = WAL")
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


def _migrate(uri: str) -> None:
    """Migrate our own database, which can be rebuilt, to the installed MLflow's version."""
    from mlflow.store.db.utils import _get_latest_schema_revision, _get_schema_version, _upgrade_db

    with _engine(uri) as engine:
        if _get_schema_version(engine) != _get_latest_schema_revision():
            _upgrade_db(engine)
