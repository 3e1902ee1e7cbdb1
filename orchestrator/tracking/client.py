"""MLflow's client behind plain errors: the only door of mlflow, which is loaded when a client is opened.

An SQLite backend is built in memory, written aside and renamed into place, so that a killed process leaves a whole
database or none, and processes that find none take turns. Whatever MLflow raises becomes one sentence without a
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
"""Set in our process, before mlflow is loaded, where the user has not set them."""

REFUSALS = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"})
"""MLflow is there, and does not want this."""


DATABASES = frozenset({"sqlite", "postgresql", "mysql", "mssql"})

LUXURIES = ("pandas", "pyarrow")
"""What MLflow's client loads and we never use: 75 MB and a second."""


class RefusedError(TrackingError):
    """MLflow answered, and said no to one run."""


@dataclass
class Tracking:
    """MLflow's client behind plain errors.

    Raises:
        TrackingError: from the constructor and every method, when MLflow is out of reach.
    """

    layout: Layout
    _client: "MlflowClient" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        with self._plain():
            self._client = open_client(self.layout)

    def experiment(self, name: str) -> "Experiment":
        """The experiment, made where there is none. A deleted one stays deleted, under another name."""
        with self._plain():
            found = self._client.get_experiment_by_name(name)
            if found and found.lifecycle_stage == "active":
                return found
            if found:
                self._move_aside(found.experiment_id, name)
            return self._create_experiment(name)

    def _move_aside(self, experiment_id: str, name: str) -> None:
        """MLflow keeps a deleted experiment's name taken; restoring it for good would bring back every deleted run."""
        self._client.restore_experiment(experiment_id)
        self._client.rename_experiment(experiment_id, f"{name} (deleted {experiment_id})")
        self._client.delete_experiment(experiment_id)

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
        """Sets a tag of an experiment."""
        with self._plain():
            self._client.set_experiment_tag(experiment.experiment_id, key, value)

    def get(self, run_id: str) -> "Run | None":
        """The run; None where there is none, or it was deleted."""
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
        """A new run; it has the tag by which `find` finds it from the first moment."""
        with self._plain():
            return self._client.create_run(
                experiment_id, start_time=card.start_ms, tags={tag: card.tags[tag]}, run_name=card.name
            )

    def delete(self, run: "Run") -> None:
        """Puts the run into MLflow's bin."""
        with self._plain():
            self._client.delete_run(run.info.run_id)

    def describe(self, run: "Run", card: RunCard) -> None:
        """Sends the parameters and tags that the run does not have, and its name."""
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
        """Sends at most a batch of points, and of tags, in one request."""
        from mlflow.entities import Metric, RunTag

        metrics = [
            Metric(safe_key(point.key), float(point.value), milliseconds(point.t), point.step) for point in points
        ]
        if metrics or tags:
            set_tags = [RunTag(key, value) for key, value in tags.items()]
            with self._plain():
                self._client.log_batch(run_id, metrics=metrics, tags=set_tags, synchronous=True)

    def rows(self, run: "Run", *, keys: Iterable[str]) -> frozenset[Row]:
        """What the run has of these metrics."""
        with self._plain():
            histories = [
                self._client.get_metric_history(run.info.run_id, key) for key in keys if key in run.data.metrics
            ]
        return frozenset(
            (metric.key, metric.step, metric.timestamp, spelled(metric.value))
            for history in histories
            for metric in history
        )

    def set_status(self, run: "Run", card: RunCard) -> None:
        """Moves the run to the card's status and end."""
        with self._plain():
            if card.status in ENDED:
                if (run.info.status, run.info.end_time) != (card.status, card.end_ms):
                    self._client.set_terminated(run.info.run_id, card.status, end_time=card.end_ms)
            elif run.info.status != card.status:
                self._client.update_run(run.info.run_id, status=card.status)

    def attach(self, run: "Run", files: Mapping[str, bytes]) -> None:
        """Logs files; those of equal name are replaced."""
        with self._plain(), tempfile.TemporaryDirectory(prefix="iwm-") as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._client.log_artifacts(run.info.run_id, folder)

    @contextlib.contextmanager
    def _plain(self) -> Iterator[None]:
        """One sentence without a password for whatever MLflow raises: it lets through what drivers and sockets do."""
        try:
            yield
        except IwmError:
            raise
        except Exception as error:
            uri = self.layout.tracking_uri
            reason = redact(" ".join(str(error).split()), url=uri)[:500]
            kind = RefusedError if getattr(error, "error_code", "") in REFUSALS else TrackingError
            raise kind(f"MLflow at '{shown(uri)}': {reason}") from None


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The items, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def open_client(layout: Layout) -> "MlflowClient":
    """A client on this layout's MLflow; a database of our own is made or migrated first."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # SQLAlchemy 2.1 warns of a loader strategy that MLflow's own tables use; nothing here can change that.
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy", category=DeprecationWarning)
        if file := sqlite_file(layout.tracking_uri):
            return _open_sqlite(layout, file)
        _knock(layout.tracking_uri)
        return _open_postgresql(layout) if layout.tracking_uri.startswith("postgresql") else _client(layout)


def do_without_luxuries() -> None:
    """Keeps MLflow, which bears it, from loading them into this process; nor can anybody else in it."""
    modules: dict[str, Any] = sys.modules
    for name in LUXURIES:
        modules.setdefault(name, None)


def _client(layout: Layout) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=layout.tracking_uri)


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite tracking URI, as SQLAlchemy reads it (`%23` and `#` are both a `#`); None for any other."""
    scheme, _, file = uri.partition(":///")
    return Path(unquote(file.partition("?")[0])) if scheme == "sqlite" else None


