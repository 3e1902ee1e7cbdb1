"""What to do about a trial, given what it wrote and what can be seen of its job, here or by SLURM. Pure.

    decide(status, sight, now=...) -> Step

On this machine an attempt is lost only where somebody could look and saw nobody: silence is no proof of death. What
nobody looks after (`iwm train`) is not started again.

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
| held by somebody               | follow         | attempt lost     | follow        | wait      |
| cancelled                      | cancelled      | cancelled        | cancelled     | cancelled |
| over, or not known any more    | job lost       | attempt lost     | start again   | wait      |

A job that SLURM could not start is released `RELAUNCHES_MAX` times; then it is as if somebody held it.

A claim behind another trial has no job to ask for: it waits until that trial has finished, and while it is held; then
the trial is claimed and submitted (start again).

"Not known" is what a controller says that answered; where none answered, nobody asks for a decision. And a decision
that turns out wrong costs time, never results: a job that shows up again under an older claim ends at once.
"""

from dataclasses import dataclass
from enum import Enum

from orchestrator.host.slurm import Job
from orchestrator.trial.events import Cause
from orchestrator.trial.launchers import FOREGROUND, LOCAL
from orchestrator.trial.lifecycle import State, TrialStatus

HOLD_SETTLES_S = 30.0
"""How long a hold may take to be seen: a running job is stopped first."""
RELAUNCHES_MAX = 3
"""After this many starts that failed, somebody must look: SLURM drains a node for each."""
ORPHAN_S = 60.0
"""After this, a claim that no job came of is given up, where its submitter is on another machine and cannot be seen."""


class Action(Enum):
    """What to do."""

    WAIT = "wait"
    ADOPT = "record the job that nobody recorded"
    MARK_ATTEMPT_LOST = "mark the newest attempt lost"
    MARK_JOB_LOST = "mark the job lost before its first attempt"
    MARK_CANCELLED = "somebody cancelled the job"
    MARK_HELD = "somebody holds the job"
    MARK_RELEASED = "somebody released the job"
    RELEASE = "release the job"
    START_AGAIN = "claim and submit again"


class Seen(Enum):
    """What a look at a process of this machine showed."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What is known of the job of a newest claim: of its processes here, or as SLURM has it.

    `live` is the job as it is in the queue, `ended` how its last start ended.
    """

    worker: Seen = Seen.UNKNOWN
    process: Seen = Seen.UNKNOWN
    """The job's own, around the worker."""
    live: Job | None = None
    ended: Job | None = None
    submitting: bool = False
    """Its submitter may still be at work."""
    waits: bool = False
    """The trial that has to finish first has not."""


@dataclass(frozen=True)
class Step:
    """An action, and what to say about it."""

    action: Action
    reason: str = ""
    cause: Cause = Cause.VANISHED
    node: str = ""


WAIT = Step(Action.WAIT)


def decide(status: TrialStatus, sight: Sight, *, now: float) -> Step:
    """The one step for this trial; `now` in unix seconds."""
    if status.launcher in (LOCAL, FOREGROUND):
        return _here(status, sight)
    if status.may_wait:
        return WAIT if sight.waits else Step(Action.START_AGAIN)
    if not status.submitted and (sight.live or status.state is State.QUEUED):
        return _unrecorded(sight)
    if sight.live:
        return _live(status, sight, now=now)
    if sight.ended and sight.ended.state == "CANCELLED":
        return Step(Action.MARK_CANCELLED, "scancel")
    return _over(status, sight)


def _here(status: TrialStatus, sight: Sight) -> Step:
    gone = sight.worker is Seen.GONE
    if status.state is State.RUNNING and gone:
        return Step(Action.MARK_ATTEMPT_LOST, "no worker on this machine")
    if status.state is State.QUEUED and gone and sight.process is Seen.GONE:
        return Step(Action.MARK_JOB_LOST, "the job ended before it started")
    again = status.state is State.PREEMPTED and status.launcher == LOCAL
    return Step(Action.START_AGAIN) if again else WAIT


def _unrecorded(sight: Sight) -> Step:
    """A job that ended unrecorded, and not by anybody's wish, has waited in vain for what its submitter owed it."""
    if sight.live or (sight.ended and sight.ended.state == "CANCELLED"):
        return Step(Action.ADOPT)
    return WAIT if sight.submitting else Step(Action.MARK_JOB_LOST, "its submission was interrupted", Cause.REQUEUED)


def _live(status: TrialStatus, sight: Sight, *, now: float) -> Step:
    job, state = sight.live, status.state
    assert job
    if state is State.RUNNING:
        return _attempt_lost(status, sight) if job.state == "PENDING" else WAIT
    if state is State.PREEMPTED and job.state == "PENDING" and _is_known_better(status, sight):
        return _attempt_lost(status, sight)
    if job.is_held:
        if state is State.HELD:
            return WAIT
        again = job.failed_to_launch and status.relaunches < RELAUNCHES_MAX
        return Step(Action.RELEASE if again else Action.MARK_HELD, job.reason)
    if state is State.HELD and (job.state == "PENDING" or now - status.held_t > HOLD_SETTLES_S):
        return Step(Action.MARK_RELEASED)
    return WAIT


def _is_known_better(status: TrialStatus, sight: Sight) -> bool:
    """Whether the accounting, which comes a second late, now knows why the newest attempt was lost."""
    newest = status.attempts[-1] if status.attempts else None
    unexplained = newest and newest.end == "lost" and newest.cause == Cause.REQUEUED
    return bool(unexplained and sight.ended and sight.ended.cause is not Cause.REQUEUED)


def _attempt_lost(status: TrialStatus, sight: Sight) -> Step:
    """A running attempt whose job waits to start again."""
    if not sight.ended:
        return Step(Action.MARK_ATTEMPT_LOST, "its job was requeued", Cause.REQUEUED, _host(status))
    return Step(Action.MARK_ATTEMPT_LOST, said_of(sight.ended), sight.ended.cause, sight.ended.node or _host(status))


def _over(status: TrialStatus, sight: Sight) -> Step:
    if status.state is State.PREEMPTED:
        return Step(Action.START_AGAIN)
    if status.state not in _LOSES:
        return WAIT
    action, ended = _LOSES[status.state], sight.ended
    host = _host(status) if action is Action.MARK_ATTEMPT_LOST else ""
    if not ended:
        return Step(action, "SLURM does not know its job any more", node=host)
    return Step(action, said_of(ended), ended.cause, ended.node or host)


def _host(status: TrialStatus) -> str:
    return status.attempts[-1].host if status.attempts else ""


_LOSES = {State.QUEUED: Action.MARK_JOB_LOST, State.RUNNING: Action.MARK_ATTEMPT_LOST}


def said_of(ended: Job) -> str:
    """How a job ended, and what that may mean."""
    killed = ended.cause is Cause.KILLED
    return ended.sentence + (": killed, as happens where memory is short" if killed else "")
