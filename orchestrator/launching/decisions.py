"""Decide what to do about a trial, from its files and from the state of its job, on this machine or in SLURM.

    decide(status, sight, now=...) -> Step  [pure];    apply(folder, status, step) records it

On this machine an attempt is lost only if its worker is known to be gone; an unknown state proves nothing. A trial of
`iwm train` is not started again.

| seen on this machine           | queued         | running          | preempted     |
|--------------------------------|----------------|------------------|---------------|
| the worker lives               | wait           | wait             | start again   |
| no worker, no job              | job lost       | attempt lost     | start again   |
| no worker, nothing of its job  | wait           | attempt lost     | start again   |

| SLURM says of the job          | queued         | running          | preempted     | held      |
|--------------------------------|----------------|------------------|---------------|-----------|
| runs, completes, is suspended  | wait           | wait             | wait          | follow    |
| pending                        | wait           | attempt lost     | wait          | follow    |
| held by SLURM (launch failed)  | release        | attempt lost     | release       | wait      |
| held by a person               | follow         | attempt lost     | follow        | wait      |
| cancelled                      | cancelled      | cancelled        | cancelled     | cancelled |
| over, or not known any more    | job lost       | attempt lost     | start again   | wait      |

A job that SLURM could not start is released `RELAUNCHES_MAX` times; after that it counts as held by a person.

A claim behind another trial has no job: it waits until that trial has finished, and while it is held; then the trial is
claimed and submitted (start again).

"Not known" means that the controller answered and does not list the job; without an answer nothing is decided. A wrong
decision costs time, never results: a job that shows up again under an older claim ends at once.
"""

from dataclasses import dataclass
from enum import Enum

from orchestrator.host.slurm import Job
from orchestrator.records import journal
from orchestrator.records.layout import TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cancelled, Cause, Held, Lost, Released, Requeued
from orchestrator.trial.launchers import FOREGROUND, LOCAL
from orchestrator.trial.lifecycle import UNDER_WAY, State, TrialStatus

HOLD_SETTLES_S = 30.0
"""Seconds until SLURM shows a hold: it stops a running job first."""
RELAUNCHES_MAX = 3
"""Failed starts after which a person must look: SLURM drains a node for each."""
ORPHAN_S = 60.0
"""Seconds after which a claim without a job is given up if its submitter runs on another machine."""


class Action(Enum):
    """An action on a trial."""

    WAIT = "wait"
    ADOPT = "record the job that its submitter did not record"
    MARK_ATTEMPT_LOST = "mark the newest attempt lost"
    MARK_JOB_LOST = "mark the job lost before its first attempt"
    MARK_CANCELLED = "record that the job was cancelled"
    MARK_HELD = "record that the job is held"
    MARK_RELEASED = "record that the job was released"
    RELEASE = "release the job"
    START_AGAIN = "claim and submit again"


class Seen(Enum):
    """The state of a process on this machine."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What is known about the newest claim's job, from its processes on this machine or from SLURM.

    Attributes:
        worker: The worker's process.
        process: The job's own process, around the worker.
        live: The job in SLURM's queue.
        ended: How the job's last start ended.
        submitting: The submitter may still be at work.
        waits: The parent trial has not finished.
    """

    worker: Seen = Seen.UNKNOWN
    process: Seen = Seen.UNKNOWN
    live: Job | None = None
    ended: Job | None = None
    submitting: bool = False
    waits: bool = False


@dataclass(frozen=True)
class Step:
    """An action, and the reason, cause and node to record with it."""

    action: Action
    reason: str = ""
    cause: Cause = Cause.VANISHED
    node: str = ""


WAIT = Step(Action.WAIT)


def decide(status: TrialStatus, sight: Sight, *, now: float) -> Step:
    """Returns the one step for this trial; `now` in unix seconds."""
    if status.launcher in (LOCAL, FOREGROUND):
        return _on_this_machine(status, sight)
    if status.may_wait:
        return WAIT if sight.waits else Step(Action.START_AGAIN)
    if not status.submitted and (sight.live or status.state is State.QUEUED):
        return _unrecorded(sight)
    if sight.live:
        return _live(status, sight, now=now)
    return _over(status, sight)


