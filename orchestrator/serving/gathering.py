"""One pass of the gatherer: fold what changed, send it to MLflow, keep the sweeps' reports there up to date.

It writes to MLflow's database directly, by the same address as `iwm sync`, so both use the same cursors, and a server
that is down or starting delays nothing. MLflow's server and the gatherer may write at once: both wait for SQLite's lock
(20 s), and write-ahead logging lets readers pass.
"""

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping

from orchestrator.errors import IwmError
from orchestrator.records import slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from orchestrator.tracking import gather
from orchestrator.tracking.sender import SentRuns
from orchestrator.trial.lifecycle import State

SEND_S = 15.0
"""Seconds that one pass may send; the next pass, which follows at once, sends the rest."""
REPORT_REST = 10.0
"""A sweep's report is made again after this many times as long as it took to make."""
RETRY_S = 60.0
"""Seconds before a report that could not be made or sent is tried again."""


class ReportError(IwmError):
    """A report could not be made."""


class Gatherer:
    """One root's gatherer. A call is one pass; it returns True if more is waiting to be sent.

    Raises:
        TrackingError: MLflow is unreachable.
        DatabaseError: the store is unreachable.
        ReportError: a report could not be made.
    """

    def __init__(self, layout: Layout, *, ended: Callable[[], bool] = lambda: False) -> None:
        self.report: ReportBuilder | None = None
        self._layout, self._ended = layout, ended
        self._reported: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._seen: dict[str, dict[str, str]] | None = None
        self._told: SentRuns = {}

    def __call__(self) -> bool:
        with Store.open(self._layout.database_url) as store:
            refresh(self._layout, store)
            self._mark_changed_jobs(store)
            more = False
            if store.unsent():
                sent = gather.sync(self._layout, store, limit_s=SEND_S, ended=self._ended, told=self._told)
                more = bool(sent.left) and not sent.busy
            if self.report is None:
                self._begin_report(store)
            elif self.report.is_done:
                self._publish(store, self.report)
            return more

    def close(self) -> None:
        """Abandon a report that is being made."""
        if self.report is not None:
            self.report.close()
        self.report = None

    def _mark_changed_jobs(self, store: Store) -> None:
        """Send trials again whose job changed in SLURM, such as its pending reason: no file of a trial shows that."""
        seen = slurm_seen.read(self._layout)
        before, self._seen = self._seen, seen
        if before is not None and (changed := [key for key, said in seen.items() if said != before.get(key)]):
            store.send_again(changed)

    def _begin_report(self, store: Store) -> None:
        """Start the report of one sweep that changed since its last one."""
        now = time.monotonic()
        changed = {sweep_id: mark for sweep_id, mark in marks(store).items() if mark != self._reported.get(sweep_id)}
        due = [sweep_id for sweep_id in changed if self._not_before.get(sweep_id, 0.0) <= now]
        if due:
            self._not_before[due[0]] = now + RETRY_S
            self.report = ReportBuilder(self._layout, due[0], mark=changed[due[0]])

    def _publish(self, store: Store, report: "ReportBuilder") -> None:
        """Send a report to MLflow."""
        try:
            files = report.files()
        finally:
            self.close()
        gather.attach_report(self._layout, store, report.sweep_id, files)
        self._reported[report.sweep_id] = report.mark
        took_s = time.monotonic() - report.began
        self._not_before[report.sweep_id] = report.began + (1 + REPORT_REST) * took_s


class ReportBuilder:
    """The report of one sweep, made by a process of its own, which frees its memory and blocks no pass."""

    def __init__(self, layout: Layout, sweep_id: str, *, mark: int = 0) -> None:
        """Start the process; `mark` is the state of the sweep that it shows."""
        self.sweep_id, self.mark, self.began = sweep_id, mark, time.monotonic()
        self._archive, self._errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        command = [sys.executable, "-m", "dashboards", str(layout.root), sweep_id]
        environ = {**os.environ, "IWM_STATE": str(layout.state), "IWM_DATABASE_URL": layout.database_url}
        self._child = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=self._archive, stderr=self._errors
        )

    @property
    def is_done(self) -> bool:
        """Return True once the process has ended."""
        return self._child.poll() is not None

    def files(self) -> Mapping[str, bytes]:
        """The files of a report that is done.

        Raises:
            ReportError: the process failed.
        """
        if self._child.returncode:
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
            message = f"cannot build the report of sweep '{self.sweep_id}': {last or 'its process was killed'}"
            raise ReportError(message, setting="sweep", value=self.sweep_id)
        with zipfile.ZipFile(self._archive) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def close(self) -> None:
        """End the process and delete its files."""
        with self._archive, self._errors:
            self._child.kill()
            self._child.wait()


def marks(store: Store) -> dict[str, int]:
    """For every sweep with a finished trial, a number that changes whenever the state of one of its trials changes."""
    states = store.states()
    finished = {key for key, state in states.items() if state is State.FINISHED}
    found = {}
    for record in store.sweep_records() if finished else ():
        ids = [member.id for member in record.trials]
        if not finished.isdisjoint(ids):
            found[record.id] = hash(tuple(states.get(key) for key in ids))
    return found
