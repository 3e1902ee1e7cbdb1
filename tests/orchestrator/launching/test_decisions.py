"""One step for each state of a trial and each thing that may be seen of its job, here or by SLURM."""

import pytest

from orchestrator.host.slurm import Job
from orchestrator.launching.decisions import HOLD_SETTLES_S, RELAUNCHES_MAX, Action, Seen, Sight, Step, decide
from orchestrator.trial.events import Cause
from orchestrator.trial.launchers import FOREGROUND, LOCAL
from orchestrator.trial.lifecycle import State, TrialStatus

NOW = 1_000.0
QUEUED, RUNNING, PREEMPTED, HELD = State.QUEUED, State.RUNNING, State.PREEMPTED, State.HELD
LIVE = {
    "runs": Job(id="7", state="RUNNING"),
    "completes": Job(id="7", state="COMPLETING"),
    "is suspended": Job(id="7", state="SUSPENDED"),
    "is pending": Job(id="7", state="PENDING", reason="Resources"),
    "is held by SLURM": Job(id="7", state="PENDING", reason="JobHeldUser (launch failed requeued held)"),
    "is held by somebody": Job(id="7", state="PENDING", reason="JobHeldUser"),
    "is held by the operator": Job(id="7", state="PENDING", reason="JobHeldAdmin"),
}
OVER = {
    "was cancelled": Job(id="7", state="CANCELLED"),
    "failed": Job(id="7", state="FAILED", node="n1", exit_code=3),
    "lost its node": Job(id="7", state="NODE_FAIL", node="n1"),
    "ended well": Job(id="7", state="COMPLETED"),
    "was preempted": Job(id="7", state="PREEMPTED", node="n1"),
}
W, LOST, JOB_LOST = Action.WAIT, Action.MARK_ATTEMPT_LOST, Action.MARK_JOB_LOST
HOLDS, GOES, AGAIN, END = Action.MARK_HELD, Action.MARK_RELEASED, Action.START_AGAIN, Action.MARK_CANCELLED
TABLE = {  # queued, running, preempted, held for long
    "runs": (W, W, W, GOES),
    "completes": (W, W, W, GOES),
    "is suspended": (W, W, W, GOES),
    "is pending": (W, LOST, W, GOES),
    "is held by SLURM": (Action.RELEASE, LOST, Action.RELEASE, W),
    "is held by somebody": (HOLDS, LOST, HOLDS, W),
    "is held by the operator": (HOLDS, LOST, HOLDS, W),
    "was cancelled": (END, END, END, END),
    "failed": (JOB_LOST, LOST, AGAIN, W),
    "lost its node": (JOB_LOST, LOST, AGAIN, W),
    "ended well": (JOB_LOST, LOST, AGAIN, W),
    "was preempted": (JOB_LOST, LOST, AGAIN, W),
    "": (JOB_LOST, LOST, AGAIN, W),
}


def status(state, *, submitted=True, **known):
    return TrialStatus(state=state, submitted=submitted, job_id="7", **known)


def step(state, said, **known):
    return decide(status(state, **known), Sight(live=LIVE.get(said), ended=OVER.get(said)), now=NOW)


@pytest.mark.parametrize("said", TABLE)
def test_the_table(said):
    states = QUEUED, RUNNING, PREEMPTED, HELD
    assert [step(state, said).action for state in states] == list(TABLE[said])


@pytest.mark.parametrize("state", [QUEUED, PREEMPTED])
def test_a_job_that_slurm_cannot_start_is_released_so_often_and_then_held(state):
    sight = Sight(live=LIVE["is held by SLURM"])
    assert decide(status(state, relaunches=RELAUNCHES_MAX - 1), sight, now=NOW).action is Action.RELEASE
    held = decide(status(state, relaunches=RELAUNCHES_MAX), sight, now=NOW)
    assert (held.action, "launch failed" in held.reason) == (HOLDS, True)


@pytest.mark.parametrize("state", [State.FINISHED, State.FAILED, State.CANCELLED, State.PLANNED])
@pytest.mark.parametrize("said", ["failed", "ended well", "runs", ""])
def test_what_is_at_its_end_is_left_alone(state, said):
    assert step(state, said).action is W


@pytest.mark.parametrize("said", ["runs", "completes", "is suspended"])
def test_a_hold_of_a_running_job_takes_its_time(said):
    assert step(HELD, said, held_t=NOW - HOLD_SETTLES_S + 1).action is W
    assert step(HELD, said, held_t=NOW - HOLD_SETTLES_S - 1).action is GOES


