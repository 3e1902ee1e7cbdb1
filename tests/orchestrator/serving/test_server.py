"""A server is kept running: here a stand-in that answers as MLflow's does and starts in no time."""

import logging
import os
import signal
import sys
from pathlib import Path

import pytest

from orchestrator.records.layout import Layout
from orchestrator.serving.command import choose
from orchestrator.serving.server import LOG_BYTES, Server, answers
from tests.e2e.conftest import until

STAND_IN = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


def stand_in(address):
    return [sys.executable, "-c", STAND_IN, str(address.port)]


def broken(address):
    return [sys.executable, "-c", "raise SystemExit('no such option')", str(address.port)]


@pytest.fixture
def start(tracked, caplog):
    caplog.set_level(logging.INFO, logger="orchestrator.serving")
    made = []

    def start(command=stand_in, layout=tracked.layout):
        made.append(Server(layout, choose("127.0.0.1", port=0), command=command))
        return made[-1]

    yield start
    for server in made:
        server.close()


def until_ready(server):
    def is_ready():
        server.look()
        return server.is_ready

    until(is_ready)
    assert answers(server.address)


def test_it_is_started_and_ended(start):
    server = start()
    assert not answers(server.address)
    until_ready(server)
    server.close()
    assert not answers(server.address)
    assert not server.is_ready


@pytest.mark.parametrize("whom", ["supervisor", "server"])
def test_killed_it_is_started_again(start, caplog, whom):
    server = start()
    until_ready(server)
    supervisor = server._supervisor.pid
    (child,) = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    os.kill(supervisor if whom == "supervisor" else int(child), signal.SIGKILL)

    def was_noticed():
        server.look()
        return not server.is_ready

    until(was_noticed)
    until_ready(server)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_database_that_was_made_anew_is_opened(start, caplog, tracked):
    server = start()
    until_ready(server)
    (tracked.layout.state / "mlflow.db").unlink()
    server.look()
    assert not server.is_ready
    until_ready(server)
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_why_it_ended_is_said_and_the_pauses_grow(start, caplog, tracked):
    server = start(broken)

    def has_failed():
        server.look()
        return server._failures == 2

    until(has_failed)
    log_file = tracked.layout.server_log
    assert len(caplog.messages) == 2
    assert all("no such option / exit code 1" in line and str(log_file) in line for line in caplog.messages)
    log_file.write_bytes(b"x" * (LOG_BYTES + 1))
    server._not_before = 0.0
    server.look()
    assert log_file.stat().st_size < LOG_BYTES
    assert log_file.with_suffix(".old.log").stat().st_size > LOG_BYTES


def test_a_database_out_of_reach_delays(start, caplog, tmp_path):
    server = start(layout=Layout.of(tmp_path, environ={"MLFLOW_TRACKING_URI": "postgresql://127.0.0.1:9/mlflow"}))
    server.look()
    server.look()
    (line,) = caplog.messages
    assert "postgresql://127.0.0.1:9/mlflow" in line
    assert not server.is_ready


def test_one_that_is_closed_stays_so(start):
    server = start()
    server.close()
    server.look()
    assert server._supervisor is None
