"""Where everything is, and how the environment moves it."""

from pathlib import Path

import pytest

from orchestrator.records.layout import Layout
from orchestrator.store.database import Store


def test_everything_lies_under_the_root(tmp_path):
    layout = Layout.of(tmp_path, environ={})
    assert layout.database_url == f"sqlite:///{tmp_path}/orchestrator.db"
    assert layout.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert layout.trial("abc").attempt(3) == tmp_path / "trials/abc/journal/attempt-0003.jsonl"
    assert layout.trial("abc").claim(0).name == "claim-0000.json"
    assert layout.trial("abc").control_event(claim=2, sequence=1).name == "event-0002-01.json"


def test_the_environment_moves_the_databases(tmp_path):
    environ = {"IWM_STATE": str(tmp_path / "local"), "MLFLOW_TRACKING_URI": "http://mlflow:5000"}
    layout = Layout.of(tmp_path / "share", environ=environ)
    assert layout.database_url == f"sqlite:///{tmp_path}/local/orchestrator.db"
    assert layout.tracking_uri == "http://mlflow:5000"
    assert layout.artifacts == tmp_path / "share" / "mlartifacts"


def test_a_relative_root_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Layout.of("runs", environ={}).root == tmp_path / "runs"
    assert Layout.of("~/runs", environ={}).root == Path.home() / "runs"


@pytest.mark.parametrize("name", ["with space", "a#b", "100%25", "what?", "quote'd", "ünïcode"])
def test_a_root_may_be_called_anything(tmp_path, name):
    layout = Layout.of(tmp_path / name, environ={})
    layout.root.mkdir()
    Store.open(layout.database_url).close()
    assert (tmp_path / name / "orchestrator.db").exists()