def is_database(uri: str) -> bool:
    """Whether no server stands between us and MLflow's database: then artifacts are files under the root."""
    return uri.partition(":")[0].partition("+")[0] in DATABASES


def without_credentials(uri: str) -> str:
    """The URI without who asks: what stays equal when a password is renewed."""
    place, _, query = uri.partition("?")
    who, at, _ = urlsplit(uri).netloc.rpartition("@")
    asked = [pair for pair in query.split("&") if pair.partition("=")[0] not in ("", "user", "password")]
    return "?".join([place.replace(who + at, "", 1), "&".join(asked)]).rstrip("?")


def _open_sqlite(layout: Layout, file: Path) -> "MlflowClient":
    """One process at a time makes or migrates the file; it remembers that it uses write-ahead logging."""
    file.parent.mkdir(parents=True, exist_ok=True)
    forget_connections(layout.tracking_uri)
    with holding(file.with_name(file.name + ".lock"), wait_s=PREPARE_S) as alone:
        if not alone:
            raise TrackingError(f"another process has been preparing '{file}' for {PREPARE_S} s")
        if not file.exists() or not file.stat().st_size:
            _create(file)
        elif file == layout.state / "mlflow.db":
            _migrate(layout.tracking_uri)
        return _client(layout)


def _open_postgresql(layout: Layout) -> "MlflowClient":
    """One process at a time lets MLflow make its tables: of several at once all but one would fail, minutes later."""
    from mlflow.store.db.utils import create_sqlalchemy_engine
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if layout.tracking_uri in SqlAlchemyStore._engine_map:
        return _client(layout)
    engine = create_sqlalchemy_engine(layout.tracking_uri)
    try:
        with engine.connect() as connection:  # the lock ends with it
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({ADVISORY_LOCK})")
            return _client(layout)
    finally:
        engine.dispose()


def forget_connections(uri: str) -> None:
    """MLflow keeps its connections by URI for as long as the process lives, also to a file that was deleted since."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    if engine := SqlAlchemyStore._engine_map.pop(uri, None):
        engine.dispose()
        _tracking_store_registry._get_store_with_resolved_uri.cache_clear()


def _create(file: Path) -> None:
    """A whole database, or none: built in memory, where no migration waits for the disk, then renamed."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    aside = file.with_name(f".{file.name}.new")
    aside.unlink(missing_ok=True)
    engine = create_sqlalchemy_engine("sqlite:///:memory:")
    try:
        _initialize_tables(engine)
        with contextlib.closing(sqlite3.connect(aside)) as database:
            connection: Any = engine.raw_connection()
            connection.driver_connection.backup(database)
            connection.close()
            database.execute("PRAGMA journal_mode = WAL")
        aside.replace(file)
    finally:
        engine.dispose()
        aside.unlink(missing_ok=True)


def _migrate(uri: str) -> None:
    """Brings our own database, which can be made again, to the version of the installed MLflow."""
    from mlflow.store.db.utils import (
        _get_latest_schema_revision,
        _get_schema_version,
        _upgrade_db,
        create_sqlalchemy_engine,
    )

    engine = create_sqlalchemy_engine(uri)
    try:
        if _get_schema_version(engine) != _get_latest_schema_revision():
            _upgrade_db(engine)
    finally:
        engine.dispose()


def _knock(uri: str) -> None:
    """Fails within seconds where nobody answers: MLflow itself would try a dead database for minutes."""
    parts = urlsplit(uri)
    if not parts.hostname or parts.scheme in getproxies():
        return
    port = parts.port or {"http": 80, "https": 443, "mysql": 3306}.get(parts.scheme.partition("+")[0], 5432)
    socket.create_connection((parts.hostname, port), timeout=CONNECT_S).close()
