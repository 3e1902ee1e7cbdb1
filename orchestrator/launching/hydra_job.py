"""One trial in a job that Hydra started. The trial is not claimed before the job is submitted, so the job claims it.

    finished? -> return its metrics     under way elsewhere? -> leave it     else: claim -> `submitted` -> attempt

Under SLURM the token derives from the job's id, so a job that SLURM starts again continues under its own claim.
Elsewhere no process is started again, and the trial counts as one of `iwm train`.
"""

import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from iwm_core.events import Finished
from orchestrator.host.signals import stop_flag
from orchestrator.launching import slots
from orchestrator.launching.foreground import finished_event
from orchestrator.launching.leases import claim, new_token, write_trial
from orchestrator.launching.slots import gpu_of_slot
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Submitted
from orchestrator.trial.launchers import FOREGROUND, HYDRA
from orchestrator.trial.lifecycle import newest_claim
from orchestrator.trial.sweep import Cell, Resources
from orchestrator.worker.attempt import CANCELLED, Job, LeaseLost, Superseded, run_attempt
from orchestrator.worker.workers import prepare, requeue

EXECUTOR = "SUBMITIT_EXECUTOR"
"""submitit's environment variable: the executor that runs this job, if any."""
GPUS_SEEN = "IWM_GPUS_SEEN"
"""Environment variable: the caller's CUDA_VISIBLE_DEVICES, which submitit's local executor hides."""
KILLED_WITHIN_S = 900.0
"""Seconds that a requeued job waits for SLURM to end it; sites let a job linger for minutes at most."""

log = logging.getLogger(__name__)


def job_around(environ: Mapping[str, str] = os.environ) -> Job:
    """The job of this process; SLURM starts the same job again with the same token."""
    job = Job.from_environment(environ)
    return replace(job, token=f"{HYDRA}-{job.job_id}" if job.in_slurm else new_token())


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
            log.info("trial %s was finished before: reused", folder.id)
            return dict(done.metrics)
        slots.reconcile(layout, {folder.id: read_status(folder)})  # an attempt that a killed process left behind
        if not has_right(folder, resources=cell.resources, job=job):
            log.info("trial %s is %s elsewhere: left alone", folder.id, read_status(folder).state)
            return {}
        if os.environ.get(EXECUTOR) == "slurm":
            log.info("trial %s logs to %s", folder.id, folder.logs)
            prepare(folder, job_id=job.job_id, restart=job.restart)
        try:
            ended = run_attempt(folder, job=job, should_stop=stop)
        except (LeaseLost, Superseded) as leave:
            log.info("leaving trial %s: %s", folder.id, leave)
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


def give_way(job: Job, said: str, *, signal: str) -> NoReturn:
    """Requeues the job and waits for SLURM to end it, so that it does not count as complete.

    Raises:
        SystemExit: the job was not requeued, or SLURM did not end it.
    """
    if job.in_slurm and signal != CANCELLED and requeue(job.job_id):
        time.sleep(KILLED_WITHIN_S)
    sys.exit(f"{said}; run the same command to resume it")


def in_a_slot(layout: Layout, job: Job, *, number: int, resources: Resources, environ: Mapping[str, str]) -> Job:
    """Assigns the job a slot of this machine, which it takes before it trains, and the slot's GPU.

    submitit's local executor starts all jobs of a sweep at once and hides every GPU from them.
    """
    slot = number % resources.slots
    visible = {"CUDA_VISIBLE_DEVICES": environ[GPUS_SEEN]} if GPUS_SEEN in environ else {}
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu_of_slot(slot, gpus=resources.gpus, environ=visible)
    return replace(job, slot_lock=str(layout.slot_lock(slot)))
