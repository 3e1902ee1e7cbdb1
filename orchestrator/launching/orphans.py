"""Jobs that nobody waits for: their trials were claimed again, after a submission that seemed to have come to nothing.

SLURM may take a job whose submitter has died, or was told that SLURM does not answer. Such a job would find a newer
claim and end at once; it is cancelled before it takes a place.
"""

from collections.abc import Iterable, Iterator

from orchestrator.host.slurm import Job
from orchestrator.launching.batch import Batch
from orchestrator.launching.launch_slurm import read_batch
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status
from orchestrator.trial.lifecycle import TrialStatus


def strays(layout: Layout, statuses: Iterable[TrialStatus], *, live: Iterable[Job]) -> Iterator[Job]:
    """The waiting jobs under this root whose token is no trial's newest claim's.

    The trials of a job that the statuses do not know are read again: it may be just now that they were submitted.
    """
    waited_for = {(status.job_id, status.token) for status in statuses}
    batches: dict[str, Batch | None] = {}
    for job in live:
        if job.token and job.state == "PENDING" and (job.id, job.token) not in waited_for:
            if job.token not in batches:
                batches[job.token] = read_batch(layout, job.token)
            if (batch := batches[job.token]) and _is_stray(layout, batch, job=job):
                yield job


def _is_stray(layout: Layout, batch: Batch, *, job: Job) -> bool:
    return all(read_status(layout.trial(trial_id)).token != batch.token for trial_id in batch.tasks[job.index])
