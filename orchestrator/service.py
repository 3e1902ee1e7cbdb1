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

from orchestrator.errors import RootError, UnknownSweepError, UnknownTrialError
from orchestrator.host import provenance
from orchestrator.host.locks import is_held
from orchestrator.host.progress import track
from orchestrator.launching import dependency, leases, slots, slurm_arrays, slurm_jobs
from orchestrator.launching.slurm_arrays import Array
from orchestrator.planning.plan import Mode, Plan, plan_sweep
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from orchestrator.tracking import links
from orchestrator.tracking.links import Links
from orchestrator.trial.events import Cancelled, Held, Released
from orchestrator.trial.launchers import LOCAL, SLURM, check_launcher
from orchestrator.trial.lifecycle import RUNNABLE, UNDER_WAY, State, TrialStatus, newest_claim
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import Cell, Resources, Sweep, SweepRecord
from orchestrator.trial.value import Trial

log = logging.getLogger(__name__)

HOLDABLE = UNDER_WAY - {State.HELD}


@dataclass(frozen=True)
class Target:
    """What a verb acts on: a sweep, or single trials."""

    record: SweepRecord | None
    trial_ids: tuple[str, ...]


@contextlib.contextmanager
def observed(layout: Layout) -> Iterator[Store]:
    """The store, brought up to date with the files, the processes of this machine and the jobs of the cluster."""
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


LOOKED_AFTER = slots.LOOKED_AFTER | UNDER_WAY


def observe(layout: Layout, store: Store) -> None:
    """One pass of folding and reconciling."""
    refresh(layout, store)
    live = store.statuses(states=LOOKED_AFTER)
    acted = [slots.reconcile(layout, live), slurm_jobs.reconcile(layout, live)]
    if any(acted):
        refresh(layout, store, trial_ids=live)
        live = store.statuses(live)
    if slots.has_work(layout, live):
        slots.ensure_keeper(layout)


