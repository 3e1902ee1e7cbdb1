"""MLflow's server as a child process: started, watched, restarted, ended. So are our pages beside another's server.

A look returns at once unless the database does not answer: MLflow tries for two minutes. So a thread of its own looks,
and another thread ends the server.
The database is made or migrated before the server opens it, by one process alone. A server whose database was deleted
and made again would show the deleted file, so it is restarted.
"""

import contextlib
import http.client
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.errors import TrackingError
from orchestrator.records.layout import Layout
from orchestrator.serving.command import Address, server_command, server_environment
from orchestrator.serving.supervisor import END_S
from orchestrator.tracking.links import is_server

log = logging.getLogger(__name__)

RETRY_S = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Pauses before each restart after a failure; the last one repeats."""
ANSWER_S = 2.0
LOG_BYTES = 1_000_000
NOTHING: Mapping[str, str] = {}


class Server:
    """MLflow's server of one root."""

    def __init__(
        self,
        layout: Layout,
        address: Address,
        *,
        command: Callable[[Address], list[str]] = server_command,
        extra: Mapping[str, str] = NOTHING,
    ) -> None:
        """`extra` are environment variables beside those of `server_environment`."""
        self.address, self.is_ready = address, False
        self._layout, self._command, self._extra = layout, command, extra
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._failures, self._not_before = 0, 0.0
        self._database, self._is_closed = 0, False

    def look(self) -> None:
        """Start the server if it does not run; log and restart it if it has exited or lost its database."""
        if self._supervisor is None:
            if time.monotonic() >= self._not_before:
                self._start()
        elif self._supervisor.poll() is not None:
            log_file = self._layout.server_log
            last = " / ".join(last_lines(log_file, count=2)) or "it printed nothing"
            self._end()
            self._retry_later(f"MLflow's server has exited ({last}; see '{log_file}'); restarting it")
        elif self._database != inode(self._layout):
            log.info("MLflow's database was deleted or recreated; restarting the server")
            self._end()
        elif not self.is_ready and answers(self.address):
            self.is_ready, self._failures = True, 0

    def close(self) -> None:
        """End the server and all of its processes, for good."""
        self._is_closed = True
        self._end()

    def _end(self) -> None:
        """Close the supervisor's pipe, which makes it end its group; then kill what is left of the group."""
        if self._supervisor is not None:
            assert self._supervisor.stdin
            self._supervisor.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._supervisor.wait(timeout=END_S + 2)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._supervisor.pid, signal.SIGKILL)
            self._supervisor.wait()
        self._supervisor, self.is_ready = None, False

    def _start(self) -> None:
        from orchestrator.tracking.client import Tracking

        try:
            if not is_server(self._layout):
                Tracking(self._layout)
            self._database = inode(self._layout)
            if self._is_closed:
                return
            log_file = self._layout.server_log
            if log_file.exists() and log_file.stat().st_size > LOG_BYTES:
                log_file.replace(log_file.with_suffix(".old.log"))
            with log_file.open("ab") as out:
                self._supervisor = subprocess.Popen(
                    [sys.executable, "-m", "orchestrator.serving.supervisor", *self._command(self.address)],
                    env={**server_environment(self._layout, environ=os.environ), **self._extra},
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except (TrackingError, OSError) as error:
            self._retry_later(f"cannot start MLflow's server: {error}")

    def _retry_later(self, why: str) -> None:
        log.warning("%s", why)
        self._not_before = time.monotonic() + RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1


def answers(address: Address) -> bool:
    """Return True if MLflow's server answers there."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_S)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def inode(layout: Layout) -> int:
    """The inode of MLflow's SQLite file, which changes when it is made again; 0 if there is none."""
    from orchestrator.tracking.client import sqlite_file

    file = sqlite_file(layout.tracking_uri)
    with contextlib.suppress(OSError):
        return file.stat().st_ino if file else 0
    return 0


def last_lines(path: Path, *, count: int) -> list[str]:
    """The last lines of a log that are not blank."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").splitlines()
        return [line.strip()[:200] for line in lines if line.strip()][-count:]
    return []