def _on_this_machine(status: TrialStatus, sight: Sight) -> Step:
    gone = sight.worker is Seen.GONE
    if status.state is State.RUNNING and gone:
        return Step(Action.MARK_ATTEMPT_LOST, "no worker on this machine")
    if status.state is State.QUEUED and gone and sight.process is Seen.GONE:
        return Step(Action.MARK_JOB_LOST, "the job ended before it started")
    again = status.state is State.PREEMPTED and status.launcher == LOCAL
    return Step(Action.START_AGAIN) if again else WAIT


def _unrecorded(sight: Sight) -> Step:
    """A job that ended unrecorded without being cancelled never received its pickle: its submitter died."""
    if sight.live or (sight.ended and sight.ended.state == "CANCELLED"):
        return Step(Action.ADOPT)
    return WAIT if sight.submitting else Step(Action.MARK_JOB_LOST, "its submission was interrupted", Cause.REQUEUED)


def _live(status: TrialStatus, sight: Sight, *, now: float) -> Step:
    job, state = sight.live, status.state
    assert job
    if state is State.RUNNING:
        return _lost(Action.MARK_ATTEMPT_LOST, status, sight) if job.state == "PENDING" else WAIT
    if state is State.PREEMPTED and job.state == "PENDING" and _is_known_better(status, sight):
        return _lost(Action.MARK_ATTEMPT_LOST, status, sight)
    if job.is_held:
        if state is State.HELD:
            return WAIT
        again = job.failed_to_launch and status.relaunches < RELAUNCHES_MAX
        return Step(Action.RELEASE if again else Action.MARK_HELD, job.reason)
    if state is State.HELD and (job.state == "PENDING" or now - status.held_t > HOLD_SETTLES_S):
        return Step(Action.MARK_RELEASED)
    return WAIT


def _is_known_better(status: TrialStatus, sight: Sight) -> bool:
    """Return True if the accounting, which lags by a second, now explains the newest attempt's loss."""
    newest = status.attempts[-1] if status.attempts else None
    unexplained = newest and newest.end == "lost" and newest.cause == Cause.REQUEUED
    return bool(unexplained and sight.ended and sight.ended.cause is not Cause.REQUEUED)


def _over(status: TrialStatus, sight: Sight) -> Step:
    if sight.ended and sight.ended.state == "CANCELLED":
        return Step(Action.MARK_CANCELLED, "scancel")
    match status.state:
        case State.PREEMPTED:
            return Step(Action.START_AGAIN)
        case State.RUNNING:
            return _lost(Action.MARK_ATTEMPT_LOST, status, sight)
        case State.QUEUED:
            return _lost(Action.MARK_JOB_LOST, status, sight)
        case _:
            return WAIT


def _lost(action: Action, status: TrialStatus, sight: Sight) -> Step:
    """The loss of an attempt or a job: as its last start ended, requeued, or unknown to SLURM."""
    host = status.attempts[-1].host if status.attempts and action is Action.MARK_ATTEMPT_LOST else ""
    if ended := sight.ended:
        hint = ": killed, possibly for lack of memory" if ended.cause is Cause.KILLED else ""
        return Step(action, ended.sentence + hint, ended.cause, ended.node or host)
    if sight.live:
        return Step(action, "its job was requeued", Cause.REQUEUED, host)
    return Step(action, "SLURM no longer knows its job", node=host)


def apply(folder: TrialFolder, status: TrialStatus, step: Step, *, log_end: str = "") -> bool:
    """Records the step's event under the newest claim; returns False for a step without one.

    `log_end` is the end of the job's log, appended to the reason of a loss.

    Raises:
        OSError: the event cannot be written.
    """
    claim, reason = status.claim, "; ".join(filter(None, (step.reason, log_end)))
    match step.action:
        case Action.RELEASE:
            event = Requeued(claim=claim, reason=step.reason)
        case Action.MARK_ATTEMPT_LOST:
            under_it = [attempt for attempt in status.attempts if attempt.claim == claim]
            number = (under_it or status.attempts)[-1].number
            event = Lost(claim=claim, attempt=number, reason=reason, cause=step.cause, node=step.node)
        case Action.MARK_JOB_LOST:
            event = Lost(claim=claim, reason=reason, cause=step.cause, node=step.node)
        case Action.MARK_CANCELLED if read_status(folder).state in UNDER_WAY:
            event = Cancelled(claim=claim, by=step.reason)
        case Action.MARK_HELD:
            event = Held(claim=claim, reason=step.reason)
        case Action.MARK_RELEASED:
            event = Released(claim=claim)
        case _:
            return False
    journal.record(folder, event)
    return True