@dataclass(frozen=True)
class Submission:
    """A plan that was carried out. `jobs` are what it started."""

    plan: Plan
    jobs: tuple[Array, ...]
    links: Links
    waiting: tuple[str, ...] = ()
    """Trials that were claimed, and get a job once another has finished."""

    @property
    def started(self) -> tuple[str, ...]:
        """The trials that were claimed."""
        return tuple(trial_id for job in self.jobs for trial_id in job.trial_ids) + self.waiting

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `iwm submit --json`."""
        jobs = [{"job_id": job.job_id, "trials": list(job.trial_ids)} for job in self.jobs]
        where = {"mlflow_url": self.links.runs, "mlflow_view": self.links.view}
        rest = {"sweep_id": self.plan.sweep.id, "jobs": jobs, **where}
        return {**self.plan.to_dict(), **rest}


def submit(layout: Layout, sweep: Sweep, *, mode: Mode = Mode.SUBMIT, launcher: str = LOCAL) -> Submission:
    """Records the sweep and starts what needs starting. Returns at once; a keeper, or SLURM, does the rest.

    Raises:
        RequestError: there is no such launcher, or SLURM does not take such jobs; nothing was started.
        LaunchError: SLURM does not answer.
    """
    check_launcher(launcher)
    with observed(layout) as store:
        planned = plan_sweep(layout, sweep, mode=mode, read=store.states())
        _obey(planned.to_start)
        if launcher == SLURM:
            slurm_arrays.check_classes(layout, planned.to_start, name=sweep.name)
        leases.write_sweep(layout, sweep, t=round(time.time(), 3))
        jobs, waiting = _start(layout, planned.to_start, launcher=launcher, name=sweep.name)
        found = links.links(layout, sweep.to_record(t=0.0), experiment_id=store.experiment_id())
    return Submission(planned, tuple(jobs), found, waiting=tuple(waiting))


def _obey(cells: Sequence[Cell]) -> None:
    """Files that the group may write, where the user asks for them."""
    if any(cell.resources.group_writable for cell in cells):
        os.umask(0o002)


def _start(layout: Layout, cells: Sequence[Cell], *, launcher: str, name: str) -> tuple[list[Array], list[str]]:
    """The jobs that were started, and the trials that wait for another to finish before they get one."""
    parents = dependency.unfinished(layout, {cell.trial.config.parent for cell in cells} - {""})
    jobs = _start_ready(
        layout, [cell for cell in cells if cell.trial.config.parent not in parents], launcher=launcher, name=name
    )
    behind = [cell for cell in cells if cell.trial.config.parent in parents]
    return jobs, slots.submit_waiting(layout, behind, launcher=launcher)


def _start_ready(layout: Layout, cells: Sequence[Cell], *, launcher: str, name: str) -> list[Array]:
    if launcher == SLURM:
        return slurm_arrays.submit_slurm(layout, cells, name=name)
    token = leases.new_token()
    won = slots.submit_local(layout, cells, token=token)
    return [Array(f"local-{token}", tuple(won))] if won else []


def resume(layout: Layout, trial_ids: Sequence[str]) -> list[str]:
    """Starts again whatever is not finished and not under way, where it ran before; lets go of what is held.

    Returns the ids that were started or released.
    """
    statuses = _statuses(layout, trial_ids)
    done = release(layout, [key for key, status in statuses.items() if status.state is State.HELD])
    by_launcher: dict[str, list[Cell]] = {}
    for trial_id, status in statuses.items():
        if status.state in RUNNABLE:
            where = SLURM if slurm_jobs.is_of_slurm(status) else LOCAL
            by_launcher.setdefault(where, []).append(known_cell(layout, trial_id))
    for launcher, cells in by_launcher.items():
        _obey(cells)
        jobs, waiting = _start(layout, cells, launcher=launcher, name="resumed")
        done += [*(key for job in jobs for key in job.trial_ids), *waiting]
    return done


def _statuses(layout: Layout, trial_ids: Sequence[str]) -> dict[str, TrialStatus]:
    return {trial_id: read_status(layout.trial(trial_id)) for trial_id in track(trial_ids, "looking at trials")}


def known_cell(layout: Layout, trial_id: str) -> Cell:
    """A known trial, with the resources of its last claim."""
    folder = layout.trial(trial_id)
    claim = newest_claim(journal.read_control(folder))
    resources = Resources.of(claim.resources) if claim else Resources()
    return Cell(Trial.from_json(folder.value_file.read_bytes()), {}, resources)


def cancel(layout: Layout, trial_ids: Sequence[str]) -> list[str]:
    """Ends trials on purpose; a live worker checkpoints first. Returns the ids that were cancelled."""
    before = _statuses(layout, trial_ids)
    cancelled = [
        trial_id for trial_id in track(trial_ids, "cancelling trials") if _cancel(layout.trial(trial_id), layout=layout)
    ]
    slurm_jobs.cancel_jobs(layout, {trial_id: before[trial_id] for trial_id in cancelled})
    return cancelled


def _cancel(folder: TrialFolder, *, layout: Layout) -> bool:
    """Cancels the newest claim, and the next one too if a keeper was claiming the trial again at this moment."""
    cancelled = False
    while (status := read_status(folder)).state in UNDER_WAY:
        journal.record(folder, Cancelled(claim=status.claim, by=provenance.user()))
        stop_worker(layout, folder.id, status)
        cancelled = True
    return cancelled


def hold(layout: Layout, trial_ids: Sequence[str]) -> list[str]:
    """Keeps trials from running until they are released; a live worker checkpoints first. Returns what is held."""
    statuses = {key: status for key, status in _statuses(layout, trial_ids).items() if status.state in HOLDABLE}
    on_cluster = {key: status for key, status in statuses.items() if slurm_jobs.is_ours(status) and not status.may_wait}
    held = slurm_jobs.hold(layout, on_cluster) if on_cluster else []
    held += [key for key in statuses.keys() - on_cluster.keys() if _hold(layout.trial(key), layout=layout)]
    return [key for key in trial_ids if key in held]


def _hold(folder: TrialFolder, *, layout: Layout) -> bool:
    """Holds the newest claim, and the next one too if a keeper was claiming the trial again at this moment."""
    held = False
    while (status := read_status(folder)).state in HOLDABLE:
        journal.record(folder, Held(claim=status.claim, reason=f"by {provenance.user()}"))
        stop_worker(layout, folder.id, status)
        held = True
    return held


def release(layout: Layout, trial_ids: Sequence[str]) -> list[str]:
    """Lets held trials go on. Returns what was released."""
    statuses = {key: status for key, status in _statuses(layout, trial_ids).items() if status.state is State.HELD}
    on_cluster = {key: status for key, status in statuses.items() if slurm_jobs.is_ours(status)}
    released = slurm_jobs.release(layout, on_cluster) if on_cluster else []
    for key in statuses.keys() - on_cluster.keys():
        journal.record(layout.trial(key), Released(claim=statuses[key].claim))
        released.append(key)
    if statuses.keys() - on_cluster.keys():
        slots.ensure_keeper(layout)
    return [key for key in trial_ids if key in released]


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
