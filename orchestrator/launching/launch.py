"""Starting workers. The only door to submitit, besides the worker it runs.

On this machine there are N slots. `submit` claims trials and leaves a detached keeper behind, which fills free slots
and starts preempted trials again; a worker holds its slot's lock itself, so it outlives the keeper and the number of
workers never exceeds the number of slots, whatever dies.
"""

import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from orchestrator.errors import LaunchError, RootError
from orchestrator.host import provenance
from orchestrator.host.locks import is_held
from orchestrator.host.progress import track
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cancelled, Claimed, Held
from orchestrator.trial.launchers import LOCAL, SLOT, TOKEN
from orchestrator.trial.lifecycle import RUNNABLE, State, newest_claim
from orchestrator.trial.sweep import Cell, Resources, Sweep
from orchestrator.trial.value import Trial, canonical_json

FOREVER_MIN = 60 * 24 * 365
"""submitit's local executor wants a time limit; the local launcher has none."""


def new_token() -> str:
    """A token that nobody else has."""
    return secrets.token_hex(8)


def write_trial(layout: Layout, trial: Trial) -> TrialFolder:
    """Writes `trial.json`, unless it is there.

    Raises:
        RootError: the root cannot be written.
    """
    folder = layout.trial(trial.id)
    try:
        if not folder.value_file.exists():
            journal.replace_file(folder.value_file, canonical_json(trial.to_dict()).encode())
    except OSError as error:
        raise RootError(f"cannot write under root '{layout.root}': {error.strerror or error}") from error
    return folder


def write_sweep(layout: Layout, sweep: Sweep, *, t: float) -> None:
    """Writes `sweep.json`, unless the same sweep was recorded before.

    Raises:
        RootError: the root cannot be written.
    """
    path = layout.sweep_file(sweep.id)
    try:
        if not path.exists():
            journal.replace_file(path, canonical_json(sweep.to_record(t=t).to_dict()).encode())
    except OSError as error:
        raise RootError(f"cannot write under root '{layout.root}': {error.strerror or error}") from error


def claim(
    folder: TrialFolder,
    *,
    resources: Resources,
    token: str,
    launcher: str,
    also_from: frozenset[State] = frozenset(),
    after: str = "",
) -> Claimed | None:
    """Wins the right to start this trial, or finds (None) that somebody else has it or that it is under way.

    With `after` it is the right to start it once the trial of that id has finished.
    """
    status = read_status(folder)
    if status.state not in RUNNABLE | also_from:
        return None
    event = Claimed(
        claim=status.claims,
        token=token,
        launcher=launcher,
        host=provenance.host(),
        user=provenance.user(),
        after=after,
        resources=asdict(
            replace(
                resources,
                data_root=absolute(resources.data_root),
                weights_file=absolute(resources.weights_file),
            )
        ),
    )
    return event if journal.claim(folder, event) else None


def absolute(folder: str) -> str:
    """The folder as every process can find it, wherever it was started."""
    return str(Path(folder).expanduser().resolve()) if folder else ""


def claim_again(folder: TrialFolder, *, token: str = "") -> Claimed | None:
    """The next claim of a trial that was preempted, or that need not wait for another any more.

    It has the resources of the last one, and a token of its own unless given.
    """
    last, status = newest_claim(journal.read_control(folder)), read_status(folder)
    if not last or not (status.state is State.PREEMPTED or status.may_wait):
        return None
    event = replace(last, claim=status.claims, token=token or new_token(), host=provenance.host(), after="", t=0.0)
    if not journal.claim(folder, event):
        return None
    if journal.is_cancelled(folder, claim=last.claim):  # it came while we were claiming: it holds for this one
        journal.record(folder, Cancelled(claim=event.claim, by="as the claim before"))
        return None
    if journal.is_held(folder, claim=last.claim):
        journal.record(folder, Held(claim=event.claim, reason="as the claim before"))
        return None
    return event


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
        with _environment({TOKEN: token, SLOT: str(slot_lock), GPU: gpu}):
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


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
