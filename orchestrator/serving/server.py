"""MLflow's server as a child: started, watched, started again, ended. So are our pages, where the server is another's.

A look returns at once, but where the database does not answer: MLflow tries that for two minutes. Hence it is a thread
that looks, and another one that ends the server.
The database is made or migrated before the server opens it, by the one who knows how to do that alone. Where somebody
deleted and remade it, the server, which would go on showing the deleted file, is started again.
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
"""Pauses before the first, second ... start after a failure; the last one is kept to."""
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
        """`extra`: what its process is told beside what every server is."""
        self.address, self.is_ready = address, False
        self._layout, self._command, self._extra = layout, command, extra
        self._warden: subprocess.Popen[bytes] | None = None
        self._failures, self._not_before = 0, 0.0
        self._database, self._is_closed = 0, False

    def look(self) -> None:
        """Starts the server where it does not run, and says so where it has ended."""
        if self._warden is None:
            return self._start() if time.monotonic() >= self._not_before else None
        if self._warden.poll() is not None:
            self._on_exit()
        elif self._database != inode(self._layout):
            log.info("MLflow's database was deleted or made anew; its server is started again")
            self._end()
        elif not self.is_ready and answers(self.address):
            self.is_ready, self._failures = True, 0

    def close(self) -> None:
        """Ends the server and every process of it, for good."""
        self._is_closed = True
        self._end()

    def _end(self) -> None:
        if self._warden is not None:
            _close_pipe(self._warden)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._warden.wait(timeout=END_S + 2)
            self._bury()

    def _start(self) -> None:
        from orchestrator.tracking.client import Tracking

        try:
            if not is_server(self._layout):
                Tracking(self._layout)
            self._database = inode(self._layout)
            if not self._is_closed:
                self._warden = self._spawn()
        except (TrackingError, OSError) as error:
            self._later(f"MLflow's server is not started: {error}")

    def _spawn(self) -> "subprocess.Popen[bytes]":
        with _fresh(self._layout.server_log).open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "orchestrator.serving.supervisor", *self._command(self.address)],
                env={**server_environment(self._layout, environ=os.environ), **self._extra},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _on_exit(self) -> None:
        log_file = self._layout.server_log
        said = " / ".join(last_lines(log_file, count=2)) or "it said nothing"
        self._bury()
        self._later(f"MLflow's server has ended ({said}; see '{log_file}'); it is started again")

    def _bury(self) -> None:
        """Nobody of the supervisor's group is left after this, even where the supervisor itself was killed."""
        if self._warden is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._warden.pid, signal.SIGKILL)
            _close_pipe(self._warden)
            self._warden.wait()
        self._warden, self.is_ready = None, False

    def _later(self, why: str) -> None:
        log.warning("%s", why)
        self._not_before = time.monotonic() + RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1


def _close_pipe(supervisor: "subprocess.Popen[bytes]") -> None:
    if supervisor.stdin is not None:
        supervisor.stdin.close()


def answers(address: Address) -> bool:
    """Whether MLflow's server answers there."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_S)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def inode(layout: Layout) -> int:
    """Tells an SQLite file from one that was made anew; 0 where there is none, or MLflow's database is no file."""
    from orchestrator.tracking.client import sqlite_file

    file = sqlite_file(layout.tracking_uri)
    with contextlib.suppress(OSError):
        return file.stat().st_ino if file else 0
    return 0


def last_lines(path: Path, *, count: int) -> list[str]:
    """The last lines of a log that say something."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").splitlines()
        return [line.strip()[:200] for line in lines if line.strip()][-count:]
    return []


def _fresh(path: Path) -> Path:
    """The log, begun anew where it has grown long; the old one stays beside it."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".old.log"))
    return path
