"""The loop of `iwm serve`: one process per root, until a signal. Three threads work, so that none blocks another.

    server        keeps MLflow's server running, or our pages alone where MLFLOW_TRACKING_URI names a server
    reconciler    service.observe: folds, detects lost workers, resumes preempted trials, on this machine and on SLURM
    gatherer      folds, sends to MLflow, keeps reports there; a process of its own makes each report

All state is in the databases, so a killed `iwm serve` continues where it was.
"""

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator import service
from orchestrator.errors import BusyError
from orchestrator.host.locks import holding
from orchestrator.host.signals import stop_flag
from orchestrator.records.layout import Layout
from orchestrator.serving.command import (
    choose,
    needs_password,
    pages_command,
    password_environment,
    server_command,
)
from orchestrator.serving.gathering import Gatherer
from orchestrator.serving.periodic import PeriodicTask
from orchestrator.serving.server import Server
from orchestrator.store.database import Store
from orchestrator.tracking.links import PORT, is_server, ui_url

log = logging.getLogger(__name__)

TICK_S = 0.2
GATHER_REST = 1.0
"""The gatherer rests as long as it works: half a core at most, and a hundred live trials are seen within seconds."""
LOOK_S = 3.0
TAKE_S = 0.5
FREE_S = 8.0
"""Seconds that the server of a killed `iwm serve` may still occupy the port."""
FINISH_S = 10.0
"""Seconds that a pass may take to finish at the end; then it is abandoned, which loses nothing."""

Announce = Callable[[str, str], None]
"""Called once with the addresses of the MLflow UI and of our pages, when they answer."""


def serve(
    layout: Layout,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    poll_s: float = 10.0,
    gather_s: float = 1.0,
    announce: Announce,
) -> None:
    """Serve the root until SIGTERM or Ctrl-C.

    Raises:
        RequestError: the root is not writable, others could reach the address without a password, or it is in use.
        BusyError: another process serves the root.
    """
    pages_only = is_server(layout)
    asks = needs_password(host, port=port, pages_only=pages_only, environ=os.environ)
    service.check_root(layout)
    with holding(layout.serve_lock, wait_s=TAKE_S) as alone, stop_flag() as stop:
        note = _note_of(layout)
        if not alone:
            by = f" by process {note['pid']}" if note else ""
            at = f": {note['url']}" if "url" in note else ""
            raise BusyError(f"root '{layout.root}' is already served{by}{at}", value=note.get("pid"), path=layout.root)
        address = choose(host, port=port, wait_s=FREE_S if note else 0.0)
        command = pages_command if pages_only else server_command
        extra = password_environment(layout, environ=os.environ) if asks else {}
        server = Server(layout, address, command=command, extra=extra)
        _note(layout, {"pid": os.getpid()})
        with _at_work(layout, server, poll_s=poll_s, gather_s=gather_s):
            announced = False
            while not stop():
                if not announced and server.is_ready:
                    pages = address.url
                    url = ui_url(layout) if pages_only else pages
                    _note(layout, {"url": url, "pid": os.getpid(), "pages": pages})
                    announce(url, pages)
                    announced = True
                time.sleep(TICK_S)
        _note(layout, {})
        log.info("stopped by %s", stop())


@contextlib.contextmanager
def _at_work(layout: Layout, server: Server, *, poll_s: float, gather_s: float) -> Iterator[None]:
    """Run the threads while the block lasts."""
    ended = threading.Event()
    gatherer = Gatherer(layout, ended=ended.is_set)

    def reconcile() -> None:
        with Store.open(layout.database_url) as store:
            service.observe(layout, store)

    threads = [
        PeriodicTask(server.look, name="MLflow's server", every_s=TICK_S, ended=ended),
        PeriodicTask(reconcile, name="reconciler", every_s=poll_s, ended=ended),
        PeriodicTask(gatherer, name="gatherer", every_s=gather_s, ended=ended, rest=GATHER_REST),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        deadline = time.monotonic() + FINISH_S
        threads[0].join(timeout=LOOK_S)
        server.close()  # before the other threads, because it takes longest
        for thread in threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        gatherer.close()


def _note(layout: Layout, content: dict[str, Any]) -> None:
    """Write into the lock's file who serves the root, for processes that find it held."""
    with contextlib.suppress(OSError):
        layout.serve_lock.write_text(json.dumps(content))


def _note_of(layout: Layout) -> dict[str, Any]:
    """The content of the lock's file; empty after an orderly end."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(layout.serve_lock.read_text()))
    return {}
