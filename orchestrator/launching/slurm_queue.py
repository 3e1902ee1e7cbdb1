"""Our jobs in SLURM's queue: list them, hold, release and cancel them, find orphan jobs and failing nodes."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

from iwm_core.training.place import node_names
from orchestrator.host import provenance, slurm
from orchestrator.host.slurm import Job
from orchestrator.launching.batch import cut, read_batch
from orchestrator.records import journal
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cause, Held
from orchestrator.trial.launchers import HYDRA, SLURM
from orchestrator.trial.lifecycle import UNDER_WAY, State, TrialStatus

log = logging.getLogger(__name__)

NAMED_MAX = 200
"""The most jobs that a query of sacct names by id; a larger one is by time."""
BAD_AFTER = 2
"""Failures after which a node is avoided, whichever trials they hit."""
CANCELLED_AT_ONCE = 500
"""Job ids in one scancel command."""


@dataclass(frozen=True)
class Queue:
    """SLURM's answer: `live` jobs by id, and the last start of each `ended` job by id."""

    live: Mapping[str, Job]
    ended: Mapping[str, Job]


def is_of_slurm(status: TrialStatus) -> bool:
    """Return True if SLURM ran the trial last."""
    return status.launcher == SLURM or (status.launcher == HYDRA and status.job_id.replace("_", "").isdigit())


def is_ours(status: TrialStatus) -> bool:
    """Return True for an unfinished trial that runs under SLURM."""
    return is_of_slurm(status) and status.state in UNDER_WAY


def ask(statuses: Mapping[str, TrialStatus]) -> Queue | None:
    """Lists the jobs of these trials: one squeue, and one sacct if a job ended. None if SLURM does not answer."""
    users = _users(statuses)
    listed = _list(users)
    if listed is None:
        return None
    live = {job.id: job for job in listed if not job.is_over}
    over = {job.id: job for job in listed if job.is_over}
    unclear = [status for status in statuses.values() if _needs_accounting(status, live)]
    if any(over[status.job_id].state == "FAILED" for status in unclear if status.job_id in over):
        codes = slurm.parse_exit_codes(slurm.run(slurm.exit_codes_command(users)).out)
        known = {key: codes.get(key, (job.exit_code, job.signal)) for key, job in over.items()}
        over = {key: replace(job, exit_code=known[key][0], signal=known[key][1]) for key, job in over.items()}
    unclear = [status for status in unclear if status.job_id not in over]
    return Queue(live, _accounted(unclear, users=users) | over if unclear else over)


def _users(statuses: Mapping[str, TrialStatus]) -> list[str]:
    return sorted({status.claim_user for status in statuses.values() if status.claim_user})


def _list(users: list[str]) -> list[Job] | None:
    """The jobs of these users; None if SLURM does not answer."""
    answer = slurm.run(slurm.squeue_command(users))
    if not answer.ok:
        log.warning("SLURM does not answer, so trial states stay as they are: %s", answer.words)
        return None
    return slurm.parse_squeue(answer.out)


def _needs_accounting(status: TrialStatus, live: Mapping[str, Job]) -> bool:
    """Return True if the queue alone does not tell how a job ended; a cleanly preempted one needs no explanation."""
    job = live.get(status.job_id)
    unexplained = bool(status.attempts) and status.attempts[-1].cause == Cause.REQUEUED
    if status.state is State.RUNNING or (status.state is State.PREEMPTED and unexplained):
        return job is None or job.state == "PENDING"
    return job is None and status.submitted and status.state is not State.HELD


def _accounted(statuses: list[TrialStatus], *, users: list[str]) -> dict[str, Job]:
    """The last start of each job that has ended; empty on a site without accounting."""
    ids = sorted({status.job_id.partition("_")[0] for status in statuses if status.job_id})
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(min(status.claim_t for status in statuses) - 60))
    named = ids if len(ids) <= NAMED_MAX else []
    answer = slurm.run(slurm.sacct_command(users, since=since, job_ids=named))
    ended = [job for job in slurm.parse_sacct(answer.out) if job.is_over or job.state == "REQUEUED"]
    return {job.id: job for job in ended}


