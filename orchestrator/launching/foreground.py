"""One trial in this process: `iwm train`, or a job that Hydra started.

    finished? -> reuse it     under way elsewhere? -> leave it     else: claim -> attempt

The trial has the same folder, journal and checkpoints as under any launcher. It is not claimed before its process
starts, so the process claims it. Under SLURM, the token of Hydra's job derives from the job's id, so a job that SLURM
starts again continues under its own claim. Elsewhere no process is started again.
"""

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from iwm_core.events import Event, Finished, Preempted, Step, to_json
from iwm_core.training.place import Place
from orchestrator.errors import BusyError
from orchestrator.host.console import err
from orchestrator.host.locks import is_held
from orchestrator.host.signals import stop_flag
from orchestrator.launching import slots
from orchestrator.launching.leases import claim, new_token, write_trial
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Submitted
from orchestrator.trial.launchers import FOREGROUND, HYDRA, UNVERIFIED
from orchestrator.trial.lifecycle import State, newest_claim
from orchestrator.trial.sweep import Cell, Resources
from orchestrator.worker import workers
from orchestrator.worker.attempt import CANCELLED, Job, LeaseLost, Superseded, run_attempt

if TYPE_CHECKING:
    from orchestrator.worker.workers import World

ALONE = Place()
EXECUTOR = "SUBMITIT_EXECUTOR"
"""submitit's environment variable: the executor that runs this job, if any."""
GPUS_SEEN = "IWM_GPUS_SEEN"
"""Environment variable: the caller's CUDA_VISIBLE_DEVICES, which submitit's local executor hides."""
KILLED_WITHIN_S = 900.0
"""Seconds that a requeued job waits for SLURM to end it; sites let a job linger for minutes at most."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """The outcome of `iwm train`; `reused` if the trial had already finished."""

    trial_id: str
    event: Finished | Preempted
    reused: bool = False

    @property
    def finished(self) -> bool:
        """True if the trial is complete."""
        return isinstance(self.event, Finished)

    def to_json(self) -> dict[str, Any]:
        """The event as in its journal line."""
        return json.loads(to_json(self.event))

    def sentence(self) -> str:
        """The summary that `iwm train` prints."""
        if isinstance(self.event, Preempted):
            where = f"step {self.event.step} ({self.event.signal})"
            return f"trial {self.trial_id} stopped at {where}; run the same command to resume it"
        figures = ", ".join(f"{key} {value:.4g}" for key, value in self.event.metrics.items())
        how = "had already finished" if self.reused else "finished"
        return f"trial {self.trial_id} {how}: {figures}\nweights_sha256 {self.event.weights_sha256}"


def train_here(layout: Layout, cell: Cell, *, place: Place = ALONE) -> Ended:
    """Runs the trial in this process until it finishes or a signal stops it; as the first of all ranks.

    Raises:
        BusyError: the trial is under way elsewhere.
        CoreError: training failed.
    """
    with workers.leading(place) as world:
        return _train(layout, cell, world=world)


def follow_here(cell: Cell, *, place: Place) -> None:
    """Trains beside the first rank until that ends.

    Raises:
        CoreError: training failed.
    """
    with stop_flag() as stop:
        workers.follow(cell.trial.config, cell.resources, place=place, should_stop=stop)


def _train(layout: Layout, cell: Cell, *, world: "World | None") -> Ended:
    folder = write_trial(layout, cell.trial)
    if done := finished_event(folder):
        return Ended(cell.trial.id, done, reused=True)
    token = new_token()
    slots.reconcile(layout, {folder.id: read_status(folder)})  # records an attempt that a killed process left behind
    untouched = frozenset[State]() if is_held(folder.worker_lock) else frozenset({State.QUEUED})
    if not claim(folder, resources=cell.resources, token=token, launcher=FOREGROUND, also_from=untouched):
        state = read_status(folder).state
        raise BusyError(f"trial {folder.id} is {state}; follow it with: iwm logs {folder.id[:8]} -f", value=state)
    with stop_flag() as stop, _progress_bar(cell.trial.config.train.steps) as listen:
        try:
            event = run_attempt(folder, job=Job(token=token), should_stop=stop, listen=listen, world=world)
        except (LeaseLost, Superseded) as reason:
            raise BusyError(f"trial {folder.id}: {reason}", value=folder.id) from reason
    return Ended(cell.trial.id, finished_event(folder) or event)


def finished_event(folder: TrialFolder) -> Finished | None:
    """The `finished` event of the lowest attempt that has one."""
    journals = journal.read_journals(folder)
    found = [event for number in sorted(journals) for event in journals[number] if isinstance(event, Finished)]
    return found[0] if found else None


@contextlib.contextmanager
def _progress_bar(total: int) -> Iterator[Callable[[Event], None]]:
    """A progress bar on standard error, if that is a terminal; yields its event listener."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("train", total=total)

        def listen(event: Event) -> None:
            if isinstance(event, Step):
                loss = event.metrics.get("loss", float("nan"))
                progress.update(task, completed=event.step, description=f"loss {loss:.4f}")

        yield listen


