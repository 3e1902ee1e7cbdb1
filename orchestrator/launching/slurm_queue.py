"""What SLURM says of our jobs: one squeue, and one sacct where something ended; and which nodes failed too often."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from orchestrator.host import slurm
from orchestrator.host.slurm import Job
from orchestrator.trial.events import Cause
from orchestrator.trial.lifecycle import State, TrialStatus

log = logging.getLogger(__name__)

NAMED_MAX = 200
"""More jobs than this are asked for by time instead of by id."""
BAD_AFTER = 2
"""A node that failed this often, under whatever trials, is kept away from."""


@dataclass(frozen=True)
class Queue:
    """What SLURM said: `live` jobs by id; `ended` ones by id, the last start of each."""

    live: Mapping[str, Job]
    ended: Mapping[str, Job]


def ask(statuses: Mapping[str, TrialStatus]) -> Queue | None:
    """Asks for the jobs of these trials; None where SLURM does not answer."""
    users = sorted({status.claim_user for status in statuses.values() if status.claim_user})
    answer = slurm.run(slurm.squeue_command(users))
    if not answer.ok:
        log.warning("SLURM does not answer, so nothing is concluded: %s", answer.words)
        return None
    listed = slurm.parse_squeue(answer.out)
    live = {job.id: job for job in listed if not job.is_over}
    over = {job.id: job for job in listed if job.is_over}
    unclear = [status for status in statuses.values() if _needs_accounting(status, live)]
    if any(over[status.job_id].state == "FAILED" for status in unclear if status.job_id in over):
        over = _with_codes(over, users=users)
    unclear = [status for status in unclear if status.job_id not in over]
    return Queue(live, _accounted(unclear, users=users) | over if unclear else over)


def _with_codes(over: Mapping[str, Job], *, users: list[str]) -> dict[str, Job]:
    """What ended, with the exit codes of what failed."""
    codes = slurm.parse_exit_codes(slurm.run(slurm.exit_codes_command(users)).out)
    known = {key: codes.get(key, (job.exit_code, job.signal)) for key, job in over.items()}
    return {key: replace(job, exit_code=known[key][0], signal=known[key][1]) for key, job in over.items()}


def _needs_accounting(status: TrialStatus, live: Mapping[str, Job]) -> bool:
    """Whether the queue alone does not tell how a job ended; one that is cleanly preempted only has to be over."""
    job = live.get(status.job_id)
    unexplained = bool(status.attempts) and status.attempts[-1].cause == Cause.REQUEUED
    if status.state is State.RUNNING or (status.state is State.PREEMPTED and unexplained):
        return job is None or job.state == "PENDING"
    return job is None and status.submitted and status.state is not State.HELD


def _accounted(statuses: Iterable[TrialStatus], *, users: list[str]) -> dict[str, Job]:
    """The last start of each job that has ended. Empty where there is no accounting."""
    asked = list(statuses)
    ids = sorted({status.job_id.partition("_")[0] for status in asked if status.job_id})
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(min(status.claim_t for status in asked) - 60))
    named = ids if len(ids) <= NAMED_MAX else []
    answer = slurm.run(slurm.sacct_command(users, since=since, job_ids=named))
    ended = [job for job in slurm.parse_sacct(answer.out) if job.is_over or job.state == "REQUEUED"]
    return {job.id: job for job in ended}


def bad_nodes(statuses: Iterable[TrialStatus]) -> list[str]:
    """The nodes that failed `BAD_AFTER` times or more, the worst first; each trial that a failure hit counts."""
    failed = Counter(node for status in statuses for node in status.bad_nodes)
    return [node for node, times in failed.most_common() if times >= BAD_AFTER]


def worst_half(bad: list[str]) -> list[str]:
    """As many as leave half of the cluster to run on: where every node fails, staying away from all helps nobody."""
    if not bad:
        return []
    nodes = set(slurm.run(slurm.nodes_command()).out.split())
    return bad[: len(nodes) // 2]
