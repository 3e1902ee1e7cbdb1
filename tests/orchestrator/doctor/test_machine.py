"""This machine: interpreters without torch, folders that are left clean, services without a password in the output."""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata

import pytest

from orchestrator.doctor.finding import Verdict
from orchestrator.doctor.machine import (
    examine_folder,
    examine_packages,
    examine_services,
    file_system,
    fsync_ms,
    scratch,
    sqlite_path,
)
from orchestrator.records.layout import Layout


def test_what_is_installed_here():
    found = {one.name: one for one in examine_packages()}
    assert found["torch"].value.partition("+")[0] == metadata.version("torch").partition("+")[0]
    assert found["submitit"].value == metadata.version("submitit")
    assert sys.executable in found["python"].means
    assert found["CUDA devices"].verdict in (Verdict.OK, Verdict.NOT_THERE)
    assert {one.verdict for one in found.values()} <= {Verdict.OK, Verdict.NOT_THERE}


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo 'ModuleNotFoundError: no torch' >&2; exit 1", "no torch"), ("kill -SEGV $$", "no output")],
)
def test_a_torch_that_cannot_be_loaded_is_a_finding(tmp_path, script, said):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    found = {one.name: one for one in examine_packages(str(python))}
    assert found["torch"].verdict is Verdict.FAILED
    assert said in found["torch"].value
    assert "CUDA devices" not in found


def test_a_folder_that_does_everything(tmp_path):
    found = {one.name: one for one in examine_folder(tmp_path, shared=False)}
    for name in ("folder", "exclusive create", "hard link", "rename", "flock", "clock"):
        assert found[name].verdict is Verdict.OK, found[name]
    assert {"fsync", "space"} < set(found)
    assert not list(tmp_path.iterdir())


def test_a_root_that_is_not_there_yet_stays_away(tmp_path):
    examine_folder(tmp_path / "far" / "runs", shared=False)
    assert not list(tmp_path.iterdir())


def test_a_root_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    (line,) = examine_folder(tmp_path / "file", shared=False)
    assert line.verdict is Verdict.FAILED
    assert "--root" in line.means


def test_a_scratch_folder_goes_although_something_went_wrong(tmp_path):
    with pytest.raises(RuntimeError), scratch(tmp_path / "runs"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


MOUNTS = r"""22 27 0:21 / / rw,relatime - ext4 /dev/vda1 rw
23 22 0:22 / /home rw,relatime shared:1 - nfs4 server:/home rw
24 22 0:23 / /with\040space rw - lustre x rw
"""


@pytest.mark.parametrize(
    ("path", "kind"), [("/home/me/runs", "nfs4"), ("/homeless", "ext4"), ("/with space/runs", "lustre"), ("/", "ext4")]
)
def test_kinds_of_file_systems(tmp_path, path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system(type(tmp_path)(path), mounts=mounts) == kind
    assert file_system(tmp_path, mounts=tmp_path / "none") == ""


def test_one_machine_s_own_disk_is_no_place_for_a_cluster(tmp_path):
    found = {one.name: one for one in examine_folder(tmp_path, shared=True)}
    kind = file_system(tmp_path)
    assert found["folder"].verdict is (Verdict.WARNING if kind in ("ext4", "overlay", "tmpfs", "xfs") else Verdict.OK)


def test_fsync_takes_some_time(tmp_path):
    assert fsync_ms(tmp_path, times=3) > 0
    assert os.listdir(tmp_path) == ["journal"]


def findings(root, **environ):
    return {one.name: one for one in examine_services(Layout.of(root, environ=environ))}


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
