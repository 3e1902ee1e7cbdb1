"""The verbs of the command line as functions of a root: submit, cancel, hold, release, resume, observe, find.

Files are read into the store (a projection), the store answers questions, and every decision is written as a claim or a
control event before anything starts.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import IwmError, RootError, UnknownSweepError, UnknownTrialError
from orchestrator.host import provenance
from orchestrator.host.locks import is_held
from orchestrator.host.progress import track
from orchestrator.launching import dependency, leases, slots, slurm_arrays, slurm_jobs, slurm_queue
from orchestrator.launching.slurm_arrays import Array
from orchestrator.planning.plan import Mode, Plan, plan_sweep
from orchestrator.records import journal
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from orchestrator.tracking import links
from orchestrator.tracking.links import Links
from orchestrator.trial.events import Cancelled, ControlEvent, Held, Released
from orchestrator.trial.launchers import LOCAL, SLURM, check_launcher
from orchestrator.trial.lifecycle import RUNNABLE, UNDER_WAY, State, TrialStatus, newest_claim
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import Cell, Resources, Sweep, SweepRecord
from orchestrator.trial.value import Trial

log = logging.getLogger(__name__)

HOLDABLE = UNDER_WAY - {State.HELD}


@dataclass(frozen=True)
class Target:
    """The sweep (None for a single trial) and the trials that a verb acts on."""

    record: SweepRecord | None
    trial_ids: tuple[str, ...]


@contextlib.contextmanager
def observed(layout: Layout) -> Iterator[Store]:
    """Opens the store, brought up to date with the files, this machine's processes and the cluster's jobs."""
    check_root(layout)
    store = Store.open(layout.database_url)
    try:
        observe(layout, store)
        yield store
    finally:
        store.close()


def check_root(layout: Layout) -> None:
    """Creates the root unless it exists.

    Raises:
        RootError: the root cannot be created or is not writable.
    """
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RootError(f"cannot use root '{layout.root}': {error.strerror or error}", path=layout.root) from error
    if not os.access(layout.root, os.W_OK | os.X_OK):
        raise RootError(
            f"cannot write under root '{layout.root}'; choose another with --root or IWM_ROOT", path=layout.root
        )


LOOKED_AFTER = slots.LOOKED_AFTER | UNDER_WAY


def observe(layout: Layout, store: Store) -> None:
    """Folds changed files into the store and reconciles the unfinished trials once."""
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
    """A plan that was carried out, and the jobs that it started."""

    plan: Plan
    jobs: tuple[Array, ...]
    links: Links
    waiting: tuple[str, ...] = ()
    """Trials that were claimed and get a job once their parent has finished."""

    @property
    def started(self) -> tuple[str, ...]:
        """The trials that were claimed."""
        return tuple(trial_id for job in self.jobs for trial_id in job.trial_ids) + self.waiting

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `iwm submit --json`."""
        return {
            **self.plan.to_dict(),
            "sweep_id": self.plan.sweep.id,
            "jobs": [{"job_id": job.job_id, "trials": list(job.trial_ids)} for job in self.jobs],
            "mlflow_url": self.links.runs,
            "mlflow_view": self.links.view,
        }


def submit(layout: Layout, sweep: Sweep, *, mode: Mode = Mode.SUBMIT, launcher: str = LOCAL) -> Submission:
    """Records the sweep, starts the trials that the plan names and returns at once.

    Raises:
        RequestError: there is no such launcher, or SLURM refuses the jobs; nothing was started.
        LaunchError: SLURM does not answer.
    """
    check_launcher(launcher)
    with observed(layout) as store:
        planned = plan_sweep(layout, sweep, mode=mode, read=store.states())
        _set_umask(planned.to_start)
        if launcher == SLURM:
            slurm_arrays.check_classes(layout, planned.to_start, name=sweep.name)
        leases.write_sweep(layout, sweep, t=round(time.time(), 3))
        jobs, waiting = _start(layout, planned.to_start, launcher=launcher, name=sweep.name)
        found = links.links(layout, sweep.to_record(t=0.0), experiment_id=store.experiment_id())
    return Submission(planned, jobs, found, waiting=waiting)


