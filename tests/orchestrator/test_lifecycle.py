"""Events in, status out."""

import math

import pytest

from iwm_core.events import Checkpoint, Evaluated, Failed, Finished, Preempted, Started, Step
from orchestrator.events import Cancelled, Claimed, Held, Lost, Released, Submitted
from orchestrator.lifecycle import State, fold, history

CLAIMED = Claimed(claim=0, token="t", launcher="local", host="here")
STARTED = Started(t=10, attempt=0, claim=0, total_steps=100)


@pytest.mark.parametrize(
    ("control", "journals", "state"),
    [
        ([], {}, State.PLANNED),
        ([CLAIMED], {}, State.QUEUED),
        ([CLAIMED, Submitted(claim=0, job_id="7")], {}, State.QUEUED),
        ([CLAIMED, Held(claim=0)], {}, State.HELD),
        ([CLAIMED, Held(claim=0), Released(claim=0)], {}, State.QUEUED),
        ([CLAIMED], {0: [STARTED]}, State.RUNNING),
        ([CLAIMED], {0: [STARTED, Preempted(step=5)]}, State.PREEMPTED),
        ([CLAIMED, Lost(claim=0, attempt=0)], {0: [STARTED]}, State.PREEMPTED),
        ([CLAIMED, Lost(claim=0, attempt=-1)], {}, State.PREEMPTED),
        ([CLAIMED], {0: [STARTED, Failed(error="E")]}, State.FAILED),
        ([CLAIMED, Cancelled(claim=0)], {0: [STARTED, Preempted()]}, State.CANCELLED),
        ([CLAIMED, Cancelled(claim=0)], {0: [STARTED, Finished(step=100)]}, State.FINISHED),
        ([CLAIMED, Lost(claim=0, attempt=0), Claimed(claim=1)], {0: [STARTED]}, State.QUEUED),
        ([CLAIMED, Cancelled(claim=0), Claimed(claim=1)], {0: [STARTED]}, State.QUEUED),
    ],
)
def test_state(control, journals, state):
    assert fold(control, journals).state is state


def test_a_worker_that_vanishes_again_and_again_without_progress_has_failed():
    claims = [Claimed(claim=number, resources={"lost_retries": 2}) for number in range(4)]
    attempts = {number: [Started(attempt=number, claim=number)] for number in range(3)}
    lost = [Lost(claim=number, attempt=number, reason="gone") for number in range(3)]
    assert fold([*claims[:2], *lost[:2]], {0: attempts[0], 1: attempts[1]}).state is State.PREEMPTED
    status = fold([*claims[:3], *lost], attempts)
    assert status.state is State.FAILED
    assert status.error == "lost 3 times in a row without progress: gone"
    moved = {**attempts, 2: [*attempts[2], Checkpoint(step=50)]}
    assert fold([*claims[:3], *lost], moved).state is State.PREEMPTED


def test_jobs_that_end_before_their_first_attempt_count_as_lost():
    control = [event for n in range(5) for event in (Claimed(claim=n), Lost(claim=n, attempt=-1, reason="r"))]
    assert fold(control[:8], {}).state is State.FAILED
    assert fold(control[:6], {}).state is State.PREEMPTED


def test_progress_attempts_and_metrics():
    first = [STARTED, Step(t=11, step=20, metrics={"loss": 2.0}), Checkpoint(t=12, step=20), Step(t=13, step=40)]
    second = [
        Started(t=20, attempt=1, claim=1, resumed_from_step=20, total_steps=100),
        Step(t=21, step=100, metrics={"loss": 1.0}),
        Evaluated(t=22, step=100, protocol="mrr", metrics={"mrr": 0.5}),
        Finished(t=23, step=100, weights_sha256="abc", metrics={"mrr": 0.5}),
    ]
    control = [CLAIMED, Lost(claim=0, attempt=0), Claimed(claim=1)]
    status = fold(control, {0: first, 1: second})
    assert (status.step, status.total_steps, status.weights_sha256) == (100, 100, "abc")
    assert (status.preemptions, status.repeated_steps, status.wall_s) == (1, 20, 6)
    assert status.metrics == {"loss": 1.0, "mrr": 0.5}


def test_the_lowest_attempt_wins_and_a_difference_is_drift():
    journals = {
        0: [Step(t=1, step=10, metrics={"loss": 2.0, "images_per_s": 9.0})],
        1: [Step(t=5, step=10, metrics={"loss": 2.0, "images_per_s": 7.0}), Step(t=6, step=20, metrics={"loss": 1.0})],
    }
    points, drifted = history(journals)
    assert [(point.key, point.step, point.value, point.t) for point in points] == [
        ("loss", 10, 2.0, 1),
        ("images_per_s", 10, 9.0, 1),
        ("loss", 20, 1.0, 6),
    ]
    assert drifted == ()
    journals[1][0] = Step(t=5, step=10, metrics={"loss": 2.5})
    assert history(journals)[1] == ("loss",)


def test_nan_equals_nan():
    journals = {n: [Step(t=n, step=1, metrics={"loss": math.nan})] for n in range(2)}
    assert history(journals)[1] == ()


def test_equal_fingerprints_promise_identity():
    def status(*prints):
        return fold([CLAIMED], {n: [Started(attempt=n, fingerprint={"device": p})] for n, p in enumerate(prints)})

    assert status("cpu", "cpu").fingerprints_agree
    assert not status("cpu", "H200").fingerprints_agree
