"""Read, decide, apply: what the verbs of the command line do, as functions of a root.

Files are read into the store (a projection), the store answers questions, and whatever is decided is written as claims
and control events before anything is started.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import journal, launch, local, provenance
from orchestrator.census import Census, read_status
from orchestrator.errors import RootError, UnknownSweepError, UnknownTrialError
from orchestrator.events import Cancelled
from orchestrator.layout import Layout, TrialFolder
from orchestrator.lifecycle import State, TrialStatus, newest_claim
from orchestrator.locks import is_held
from orchestrator.mlflow_ui import ui_url
from orchestrator.plan import Mode, Plan
from orchestrator.planning import plan_sweep
from orchestrator.projection import refresh
from orchestrator.results import SweepResults
from orchestrator.store import Store
from orchestrator.sweep import Cell, Resources, Sweep, SweepRecord
from orchestrator.trial import Trial

log = logging.getLogger(__name__)

CANCELLABLE = frozenset({State.QUEUED, State.RUNNING, State.PREEMPTED, State.HELD})


@dataclass(frozen=True)
class Target:
    """What a verb acts on: a sweep, or single trials."""

    record: SweepRecord | None
    trial_ids: tuple[str, ...]


@contextlib.contextmanager
def observed(layout: Layout) -> Iterator[Store]:
    """The store, brought up to date with the files and the processes of this machine."""
    check_root(layout)
    store = Store.open(layout.database_url)
    try:
        observe(layout, store)
        yield store
    finally:
        store.close()


def check_root(layout: Layout) -> None:
    """Makes the root.

    Raises:
        RootError: it cannot be made, or not be written.
    """
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RootError(f"cannot use root '{layout.root}': {error.strerror or error}") from error
    if not os.access(layout.root, os.W_OK | os.X_OK):
        raise RootError(f"cannot write under root '{layout.root}'; choose another with --root or IWM_ROOT")


def observe(layout: Layout, store: Store) -> None:
    """One pass of folding and reconciling."""
    refresh(layout, store)
    census = Census(layout)
    ours = {trial_id: census.status(trial_id) for trial_id in store.trial_ids(states=local.LOOKED_AFTER)}
    if local.reconcile(layout, ours):
        refresh(layout, store)
        ours = {trial_id: census.status(trial_id) for trial_id in ours}
    if local.has_work(ours):
        launch.ensure_keeper(layout)


@dataclass(frozen=True)
class Submission:
    """A plan that was carried out. `token` names the claims that it won."""

    plan: Plan
    token: str
    started: tuple[str, ...]
    mlflow_url: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `iwm submit --json`."""
        jobs = [{"job_id": f"local-{self.token}", "trials": list(self.started)}] if self.started else []
        rest = {"sweep_id": self.plan.sweep.id, "jobs": jobs, "mlflow_url": self.mlflow_url}
        return {**self.plan.to_dict(), **rest}


def submit(layout: Layout, sweep: Sweep, *, mode: Mode = Mode.SUBMIT) -> Submission:
    """Records the sweep and starts what needs starting. Returns at once; a keeper does the rest."""
    with observed(layout):
        planned = plan_sweep(layout, sweep, mode=mode)
        launch.write_sweep(layout, sweep, t=round(time.time(), 3))
        token = launch.new_token()
        started = launch.submit_local(layout, planned.to_start, token=token)
    return Submission(planned, token, tuple(started), ui_url(layout))


def resume(layout: Layout, target: Target) -> list[str]:
    """Starts again whatever is not finished and not under way. Returns the ids that were started."""
    cells = [_cell(layout, trial_id) for trial_id in target.trial_ids]
    return launch.submit_local(layout, cells, token=launch.new_token())


def _cell(layout: Layout, trial_id: str) -> Cell:
    """A known trial, with the resources of its last claim."""
    folder = layout.trial(trial_id)
    claim = newest_claim(journal.read_control(folder))
    resources = Resources.of(claim.resources) if claim else Resources()
    return Cell(Trial.from_json(folder.value_file.read_bytes()), {}, resources)


def cancel(layout: Layout, trial_ids: Sequence[str]) -> list[str]:
    """Ends trials on purpose; a live worker checkpoints first. Returns the ids that were cancelled."""
    return [trial_id for trial_id in trial_ids if _cancel(layout.trial(trial_id), layout=layout)]


def _cancel(folder: TrialFolder, *, layout: Layout) -> bool:
    """Cancels the newest claim, and the next one too if a keeper was claiming the trial again at this moment."""
    cancelled = False
    while (status := read_status(folder)).state in CANCELLABLE:
        journal.record(folder, Cancelled(claim=status.claim, by=provenance.user()))
        stop_worker(layout, folder.id, status)
        cancelled = True
    return cancelled


def stop_worker(layout: Layout, trial_id: str, status: TrialStatus, *, by: signal.Signals = signal.SIGTERM) -> bool:
    """Signals the trial's worker, if it lives on this machine."""
    attempt = status.attempts[-1] if status.attempts else None
    lives = attempt and attempt.end is None and attempt.claim == status.claim and attempt.host == provenance.host()
    if not attempt or not lives or not is_held(layout.trial(trial_id).worker_lock):
        return False  # one that has not begun its journal looks for a cancellation itself
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(attempt.pid, by)
        return True
    return False


def find(layout: Layout, store: Store, name: str) -> Target:
    """The newest sweep of that name or id, or the trial whose id begins like that.

    Raises:
        UnknownTrialError: neither is known here.
    """
    if newest := _newest_sweep(store, name):
        return Target(newest, tuple(member.id for member in newest.trials))
    matches = [trial_id for trial_id in store.trial_ids() if name and trial_id.startswith(name)]
    if len(matches) == 1:
        return Target(None, (matches[0],))
    if matches:
        raise UnknownTrialError(f"'{name}' begins {len(matches)} trial ids; give more of it")
    raise UnknownTrialError(f"no sweep or trial '{name}' under root '{layout.root}'; its sweeps: {_known(store)}")


def find_trial(layout: Layout, store: Store, name: str) -> Target:
    """The one trial whose id begins like that.

    Raises:
        UnknownTrialError: it names a sweep, or nothing.
    """
    target = find(layout, store, name)
    if target.record:
        ids = ", ".join(trial_id[:8] for trial_id in target.trial_ids[:4])
        raise UnknownTrialError(f"'{name}' is a sweep; choose one of its trials: {ids}, ...")
    return target


def find_sweep(layout: Layout, store: Store, name: str) -> SweepResults:
    """The results of the newest sweep of that name or id.

    Raises:
        UnknownSweepError: there is none.
    """
    newest = _newest_sweep(store, name)
    if not newest:
        raise UnknownSweepError(f"no sweep '{name}' under root '{layout.root}'; its sweeps: {_known(store)}")
    return store.results(newest.id)


def _newest_sweep(store: Store, name: str) -> SweepRecord | None:
    return max(store.sweep_records(name), key=lambda record: record.t, default=None)


def _known(store: Store) -> str:
    return ", ".join(dict.fromkeys(record.name for record in store.sweep_records())) or "none yet"
