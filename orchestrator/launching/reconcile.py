"""What to do about a trial, given what it wrote and what can be seen of its job. Pure.

    decide(status, evidence) -> action

Silence is no proof of death: an attempt is lost only where somebody could look and saw nobody. A preemption is free;
a worker that vanishes again and again without moving its checkpoint is not started for ever (lifecycle says `failed`).
"""

from dataclasses import dataclass
from enum import Enum

from orchestrator.trial.lifecycle import State, TrialStatus


class Seen(Enum):
    """What a look at a process showed."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What can be seen of a trial's worker and of the job around it."""

    worker: Seen = Seen.UNKNOWN
    job: Seen = Seen.UNKNOWN


class Action(Enum):
    """What to do."""

    WAIT = "wait"
    MARK_ATTEMPT_LOST = "mark the newest attempt lost"
    MARK_JOB_LOST = "mark the job lost before its first attempt"
    START_AGAIN = "claim and start again"


def decide(status: TrialStatus, evidence: Evidence) -> Action:
    """The one action for this trial."""
    gone = evidence.worker is Seen.GONE
    if status.state is State.RUNNING and gone:
        return Action.MARK_ATTEMPT_LOST
    if status.state is State.QUEUED and gone and evidence.job is Seen.GONE:
        return Action.MARK_JOB_LOST
    if status.state is State.PREEMPTED:
        return Action.START_AGAIN
    return Action.WAIT