def nodes_to_avoid(statuses: Iterable[TrialStatus]) -> list[str]:
    """The nodes that failed `BAD_AFTER` times or more, worst first, and at most half of the cluster's nodes."""
    failed = Counter(name for status in statuses for node in status.bad_nodes for name in node_names(node))
    bad = [node for node, times in failed.most_common() if times >= BAD_AFTER]
    return bad[: len(set(slurm.run(slurm.nodes_command()).out.split())) // 2] if bad else []


def orphans(layout: Layout, statuses: Iterable[TrialStatus], *, live: Iterable[Job]) -> Iterator[Job]:
    """The pending jobs under this root that no trial waits for: its newest claim is another, or has ended.

    SLURM may accept a job although its submitter died or got no answer. Its trials are then claimed again, and the
    orphan job would only occupy a node to find a newer claim. So would the job of a trial that was cancelled while
    SLURM did not answer. The trials of an unknown job are read again, as they may have been submitted just now.
    """
    expected = {(status.job_id, status.token) for status in statuses}
    batch_of = cache(partial(read_batch, layout))
    for job in live:
        if job.token and job.state == "PENDING" and (job.id, job.token) not in expected:
            batch = batch_of(job.token)
            if batch and not any(
                status.token == job.token and is_ours(status)
                for status in (read_status(layout.trial(key)) for key in batch.tasks[job.index])
            ):
                yield job


def whole_jobs(layout: Layout, statuses: Mapping[str, TrialStatus]) -> Iterator[tuple[Job, list[str]]]:
    """The live jobs whose unfinished trials are all among these, with those trials.

    A job is a trial's only if it carries the token of the trial's lease. Its id alone proves nothing: a controller that
    lost its state gives old ids to other people's jobs.
    """
    submitted = {key: status for key, status in statuses.items() if is_ours(status) and status.submitted}
    listed = _list(_users(submitted)) if submitted else None
    live = {job.id: job for job in listed or () if not job.is_over}
    by_job: dict[tuple[str, str], list[str]] = {}
    for key, status in submitted.items():
        by_job.setdefault((status.job_id, status.token), []).append(key)
    for (job_id, token), keys in by_job.items():
        job = live.get(job_id)
        if not job or job.token != token:
            continue
        batch = read_batch(layout, token)
        task = batch.tasks[job.index] if batch else tuple(keys)
        if not any(key not in keys and is_ours(read_status(layout.trial(key))) for key in task):
            yield job, keys


def cancel_jobs(layout: Layout, statuses: Mapping[str, TrialStatus]) -> None:
    """Cancels the jobs of cancelled trials; where another trial shares the job, the worker stops by itself."""
    job_ids = [job.id for job, _ in whole_jobs(layout, statuses)]
    for part in cut(job_ids, CANCELLED_AT_ONCE):
        slurm.run(slurm.cancel_command(part))


def hold(layout: Layout, statuses: Mapping[str, TrialStatus]) -> list[str]:
    """Holds jobs and returns their trials: running ones checkpoint and return to the queue, held."""
    held: list[str] = []
    for job, keys in whole_jobs(layout, statuses):
        for key in keys:
            journal.record(layout.trial(key), Held(claim=statuses[key].claim, reason=f"by {provenance.user()}"))
        command = slurm.hold_command if job.state == "PENDING" else slurm.requeue_hold_command
        slurm.run(command([job.id]))
        held += keys
    return held


def release(layout: Layout, statuses: Mapping[str, TrialStatus]) -> None:
    """Releases the held jobs of these trials."""
    if job_ids := [job.id for job, _ in whole_jobs(layout, statuses)]:
        slurm.run(slurm.release_command(job_ids))