def _set_umask(cells: Sequence[Cell]) -> None:
    """Makes new files writable for the group if a trial's resources ask for it."""
    if any(cell.resources.group_writable for cell in cells):
        os.umask(0o002)


def _start(
    layout: Layout, cells: Sequence[Cell], *, launcher: str, name: str
) -> tuple[tuple[Array, ...], tuple[str, ...]]:
    """Starts the trials; returns their jobs, and the trials that wait for their parent to finish."""
    parents = dependency.unfinished(layout, {cell.trial.config.parent for cell in cells} - {""})
    ready = [cell for cell in cells if cell.trial.config.parent not in parents]
    behind = [cell for cell in cells if cell.trial.config.parent in parents]
    token = leases.new_token()
    if launcher == SLURM:
        jobs = tuple(slurm_arrays.submit_slurm(layout, ready, name=name))
    else:
        won = slots.claim_trials(layout, ready, token=token)
        jobs = (Array(f"local-{token}", won),) if won else ()
    return jobs, slots.claim_trials(layout, behind, token=token, launcher=launcher, waiting=True)


def resume(layout: Layout, trial_ids: Sequence[str]) -> list[str]:
    """Starts stopped and failed trials again where they ran before, and releases held ones; returns their ids."""
    statuses = _statuses(layout, trial_ids)
    done = release(layout, [key for key, status in statuses.items() if status.state is State.HELD])
    by_launcher: dict[str, list[Cell]] = {}
    for trial_id, status in statuses.items():
        if status.state in RUNNABLE:
            where = SLURM if slurm_queue.is_of_slurm(status) else LOCAL
            by_launcher.setdefault(where, []).append(known_cell(layout, trial_id))
    for launcher, cells in by_launcher.items():
        _set_umask(cells)
        jobs, waiting = _start(layout, cells, launcher=launcher, name="resumed")
        done += [*(key for job in jobs for key in job.trial_ids), *waiting]
    return done


def _statuses(layout: Layout, trial_ids: Sequence[str]) -> dict[str, TrialStatus]:
    return {trial_id: read_status(layout.trial(trial_id)) for trial_id in track(trial_ids, "reading trials")}


def known_cell(layout: Layout, trial_id: str) -> Cell:
    """A trial of this root, with the resources of its last claim."""
    folder = layout.trial(trial_id)
    claim = newest_claim(journal.read_control(folder))
    resources = Resources.of(claim.resources) if claim else Resources()
    return Cell(Trial.from_json(folder.value_file.read_bytes()), {}, resources)


def cancel(layout: Layout, trial_ids: Sequence[str]) -> list[str]:
    """Cancels trials and returns their ids; a live worker checkpoints first."""
    before, user = _statuses(layout, trial_ids), provenance.user()
    cancelled = [
        trial_id
        for trial_id in track(trial_ids, "cancelling trials")
        if _stop(layout, trial_id, lambda claim: Cancelled(claim=claim, by=user), states=UNDER_WAY)
    ]
    slurm_queue.cancel_jobs(layout, {trial_id: before[trial_id] for trial_id in cancelled})
    return cancelled


def hold(layout: Layout, trial_ids: Sequence[str]) -> list[str]:
    """Holds trials until they are released, and returns their ids; a live worker checkpoints first."""
    statuses = {key: status for key, status in _statuses(layout, trial_ids).items() if status.state in HOLDABLE}
    on_cluster = {
        key: status for key, status in statuses.items() if slurm_queue.is_ours(status) and not status.may_wait
    }
    held, reason = slurm_queue.hold(layout, on_cluster) if on_cluster else [], f"by {provenance.user()}"
    for key in statuses.keys() - on_cluster.keys():
        if _stop(layout, key, lambda claim: Held(claim=claim, reason=reason), states=HOLDABLE):
            held.append(key)
    return [key for key in trial_ids if key in held]


