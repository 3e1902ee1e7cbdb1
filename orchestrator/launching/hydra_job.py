"""One trial in a job that Hydra started: nobody claimed it before the job was submitted, so the job does so itself.

    finished? -> its metrics        under way elsewhere? -> leave it        else: claim -> `submitted` -> attempt

The token of a claim in SLURM is made of the job's id: a job that SLURM starts again goes on under its own claim.
Outside of SLURM nobody starts a process again, and a trial stands there as one of `iwm train` does.
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
"""Environment variable of submitit's: which of its executors runs this job, if any."""
GPUS_SEEN = "IWM_GPUS_SEEN"
"""Environment variable: the CUDA_VISIBLE_DEVICES of whoever called; submitit's local executor hides it."""
KILLED_WITHIN_S = 900.0
"""How long a requeued job waits for SLURM to end it; sites let a job linger for minutes at most."""

log = logging.getLogger(__name__)


def job_around(environ: Mapping[str, str] = os.environ) -> Job:
    """The job of this process; its token is the same whenever SLURM starts the same job."""
    job = Job.from_environment(environ)
    return replace(job, token=f"{HYDRA}-{job.job_id}" if job.in_slurm else new_token())


def run_cell(layout: Layout, cell: Cell, *, job: Job) -> dict[str, float]:
    """The final metrics of the trial; none where it is left to somebody else.

    Raises:
        SystemExit: it was asked to stop.
        RootError: the root cannot be written.
        Exception: whatever training raised.
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
            log.info("trial %s says the rest in %s", folder.id, folder.logs)
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
    """Whether this job may start the trial: it has claimed it before, or wins the claim now."""
    newest = newest_claim(journal.read_control(folder))
    if newest and newest.token == job.token:
        return True
    won = claim(folder, resources=resources, token=job.token, launcher=HYDRA if job.in_slurm else FOREGROUND)
    if won and job.in_slurm:
        journal.record(folder, Submitted(claim=won.claim, job_id=job.job_id))
    return won is not None


def give_way(job: Job, said: str, *, signal: str) -> NoReturn:
    """Puts the job back into the queue and waits to be ended, so that nobody takes it for complete.

    Raises:
        SystemExit: nobody ended it, or the trial is its person's to start again.
    """
    if job.in_slurm and signal != CANCELLED and requeue(job.job_id):
        time.sleep(KILLED_WITHIN_S)
    sys.exit(f"{said}; the same command goes on with it")


def in_a_slot(layout: Layout, job: Job, *, number: int, resources: Resources, environ: Mapping[str, str]) -> Job:
    """The job with a slot of this machine, which it takes before it trains; its GPU is the slot's.

    submitit's local executor starts all jobs of a sweep at once, and hides every GPU from them.
    """
    slot = number % resources.slots
    visible = {"CUDA_VISIBLE_DEVICES": environ[GPUS_SEEN]} if GPUS_SEEN in environ else {}
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu_of_slot(slot, gpus=resources.gpus, environ=visible)
    return replace(job, slot_lock=str(layout.slot_lock(slot)))
