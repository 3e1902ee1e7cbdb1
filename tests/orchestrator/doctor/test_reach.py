"""The database and MLflow: reached, not reached, and without a password in what is said."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestrator.doctor.finding import Verdict
from orchestrator.doctor.reach import examine_reach, sqlite_path
from orchestrator.records.layout import Layout


def findings(root, **environ):
    return {one.name: one for one in examine_reach(Layout.of(root, environ=environ))}


def test_defaults_under_a_root_that_is_not_there(tmp_path):
    found = findings(tmp_path / "runs")
    assert {one.verdict for one in found.values()} == {Verdict.OK}
    assert not list(tmp_path.iterdir())


def test_databases_out_of_reach(tmp_path):
    postgresql = findings(tmp_path, IWM_DATABASE_URL="postgresql+psycopg://me:hunter2@127.0.0.1:9/iwm")["database"]
    assert postgresql.verdict is Verdict.FAILED
    assert "hunter2" not in postgresql.value
    (tmp_path / "file").write_text("")
    assert findings(tmp_path, IWM_STATE=str(tmp_path / "file"))["database"].verdict is Verdict.FAILED
    (tmp_path / "orchestrator.db").write_text("no database " * 100)
    assert findings(tmp_path)["database"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    "uri", ["http://me:hunter2@127.0.0.1:9", "postgresql://me:hunter2@127.0.0.1:9/mlflow", "http://127.0.0.1:99999"]
)
def test_an_unreachable_mlflow_is_a_warning(tmp_path, uri):
    line = findings(tmp_path, MLFLOW_TRACKING_URI=uri)["MLflow"]
    assert line.verdict is Verdict.WARNING
    assert "hunter2" not in line.value
    assert "iwm sync" in line.means


@pytest.fixture
def server():
    """Answers /health with the code that it was told to."""

    class Handler(BaseHTTPRequestHandler):
        code = 200

        def do_GET(self):
            self.send_response(self.code if self.path == "/health" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", Handler
        server.shutdown()


@pytest.mark.parametrize(("code", "verdict"), [(200, Verdict.OK), (401, Verdict.OK), (404, Verdict.WARNING)])
def test_a_server_is_asked_for_its_health(tmp_path, server, code, verdict):
    base, handler = server
    handler.code = code
    line = findings(tmp_path, MLFLOW_TRACKING_URI=base + "/")["MLflow"]
    assert line.verdict is verdict, line


def test_the_file_of_an_sqlite_url(tmp_path):
    layout = Layout.of(tmp_path / "100% mine", environ={})
    assert sqlite_path(layout.database_url) == layout.state / "orchestrator.db"
    assert sqlite_path("postgresql://me@here/iwm") is None