def _stop(layout: Layout, key: str, event: Callable[[int], ControlEvent], *, states: Container[State]) -> bool:
    """Records the event and stops the worker while the trial is in one of `states`; True if it was at all.

    That covers the next claim too, if a keeper claims the trial again at this moment.
    """
    folder, stopped = layout.trial(key), False
    while (status := read_status(folder)).state in states:
        journal.record(folder, event(status.claim))
        stop_worker(layout, key, status)
        stopped = True
    return stopped


def release(layout: Layout, trial_ids: Sequence[str]) -> list[str]:
    """Releases held trials and returns their ids."""
    held = {key: status for key, status in _statuses(layout, trial_ids).items() if status.state is State.HELD}
    for key, status in held.items():
        journal.record(layout.trial(key), Released(claim=status.claim))
    slurm_queue.release(layout, held)
    if not all(map(slurm_queue.is_ours, held.values())):
        slots.ensure_keeper(layout)
    return list(held)


def stop_worker(layout: Layout, trial_id: str, status: TrialStatus, *, by: signal.Signals = signal.SIGTERM) -> bool:
    """Signals the trial's worker if it runs on this machine; returns True if the signal was sent."""
    attempt = status.attempts[-1] if status.attempts else None
    lives = attempt and attempt.end is None and attempt.claim == status.claim and attempt.host == provenance.host()
    if not attempt or not lives or not is_held(layout.trial(trial_id).worker_lock):
        return False  # a worker without a journal checks for a cancellation itself
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(attempt.pid, by)
        return True
    return False


def find(layout: Layout, store: Store, name: str) -> Target:
    """Finds the newest sweep with this name or id, or the trial whose id begins with it.

    Raises:
        UnknownTrialError: there is neither, or several trials match.
    """
    if newest := _newest_sweep(store, name):
        return Target(newest, tuple(member.id for member in newest.trials))
    matches = [trial_id for trial_id in store.trial_ids() if name and trial_id.startswith(name)]
    if len(matches) == 1:
        return Target(None, (matches[0],))
    if matches:
        message = f"{len(matches)} trial ids begin with '{name}'; give more characters"
        raise UnknownTrialError(message, value=name, choices=matches)
    raise _unknown(UnknownTrialError, "sweep or trial", name, layout=layout, store=store)


def find_trial(layout: Layout, store: Store, name: str) -> Target:
    """Finds the one trial whose id begins with `name`.

    Raises:
        UnknownTrialError: `name` is a sweep's, or unknown.
    """
    target = find(layout, store, name)
    if target.record:
        ids = ", ".join(trial_id[:8] for trial_id in target.trial_ids[:4])
        message = f"'{name}' is a sweep; choose one of its trials: {ids}, ..."
        raise UnknownTrialError(message, value=name, choices=target.trial_ids)
    return target


def find_sweep(layout: Layout, store: Store, name: str) -> SweepResults:
    """The results of the newest sweep with this name or id.

    Raises:
        UnknownSweepError: no such sweep.
    """
    newest = _newest_sweep(store, name)
    if not newest:
        raise _unknown(UnknownSweepError, "sweep", name, layout=layout, store=store)
    return store.results(newest.id)


def _newest_sweep(store: Store, name: str) -> SweepRecord | None:
    return max(store.sweep_records(name), key=lambda record: record.t, default=None)


def _unknown(kind: type[IwmError], what: str, name: str, *, layout: Layout, store: Store) -> IwmError:
    names = tuple(dict.fromkeys(record.name for record in store.sweep_records()))
    message = f"no {what} '{name}' under root '{layout.root}'; its sweeps: {', '.join(names) or 'none yet'}"
    return kind(message, value=name, choices=names, path=layout.root)
