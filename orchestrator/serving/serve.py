"""One process per root, until a signal comes. Three threads do the work, so that none waits for what another waits for.

    server        MLflow's server, or where MLFLOW_TRACKING_URI names one our pages alone: kept running
    reconciler    service.observe: fold, name the lost, start the preempted again, on this machine and on SLURM
    gatherer      fold, send to MLflow, keep reports there; a report is made by a process of its own

Nothing is remembered between passes but what the databases hold, so a killed `iwm serve` goes on where it was.
"""

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from orchestrator import service
from orchestrator.errors import BusyError
from orchestrator.host.locks import holding
from orchestrator.host.signals import StopFlag, stop_flag
from orchestrator.records.layout import Layout
from orchestrator.serving import command
from orchestrator.serving.command import pages_command, server_command
from orchestrator.serving.gathering import Gatherer
from orchestrator.serving.password import is_asked_for, password_environment
from orchestrator.serving.periodic import PeriodicTask
from orchestrator.serving.server import Server
from orchestrator.store.database import Store
from orchestrator.tracking.links import PORT, is_server, ui_url

log = logging.getLogger(__name__)

TICK_S = 0.2
GATHER_REST = 1.0
"""Half a core at most, so that a hundred live trials are seen within seconds."""
LOOK_S = 3.0
TAKE_S = 0.5
FREE_S = 8.0
"""How long the port may stay taken by the server of an `iwm serve` that was killed a moment ago."""
FINISH_S = 10.0
"""How long a pass under way may take when we are to end; after that it is left, which loses nothing."""

Announce = Callable[[str, str], None]
"""Is told where the MLflow UI and where our pages are, once, when they are to be seen there."""


def serve(
    layout: Layout,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    poll_s: float = 10.0,
    gather_s: float = 1.0,
    announce: Announce,
) -> None:
    """Serves the root until SIGTERM or Ctrl-C.

    Raises:
        RequestError: the root cannot be written, others could reach the address, or it is taken.
        BusyError: the root is served already.
    """
    asks = _asks(layout, host=host, port=port)
    service.check_root(layout)
    with holding(layout.serve_lock, wait_s=TAKE_S) as alone, stop_flag() as stop:
        if not alone:
            raise BusyError(f"root '{layout.root}' is served already{_by_whom(_note_of(layout))}")
        wait_s = FREE_S if _note_of(layout) else 0.0
        place = command.choose(host, port=port, wait_s=wait_s, has_password=asks)
        called = pages_command if is_server(layout) else server_command
        extra = password_environment(layout, environ=os.environ) if asks else {}
        server = Server(layout, place, command=called, extra=extra)
        _note(layout, {"pid": os.getpid()})
        with _at_work(layout, server, poll_s=poll_s, gather_s=gather_s):
            _wait(layout, server, stop=stop, announce=announce)
        _note(layout, {})
        log.info("ended by %s", stop())


def _asks(layout: Layout, *, host: str, port: int) -> bool:
    """Whether a password is asked for.

    Raises:
        RequestError: others could come without one, or one is wanted where there is none.
    """
    asks = is_asked_for(os.environ)
    if is_server(layout):
        command.check_alone(host, port=port, wants_password=asks)
        return False
    command.check_host(host, port=port, has_password=asks)
    return asks


def _wait(layout: Layout, server: Server, *, stop: StopFlag, announce: Announce) -> None:
    """Says where to look, once there is something to see; then for a signal."""
    pages, announced = server.address.url, False
    url = ui_url(layout) if is_server(layout) else pages
    while not stop():
        if not announced and server.is_ready:
            _note(layout, {"url": url, "pid": os.getpid(), "pages": pages})
            announce(url, pages)
            announced = True
        time.sleep(TICK_S)


@contextlib.contextmanager
def _at_work(layout: Layout, server: Server, *, poll_s: float, gather_s: float) -> Iterator[None]:
    """The threads, while the block lasts."""
    ended = threading.Event()
    gatherer = Gatherer(layout, ended=ended.is_set)
    threads = [
        PeriodicTask(server.look, name="MLflow's server", every_s=TICK_S, ended=ended),
        PeriodicTask(partial(_reconcile, layout), name="reconciler", every_s=poll_s, ended=ended),
        PeriodicTask(gatherer, name="gatherer", every_s=gather_s, ended=ended, rest=GATHER_REST),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        _end(threads, server)
        gatherer.close()


def _end(threads: Sequence[threading.Thread], server: Server) -> None:
    """MLflow's server first: it takes longest."""
    deadline = time.monotonic() + FINISH_S
    threads[0].join(timeout=LOOK_S)
    server.close()
    for thread in threads:
        thread.join(timeout=max(0.0, deadline - time.monotonic()))


def _reconcile(layout: Layout) -> None:
    with Store.open(layout.database_url) as store:
        service.observe(layout, store)


def _note(layout: Layout, told: dict[str, Any]) -> None:
    """Leaves word in the lock's file, for whoever finds it held."""
    with contextlib.suppress(OSError):
        layout.serve_lock.write_text(json.dumps(told))


def _note_of(layout: Layout) -> dict[str, Any]:
    """What stands there: empty after an orderly end."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(layout.serve_lock.read_text()))
    return {}


def _by_whom(note: Mapping[str, Any]) -> str:
    return f" by process {note['pid']}" + (f": {note['url']}" if "url" in note else "") if note else ""
