"""What to do about a trial whose job is SLURM's, given what it wrote and what SLURM says. Pure.

    decide(status, sight) -> Step

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


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What is known of the job of a newest claim: as it is in the queue, and how its last start ended."""

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
    if status.may_wait:
        return WAIT if sight.waits else Step(Action.START_AGAIN)
    if not status.submitted and (sight.live or status.state is State.QUEUED):
        return _unrecorded(sight)
    if sight.live:
        return _live(status, sight, now=now)
    if sight.ended and sight.ended.state == "CANCELLED":
        return Step(Action.MARK_CANCELLED, "scancel")
    return _over(status, sight)


def _unrecorded(sight: Sight) -> Step:
    """A job that ended unrecorded, and not by anybody's wish, has waited in vain for what its submitter owed it."""
    if sight.live or (sight.ended and sight.ended.state == "CANCELLED"):
        return Step(Action.ADOPT)
    return WAIT if sight.submitting else Step(Action.MARK_JOB_LOST, "its submission was interrupted", Cause.REQUEUED)


def _live(status: TrialStatus, sight: Sight, *, now: float) -> Step:
    job, state = sight.live, status.state
    assert job
    if state is State.RUNNING:
        return _attempt_lost(sight) if job.state == "PENDING" else WAIT
    if state is State.PREEMPTED and job.state == "PENDING" and _is_known_better(status, sight):
        return _attempt_lost(sight)
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


def _attempt_lost(sight: Sight) -> Step:
    """A running attempt whose job waits to start again."""
    if not sight.ended:
        return Step(Action.MARK_ATTEMPT_LOST, "its job was requeued", Cause.REQUEUED)
    return Step(Action.MARK_ATTEMPT_LOST, said_of(sight.ended), sight.ended.cause, sight.ended.node)


def _over(status: TrialStatus, sight: Sight) -> Step:
    if status.state is State.PREEMPTED:
        return Step(Action.START_AGAIN)
    if status.state not in _LOSES:
        return WAIT
    action, ended = _LOSES[status.state], sight.ended
    if not ended:
        return Step(action, "SLURM does not know its job any more")
    return Step(action, said_of(ended), ended.cause, ended.node)


_LOSES = {State.QUEUED: Action.MARK_JOB_LOST, State.RUNNING: Action.MARK_ATTEMPT_LOST}


def said_of(ended: Job) -> str:
    """How a job ended, and what that may mean."""
    killed = ended.cause is Cause.KILLED
    return ended.sentence + (": killed, as happens where memory is short" if killed else "")
