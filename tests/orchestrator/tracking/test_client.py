"""MLflow's client: opened, or refused in one sentence that has no password in it."""

import contextlib
import multiprocessing
import shutil
import sqlite3

import pytest

from orchestrator.errors import TrackingError
from orchestrator.records.layout import Layout
from orchestrator.tracking.client import RefusedError, Tracking, is_database, sqlite_file, without_credentials
from orchestrator.tracking.run_card import RunCard

CARD = RunCard(name="one", status="RUNNING", start_ms=5, end_ms=None, params={}, tags={"key": "value"})


def open_and_create(root):
    Tracking(Layout.of(root, environ={})).experiment("iwm")


@pytest.mark.slow
def test_two_processes_that_find_no_database_make_one(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=open_and_create, args=(tmp_path / "root",)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert not list((tmp_path / "root").glob(".mlflow*"))
    database = sqlite3.connect(tmp_path / "root" / "mlflow.db")
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("SELECT count(*) FROM experiments WHERE name = 'iwm'").fetchone() == (1,)
    database.close()


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_nobody_there_is_said_without_the_password(tmp_path, scheme):
    layout = Layout.of(tmp_path, environ={"MLFLOW_TRACKING_URI": f"{scheme}://anna:s3cret@127.0.0.1:9/mlflow"})
    with pytest.raises(TrackingError) as caught:
        Tracking(layout)
    assert caught.value.value == f"{scheme}://anna:***@127.0.0.1:9/mlflow"
    assert "s3cret" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_an_error_of_tracking(tmp_path):
    (tmp_path / "file").touch()
    layout = Layout.of(tmp_path, environ={"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/file/mlflow.db"})
    with pytest.raises(TrackingError) as caught:
        Tracking(layout)
    assert caught.value.value == layout.tracking_uri


def test_a_database_that_is_none_is_an_error_of_tracking(tracked):
    (tracked.layout.state / "mlflow.db").write_text("not a database, however long one reads in it" * 9)
    with pytest.raises(TrackingError) as caught:
        Tracking(tracked.layout)
    assert caught.value.value == tracked.layout.tracking_uri


def test_a_deleted_experiment_stays_deleted_and_another_takes_its_name(tracked):
    tracking = Tracking(tracked.layout)
    assert tracking.experiment("iwm").experiment_id == "1"
    assert tracking.experiment("iwm").experiment_id == "1"
    tracking._client.delete_experiment("1")
    assert tracking.experiment("iwm").experiment_id == "2"
    deleted = tracking._client.get_experiment("1")
    assert (deleted.lifecycle_stage, deleted.name) == ("deleted", "iwm (deleted 1)")


def test_a_run_is_found_by_its_tag_and_start(tracked):
    tracking = Tracking(tracked.layout)
    experiment_id = tracking.experiment("iwm").experiment_id
    run = tracking.create(experiment_id, CARD, tag="key")
    found = tracking.find(experiment_id, tag="key", value="value", start_ms=5)
    assert found is not None
    assert found.info.run_id == run.info.run_id
    assert tracking.find(experiment_id, tag="key", value="value", start_ms=6) is None
    assert tracking.find(experiment_id, tag="key", value="other", start_ms=5) is None
    tracking.delete(run)
    assert tracking.find(experiment_id, tag="key", value="value", start_ms=5) is None
    assert tracking.get(run.info.run_id) is None
    assert tracking.get("0" * 32) is None
    with pytest.raises(RefusedError):
        tracking.describe(run, RunCard(name="one", status="", start_ms=5, end_ms=None, params={}, tags={"a": "b"}))


def test_more_parameters_and_tags_than_a_batch_holds(tracked):
    tracking = Tracking(tracked.layout)
    experiment_id = tracking.experiment("iwm").experiment_id
    run = tracking.create(experiment_id, CARD, tag="key")
    params = {f"p{number}": str(number) for number in range(230)}
    tags = {f"t{number}": str(number) for number in range(120)}
    tracking.describe(run, RunCard(name="two", status="", start_ms=5, end_ms=None, params=params, tags=tags))
    found = tracking.get(run.info.run_id)
    assert found is not None
    assert found.data.params == params
    assert tags.items() <= found.data.tags.items()
    assert found.info.run_name == "two"


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:////data/mlflow.db", "/data/mlflow.db"),
        ("sqlite:///mlflow.db", "mlflow.db"),
        ("sqlite:////data/a#b c/mlflow.db", "/data/a#b c/mlflow.db"),
        ("sqlite:////data/a%23b%3Fc%25d/mlflow.db?timeout=5", "/data/a#b?c%d/mlflow.db"),
        ("postgresql://db/mlflow", None),
        ("http://127.0.0.1:5000", None),
    ],
)
def test_sqlite_is_told_by_its_uri(uri, file):
    found = sqlite_file(uri)
    assert (str(found) if found else None) == file


@pytest.mark.parametrize("uri", ["sqlite:///{}/a#b/mlflow.db", "sqlite:///{}/100%25 a%3Fb/mlflow.db"])
def test_a_folder_of_odd_signs_is_used_as_it_is_spelled(tmp_path, empty_mlflow, uri):
    layout = Layout.of(tmp_path / "root", environ={"MLFLOW_TRACKING_URI": uri.format(tmp_path)})
    file = sqlite_file(layout.tracking_uri)
    assert file is not None
    file.parent.mkdir()
    shutil.copy(empty_mlflow, file)
    Tracking(layout).experiment("odd")
    with contextlib.closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT count(*) FROM experiments WHERE name = 'odd'").fetchone() == (1,)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("https://anna:s3cret@mlflow.example:8443/lab", "https://mlflow.example:8443/lab"),
        ("postgresql:///iwm?host=/run/pg&user=anna&password=s3cret", "postgresql:///iwm?host=/run/pg"),
    ],
)
def test_a_place_is_the_same_for_everybody(uri, place):
    assert without_credentials(uri) == place


@pytest.mark.parametrize(
    ("uri", "is_one"),
    [
        ("sqlite:////data/mlflow.db", True),
        ("postgresql+psycopg://db/mlflow", True),
        ("https://mlflow.lab", False),
        ("databricks", False),
    ],
)
def test_artifacts_lie_under_the_root_where_no_server_keeps_them(uri, is_one):
    assert is_database(uri) is is_one
