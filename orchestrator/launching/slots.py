"""The slots of this machine: claim trials for them, start workers and the keeper, reconcile the trials.

`submit` claims trials and starts a detached keeper, which fills N slots and starts preempted trials again. A worker
holds its slot's lock itself, so it outlives the keeper, and workers never outnumber slots.

The keeper reconciles repeatedly, `status`, `sync` and `submit` once: lost attempts are recorded, preempted trials
claimed again. Claims are exclusive and events idempotent, so the order of these processes does not matter.
"""

import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.errors import LaunchError
from orchestrator.host import provenance, slurm
from orchestrator.host.locks import is_held
from orchestrator.host.progress import track
from orchestrator.launching import dependency
from orchestrator.launching.decisions import Action, Seen, Sight, apply, decide
from orchestrator.launching.leases import claim, claim_again, write_trial
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.trial.events import Claimed, Submitted
from orchestrator.trial.launchers import FOREGROUND, LOCAL
from orchestrator.trial.lifecycle import State, TrialStatus
from orchestrator.trial.sweep import Cell

LOOKED_AFTER = frozenset({State.RUNNING, State.QUEUED, State.PREEMPTED})


def claim_trials(
    layout: Layout, cells: Iterable[Cell], *, token: str, launcher: str = LOCAL, waiting: bool = False
) -> tuple[str, ...]:
    """Claims these trials and returns the ids that were won; starts the keeper if they run on this machine.

    With `waiting`, each trial starts once its parent has finished: by the keeper, or by `slurm_jobs`.
    """
    won = []
    for cell in track(cells, "claiming trials"):
        folder, after = write_trial(layout, cell.trial), cell.trial.config.parent if waiting else ""
        if claim(folder, resources=cell.resources, token=token, launcher=launcher, after=after):
            won.append(cell.trial.id)
    if won and launcher == LOCAL:
        ensure_keeper(layout)
    return tuple(won)


def ensure_keeper(layout: Layout) -> None:
    """Starts the slot keeper, detached from this terminal, unless one runs.

    Raises:
        LaunchError: the keeper could not be started.
    """
    if is_held(layout.keeper_lock):
        return
    layout.local.mkdir(parents=True, exist_ok=True)
    log = (os.POSIX_SPAWN_OPEN, 1, str(layout.keeper_log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), log, (os.POSIX_SPAWN_DUP2, 1, 2)]
    command = [sys.executable, "-m", "orchestrator.launching.keeper", str(layout.root)]
    try:
        environ = slurm.environment(os.environ)  # from a shell in an allocation: its workers are not SLURM's
        os.posix_spawn(sys.executable, command, environ, file_actions=files, setsid=True)
    except OSError as error:
        raise LaunchError(f"cannot start the slot keeper: {error}") from error


def gpu_of_slot(slot: int, *, gpus: int, environ: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> str:
    """The GPU for a slot's worker, empty for none: the GPUs visible to this process, assigned in turn.

    `gpus` limits their number; -1 takes all of them.
    """
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    found = [path.name.removeprefix("nvidia") for path in devices.glob("nvidia[0-9]*")]
    visible = sorted(found, key=int) if listed is None else [name for name in listed.split(",") if name]
    usable = visible if gpus < 0 else visible[:gpus]
    return usable[slot % len(usable)] if usable else ""


def job_is_alive(job_id: str, folder: TrialFolder) -> bool:
    """Return True if `job_id` is the process id of a controller of this trial; ids alone are reused."""
    try:
        if Path("/proc/self").exists():
            return str(folder.logs).encode() in Path(f"/proc/{int(job_id)}/cmdline").read_bytes()
        os.kill(int(job_id), 0)
    except (ValueError, FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True


def reconcile(layout: Layout, statuses: Mapping[str, TrialStatus]) -> bool:
    """Acts on every trial of this machine that needs it; returns True if it acted on any."""
    acted = [_act(layout.trial(key), status) for key, status in statuses.items() if is_ours(status)]
    return any(acted)


def is_ours(status: TrialStatus) -> bool:
    """Return True for an unfinished trial of this machine, of the local launcher or in the foreground."""
    return (
        status.state in LOOKED_AFTER
        and status.launcher in (LOCAL, FOREGROUND)
        and status.claim_host == provenance.host()
    )


def has_work(layout: Layout, statuses: Mapping[str, TrialStatus]) -> bool:
    """Return True if a keeper is needed; a trial whose parent needs a person's help needs none."""
    ours = {key: status for key, status in statuses.items() if is_ours(status) and status.launcher == LOCAL}
    return bool(ours.keys() - dependency.stuck(layout, statuses))


def _act(folder: TrialFolder, status: TrialStatus) -> bool:
    worker = Seen.ALIVE if is_held(folder.worker_lock) else Seen.GONE
    process = _see_process(folder, status) if status.state is State.QUEUED else Seen.UNKNOWN
    step = decide(status, Sight(worker=worker, process=process), now=time.time())
    return claim_again(folder) is not None if step.action is Action.START_AGAIN else apply(folder, status, step)


def _see_process(folder: TrialFolder, status: TrialStatus) -> Seen:
    """The job's process: unknown while the trial waits for a slot; in the foreground, the worker is the job."""
    if status.launcher == FOREGROUND:
        return Seen.GONE
    if not status.submitted:
        return Seen.UNKNOWN
    return Seen.ALIVE if job_is_alive(status.job_id, folder) else Seen.GONE


def waiting(folder: TrialFolder, status: TrialStatus) -> Claimed | None:
    """The newest claim of a queued trial that has no job yet."""
    under = [event for event in journal.read_control(folder) if event.claim == status.claim]
    if status.state is not State.QUEUED or any(isinstance(event, Submitted) for event in under):
        return None
    return next((event for event in under if isinstance(event, Claimed)), None)