def job_around(environ: Mapping[str, str] = os.environ) -> Job:
    """The job of this process. One that we submitted to SLURM has a token, and starts again with the same one."""
    job = Job.from_environment(environ)
    if job.in_slurm and EXECUTOR in environ:
        return job if job.token else replace(job, token=UNVERIFIED.format(job_id=job.job_id))
    return replace(job, token=new_token(), in_slurm=False)  # a shell in an allocation is not our job


def run_cell(layout: Layout, cell: Cell, *, job: Job) -> dict[str, float]:
    """Runs the trial and returns its final metrics; empty if it runs elsewhere.

    Raises:
        SystemExit: the trial was asked to stop.
        RootError: the root is not writable.
        Exception: any error of training.
    """
    with stop_flag() as stop:
        folder = write_trial(layout, cell.trial)
        if done := finished_event(folder):
            log.info("trial %s has already finished: reusing it", folder.id)
            return dict(done.metrics)
        slots.reconcile(layout, {folder.id: read_status(folder)})  # an attempt that a killed process left behind
        if not has_right(folder, resources=cell.resources, job=job):
            log.info("trial %s is %s elsewhere: skipping it", folder.id, read_status(folder).state)
            return {}
        if os.environ.get(EXECUTOR) == "slurm":
            log.info("trial %s logs to %s", folder.id, folder.logs)
            workers.prepare(folder, job_id=job.job_id, restart=job.restart)
        try:
            ended = run_attempt(folder, job=job, should_stop=stop)
        except (LeaseLost, Superseded) as leave:
            log.info("stopping trial %s: %s", folder.id, leave)
            return {}
        if isinstance(ended, Finished):
            return dict(ended.metrics)
        give_way(job, f"trial {folder.id} stopped at step {ended.step} ({ended.signal})", signal=ended.signal)


def has_right(folder: TrialFolder, *, resources: Resources, job: Job) -> bool:
    """Return True if this job may start the trial: it claimed it before, or claims it now."""
    newest = newest_claim(journal.read_control(folder))
    if newest and newest.token == job.token:
        return True
    won = claim(folder, resources=resources, token=job.token, launcher=HYDRA if job.in_slurm else FOREGROUND)
    if won and job.in_slurm:
        journal.record(folder, Submitted(claim=won.claim, job_id=job.job_id))
    return won is not None


def give_way(job: Job, message: str, *, signal: str) -> NoReturn:
    """Requeues the job and waits for SLURM to end it, so that it does not count as complete.

    Raises:
        SystemExit: the job was not requeued, or SLURM did not end it.
    """
    if job.in_slurm and signal != CANCELLED and workers.requeue(job.job_id):
        time.sleep(KILLED_WITHIN_S)
    sys.exit(f"{message}; run the same command to resume it")


def in_a_slot(layout: Layout, job: Job, *, number: int, resources: Resources, environ: Mapping[str, str]) -> Job:
    """Assigns the job a slot of this machine, which it takes before it trains, and the slot's GPU.

    submitit's local executor starts all jobs of a sweep at once and hides every GPU from them.
    """
    slot = number % resources.slots
    visible = {"CUDA_VISIBLE_DEVICES": environ[GPUS_SEEN]} if GPUS_SEEN in environ else {}
    os.environ["CUDA_VISIBLE_DEVICES"] = slots.gpu_of_slot(slot, gpus=resources.gpus, environ=visible)
    return replace(job, slot_lock=str(layout.slot_lock(slot)))
