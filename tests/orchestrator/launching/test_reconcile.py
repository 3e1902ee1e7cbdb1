"""One action for each picture of the world."""

import pytest

from orchestrator.launching.reconcile import Action, Evidence, Seen, decide
from orchestrator.trial.lifecycle import State, TrialStatus

GONE = Evidence(worker=Seen.GONE, job=Seen.GONE)


@pytest.mark.parametrize(
    ("state", "evidence", "action"),
    [
        (State.RUNNING, GONE, Action.MARK_ATTEMPT_LOST),
        (State.RUNNING, Evidence(worker=Seen.ALIVE), Action.WAIT),
        (State.RUNNING, Evidence(), Action.WAIT),
        (State.QUEUED, GONE, Action.MARK_JOB_LOST),
        (State.QUEUED, Evidence(worker=Seen.GONE, job=Seen.ALIVE), Action.WAIT),
        (State.QUEUED, Evidence(worker=Seen.GONE), Action.WAIT),
        (State.PREEMPTED, GONE, Action.START_AGAIN),
        (State.FINISHED, GONE, Action.WAIT),
        (State.CANCELLED, GONE, Action.WAIT),
        (State.FAILED, GONE, Action.WAIT),
    ],
)
def test_decide(state, evidence, action):
    assert decide(TrialStatus(state=state), evidence) is action


def test_silence_is_no_proof_of_death():
    assert all(decide(TrialStatus(state=state), Evidence()) is Action.WAIT for state in State if state != "preempted")