@pytest.mark.parametrize(
    ("sight", "action"),
    [
        (Sight(live=LIVE["runs"]), Action.ADOPT),
        (Sight(live=LIVE["is held by SLURM"]), Action.ADOPT),
        (Sight(ended=OVER["was cancelled"]), Action.ADOPT),
        (Sight(ended=OVER["failed"]), JOB_LOST),
        (Sight(ended=OVER["failed"], submitting=True), W),
        (Sight(live=LIVE["runs"], submitting=True), Action.ADOPT),
        (Sight(submitting=True), W),
        (Sight(), JOB_LOST),
    ],
)
def test_a_claim_without_a_record_of_its_job(sight, action):
    assert decide(status(QUEUED, submitted=False), sight, now=NOW).action is action


def test_what_is_to_follow_another_trial_waits_for_it_and_is_then_started():
    behind = status(QUEUED, submitted=False, after="abc")
    assert decide(behind, Sight(waits=True), now=NOW).action is W
    assert decide(behind, Sight(), now=NOW).action is AGAIN
    assert decide(status(HELD, submitted=False, after="abc"), Sight(), now=NOW).action is W
    assert decide(status(QUEUED, after="abc"), Sight(live=LIVE["runs"]), now=NOW).action is W


@pytest.mark.parametrize("sight", [Sight(), Sight(ended=OVER["failed"])])
def test_an_interrupted_submission_is_free(sight):
    assert decide(status(QUEUED, submitted=False), sight, now=NOW).cause is Cause.REQUEUED


@pytest.mark.parametrize("state", [RUNNING, PREEMPTED])
def test_a_job_that_has_begun_before_it_was_recorded_is_recorded_first(state):
    assert decide(status(state, submitted=False), Sight(live=LIVE["runs"]), now=NOW).action is Action.ADOPT
    over = decide(status(state, submitted=False), Sight(ended=OVER["failed"]), now=NOW).action
    assert over is (LOST if state is RUNNING else AGAIN)


@pytest.mark.parametrize("state", [QUEUED, RUNNING])
def test_what_is_said_of_a_lost_job(state):
    failed = step(state, "failed")
    assert (failed.reason, failed.cause, failed.node) == ("FAILED 3:0 on n1", Cause.ERROR, "n1")
    assert step(state, "lost its node").cause is Cause.NODE_FAIL
    killed = decide(status(state), Sight(ended=Job(id="7", state="FAILED", node="n1", exit_code=9)), now=NOW)
    assert (killed.reason.partition(":")[0], killed.cause) == ("FAILED 9", Cause.KILLED)
    unknown = step(state, "")
    assert (unknown.cause, unknown.node) == (Cause.VANISHED, "")


def test_a_running_attempt_whose_job_waits_again_says_how_its_last_start_ended():
    waiting = LIVE["is pending"]
    known = decide(status(RUNNING), Sight(live=waiting, ended=OVER["lost its node"]), now=NOW)
    assert known == Step(LOST, "NODE_FAIL on n1", Cause.NODE_FAIL, "n1")
    unknown = decide(status(RUNNING), Sight(live=waiting), now=NOW)
    assert unknown == Step(LOST, "its job was requeued", Cause.REQUEUED)


GONE = Sight(worker=Seen.GONE, process=Seen.GONE)


@pytest.mark.parametrize(
    ("state", "sight", "action"),
    [
        (RUNNING, GONE, LOST),
        (RUNNING, Sight(worker=Seen.ALIVE), W),
        (RUNNING, Sight(), W),
        (QUEUED, GONE, JOB_LOST),
        (QUEUED, Sight(worker=Seen.GONE, process=Seen.ALIVE), W),
        (QUEUED, Sight(worker=Seen.GONE), W),
        (PREEMPTED, GONE, AGAIN),
        (State.FINISHED, GONE, W),
        (State.CANCELLED, GONE, W),
        (State.FAILED, GONE, W),
    ],
)
def test_what_is_seen_on_this_machine(state, sight, action):
    assert decide(TrialStatus(state=state, launcher=LOCAL), sight, now=NOW).action is action


@pytest.mark.parametrize("state", [state for state in State if state is not PREEMPTED])
def test_silence_is_no_proof_of_death(state):
    assert decide(TrialStatus(state=state, launcher=LOCAL), Sight(), now=NOW).action is W


def test_what_a_person_started_here_is_theirs_to_start_again():
    assert decide(TrialStatus(state=PREEMPTED, launcher=FOREGROUND), GONE, now=NOW).action is W
