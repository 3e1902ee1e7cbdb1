"""What a decision writes down of a job that is lost, held or cancelled; and jobs that no trial waits for any more.

SLURM may take a job whose submitter has died, or was told that SLURM does not answer. Its trials are then claimed
again; such an orphan would find a newer claim and end at once, so it is cancelled before it takes a place.
"""

from collections.abc import Iterable, Iterator

from orchestrator.host.slurm import Job
from orchestrator.launching.batch import ArraySubmission
from orchestrator.launching.decisions import Action, Step
from orchestrator.launching.slurm_arrays import read_batch
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cancelled, Held, Lost, Released, Requeued
from orchestrator.trial.lifecycle import UNDER_WAY, TrialStatus


def record(folder: TrialFolder, status: TrialStatus, step: Step, *, said: str = "") -> bool:
    """Writes down what this step says of the trial; False where it says nothing. `said`: what the job said last.

    Raises:
        OSError: it cannot be written.
    """
    claim, reason = status.claim, "; ".join(filter(None, (step.reason, said)))
    match step.action:
        case Action.RELEASE:
            journal.record(folder, Requeued(claim=claim, reason=step.reason))
        case Action.MARK_ATTEMPT_LOST:
            under_it = [attempt for attempt in status.attempts if attempt.claim == claim]
            number = (under_it or status.attempts)[-1].number
            journal.record(folder, Lost(claim=claim, attempt=number, reason=reason, cause=step.cause, node=step.node))
        case Action.MARK_JOB_LOST:
            journal.record(folder, Lost(claim=claim, reason=reason, cause=step.cause, node=step.node))
        case Action.MARK_CANCELLED:
            if read_status(folder).state in UNDER_WAY:
                journal.record(folder, Cancelled(claim=claim, by=step.reason))
        case Action.MARK_HELD:
            journal.record(folder, Held(claim=claim, reason=step.reason))
        case Action.MARK_RELEASED:
            journal.record(folder, Released(claim=claim))
        case _:
            return False
    return True


def orphans(layout: Layout, statuses: Iterable[TrialStatus], *, live: Iterable[Job]) -> Iterator[Job]:
    """The waiting jobs under this root whose token is no trial's newest claim's.

    The trials of a job that the statuses do not know are read again: it may be just now that they were submitted.
    """
    waited_for = {(status.job_id, status.token) for status in statuses}
    batches: dict[str, ArraySubmission | None] = {}
    for job in live:
        if job.token and job.state == "PENDING" and (job.id, job.token) not in waited_for:
            if job.token not in batches:
                batches[job.token] = read_batch(layout, job.token)
            if (batch := batches[job.token]) and _is_orphan(layout, batch, job=job):
                yield job


def _is_orphan(layout: Layout, batch: ArraySubmission, *, job: Job) -> bool:
    return all(read_status(layout.trial(trial_id)).token != batch.token for trial_id in batch.tasks[job.index])
