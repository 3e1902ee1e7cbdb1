"""The slots of this machine: workers in them, the keeper that fills them, and one look at their trials.

There are N slots. `submit` claims trials and leaves a detached keeper behind, which fills free slots and starts
preempted trials again; a worker holds its slot's lock itself, so it outlives the keeper and the number of workers never
exceeds the number of slots, whatever dies.

Everybody who looks may name lost workers and claim preempted trials again (the keeper again and again, `status`, `sync`
and `submit` once); claims are exclusive and events idempotent, so it does not matter who comes first.
"""

import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.errors import LaunchError
from orchestrator.host import environment, provenance
from orchestrator.host.locks import is_held
from orchestrator.host.progress import track
from orchestrator.launching import dependency
from orchestrator.launching.decisions import Action, Seen, Sight, decide
from orchestrator.launching.leases import claim, claim_again, new_token, write_trial
from orchestrator.launching.lost_jobs import record
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.trial.events import Claimed, Submitted
from orchestrator.trial.launchers import FOREGROUND, LOCAL, SLOT, TOKEN
from orchestrator.trial.lifecycle import State, TrialStatus
from orchestrator.trial.sweep import Cell

FOREVER_MIN = 60 * 24 * 365
"""submitit's local executor wants a time limit; the local launcher has none."""
LOOKED_AFTER = frozenset({State.RUNNING, State.QUEUED, State.PREEMPTED})


def submit_local(layout: Layout, cells: Iterable[Cell], *, token: str) -> list[str]:
    """Claims these trials for the slots of this machine and sees that a keeper runs. Returns the ids that were won."""
    won = []
    for cell in track(cells, "claiming trials"):
        folder = write_trial(layout, cell.trial)
        if claim(folder, resources=cell.resources, token=token, launcher=LOCAL):
            won.append(cell.trial.id)
    if won:
        ensure_keeper(layout)
    return won


def submit_waiting(layout: Layout, cells: Iterable[Cell], *, launcher: str) -> list[str]:
    """Claims these trials, to be started once their parents have finished. Returns the ids that were won.

    A keeper starts them then, or whoever looks at SLURM.
    """
    won = []
    for cell in cells:
        folder, parent = write_trial(layout, cell.trial), cell.trial.config.parent
        if claim(folder, resources=cell.resources, token=new_token(), launcher=launcher, after=parent):
            won.append(cell.trial.id)
    if won and launcher == LOCAL:
        ensure_keeper(layout)
    return won


def ensure_keeper(layout: Layout) -> None:
    """Starts the slot keeper, detached from this terminal, unless one runs.

    Raises:
        LaunchError: it could not be started.
    """
    if is_held(layout.keeper_lock):
        return
    layout.local.mkdir(parents=True, exist_ok=True)
    log = (os.POSIX_SPAWN_OPEN, 1, str(layout.keeper_log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), log, (os.POSIX_SPAWN_DUP2, 1, 2)]
    command = [sys.executable, "-m", "orchestrator.launching.keeper", str(layout.root)]
    try:
        os.posix_spawn(sys.executable, command, os.environ, file_actions=files, setsid=True)
    except OSError as error:
        raise LaunchError(f"cannot start the slot keeper: {error}") from error


class LocalJob:
    """A worker in a slot, as its keeper sees it."""

    def __init__(self, folder: TrialFolder, *, slot: int, slot_lock: Path, token: str, gpu: str) -> None:
        import submitit

        from orchestrator.worker.workers import GPU, Worker

        self.trial_id, self.slot = folder.id, slot
        executor = submitit.LocalExecutor(folder=folder.logs)
        executor.update_parameters(timeout_min=FOREVER_MIN, tasks_per_node=1)
        with environment.changed({TOKEN: token, SLOT: str(slot_lock), GPU: gpu}):
            self._job = executor.submit(Worker(folder.path))

    @property
    def job_id(self) -> str:
        """The process id of submitit's controller."""
        return self._job.job_id

    def done(self) -> bool:
        """Whether the controller has ended."""
        return self._job.done()


def gpu_of_slot(slot: int, *, gpus: int, environ: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> str:
    """The GPU that a slot's worker sees, empty for none: dealt out in turn from those that this process sees.

    `gpus` limits their number; -1 takes all of them.
    """
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    found = [path.name.removeprefix("nvidia") for path in devices.glob("nvidia[0-9]*")]
    visible = sorted(found, key=int) if listed is None else [name for name in listed.split(",") if name]
    usable = visible if gpus < 0 else visible[:gpus]
    return usable[slot % len(usable)] if usable else ""


def job_is_alive(job_id: str, folder: TrialFolder) -> bool:
    """Whether a controller of this trial has this process id. A process id alone is reused sooner or later."""
    try:
        command = Path(f"/proc/{int(job_id)}/cmdline").read_bytes()
    except (ValueError, FileNotFoundError, ProcessLookupError):
        return Path("/proc/self").exists() is False and _pid_exists(job_id)
    return str(folder.logs).encode() in command


def _pid_exists(job_id: str) -> bool:
    """Where there is no /proc."""
    try:
        os.kill(int(job_id), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


# One look.


def reconcile(layout: Layout, statuses: Mapping[str, TrialStatus]) -> bool:
    """Acts on every trial of this machine that needs it; says whether anything was done."""
    acted = [_act(layout.trial(key), status) for key, status in statuses.items() if is_ours(status)]
    return any(acted)


def is_ours(status: TrialStatus) -> bool:
    """Started on this machine, by the local launcher or in the foreground, and not at its end."""
    return (
        status.state in LOOKED_AFTER
        and status.launcher in (LOCAL, FOREGROUND)
        and status.claim_host == provenance.host()
    )


def has_work(layout: Layout, statuses: Mapping[str, TrialStatus]) -> bool:
    """Whether a keeper is needed: not for what waits for a trial that a person has to see to."""
    ours = {key: status for key, status in statuses.items() if is_ours(status) and status.launcher == LOCAL}
    return bool(ours.keys() - dependency.stuck(layout, statuses))


def _act(folder: TrialFolder, status: TrialStatus) -> bool:
    step = decide(status, sight(folder, status), now=time.time())
    if step.action is Action.START_AGAIN:
        return claim_again(folder) is not None
    return record(folder, status, step)


def sight(folder: TrialFolder, status: TrialStatus) -> Sight:
    """What can be seen on this machine."""
    worker = Seen.ALIVE if is_held(folder.worker_lock) else Seen.GONE
    if status.state is not State.QUEUED:
        return Sight(worker=worker)
    return Sight(worker=worker, process=_see_process(folder, status))


def _see_process(folder: TrialFolder, status: TrialStatus) -> Seen:
    """A claim without a job waits for a slot, and is the keeper's to start; in the foreground the worker is the job."""
    if status.launcher == FOREGROUND:
        return Seen.GONE
    submitted = [
        event for event in journal.read_control(folder) if isinstance(event, Submitted) and event.claim == status.claim
    ]
    if not submitted:
        return Seen.UNKNOWN
    return Seen.ALIVE if job_is_alive(submitted[-1].job_id, folder) else Seen.GONE


def waiting(folder: TrialFolder, status: TrialStatus) -> Claimed | None:
    """The claim of a queued trial that no job has been started for."""
    if status.state is not State.QUEUED:
        return None
    under = [event for event in journal.read_control(folder) if event.claim == status.claim]
    if any(isinstance(event, Submitted) for event in under):
        return None
    return next((event for event in under if isinstance(event, Claimed)), None)
