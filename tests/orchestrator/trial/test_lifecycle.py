"""Events in, status out."""

import math
from dataclasses import replace

import pytest

from iwm_core.events import Checkpoint, Evaluated, Failed, Finished, Preempted, Started, Step
from orchestrator.trial.events import Cancelled, Cause, Claimed, Held, Lost, Released, Requeued, Submitted, Withdrawn
from orchestrator.trial.lifecycle import State, fold, history, newest_claim

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


def retries(*, lost=0, error=0, memory=0):
    """A claim's budgets."""
    return {"lost_retries": lost, "error_retries": error, "oom_retries": memory}


def attempts_lost(*causes, resources, moved=()):
    """Under a claim each, every attempt lost for its cause; those in `moved` had written a checkpoint."""
    control = []
    for number, cause in enumerate(causes):
        control += [Claimed(claim=number, resources=resources), Lost(claim=number, attempt=number, cause=cause)]
    saved = [Checkpoint(step=50)]
    return control, {n: [Started(attempt=n, claim=n), *(saved if n in moved else [])] for n in range(len(causes))}


@pytest.mark.parametrize(
    ("causes", "resources", "state"),
    [
        ([Cause.OUT_OF_MEMORY], retries(), State.FAILED),
        ([Cause.OUT_OF_MEMORY], retries(memory=1), State.PREEMPTED),
        ([Cause.OUT_OF_MEMORY] * 2, retries(memory=1, lost=9, error=9), State.FAILED),
        ([Cause.ERROR], retries(memory=9, lost=9), State.FAILED),
        ([Cause.ERROR] * 2, retries(error=2), State.PREEMPTED),
        ([Cause.NODE_FAIL], retries(), State.FAILED),
        ([Cause.NODE_FAIL, Cause.TIMEOUT, Cause.VANISHED], retries(lost=2), State.FAILED),
        ([Cause.NODE_FAIL, Cause.OUT_OF_MEMORY, Cause.ERROR], retries(lost=1, memory=1, error=1), State.PREEMPTED),
        ([Cause.PREEMPTED] * 20, retries(), State.PREEMPTED),
        ([Cause.REQUEUED] * 20, retries(), State.PREEMPTED),
        (["a cause of tomorrow"], retries(), State.FAILED),
        (["a cause of tomorrow"], retries(lost=1), State.PREEMPTED),
    ],
)
def test_each_cause_has_its_budget(causes, resources, state):
    assert fold(*attempts_lost(*causes, resources=resources)).state is state


def test_progress_pays_for_losses_and_not_for_errors():
    three = [Cause.OUT_OF_MEMORY] * 3
    assert fold(*attempts_lost(*three, resources=retries(memory=1), moved=(1,))).state is State.PREEMPTED
    assert fold(*attempts_lost(*three, resources=retries(), moved=(0,))).state is State.FAILED
    claim = Claimed(claim=0, resources=retries())
    saved = [STARTED, Checkpoint(step=50), Failed(step=60, error="E")]
    assert fold([claim], {0: saved}).state is State.FAILED


def test_an_error_that_comes_again_however_often_one_tries_is_not_tried_again():
    claim = Claimed(claim=0, resources=retries(error=5))
    assert fold([claim], {0: [STARTED, Failed(error="OSError: the share is gone")]}).state is State.PREEMPTED
    for error in ("NonFiniteLossError: the loss became NaN", "ConfigError: no GPU here"):
        status = fold([claim], {0: [STARTED, Failed(error=error)]})
        assert (status.state, status.error) == (State.FAILED, error)


def test_a_withdrawn_claim_counts_for_nothing():
    refused = [Claimed(claim=0, token="a"), Withdrawn(claim=0, reason="no such partition")]
    status = fold(refused, {})
    assert (status.state, status.claim, status.claims, status.token) == (State.PLANNED, -1, 1, "")
    assert newest_claim(refused) is None
    again = fold([*refused, Claimed(claim=1, token="b")], {})
    assert (again.state, again.claim, again.claims, again.token) == (State.QUEUED, 1, 2, "b")
    ran = [CLAIMED, Lost(claim=0, attempt=0), Claimed(claim=1), Withdrawn(claim=1)]
    assert fold(ran, {0: [STARTED]}).state is State.PREEMPTED


def test_an_attempt_that_a_newer_one_overtook_is_lost_and_that_is_free():
    claim = Claimed(claim=0, resources=retries())
    newer = Started(attempt=1, claim=0, restart=1, resumed_from_step=20, total_steps=100)
    status = fold([claim], {0: [STARTED, Step(step=30)], 1: [newer]})
    assert [attempt.end for attempt in status.attempts] == ["lost", None]
    assert (status.state, status.preemptions, status.repeated_steps) == (State.RUNNING, 1, 10)
    assert fold([claim], {0: [STARTED], 1: [newer, Preempted(step=40)]}).state is State.PREEMPTED


def test_its_own_last_word_counts_more_than_being_overtaken():
    newer = Started(attempt=1, claim=0)
    status = fold([CLAIMED], {0: [STARTED, Preempted(step=30)], 1: [newer]})
    assert [attempt.end for attempt in status.attempts] == ["preempted", None]


def test_releases_after_failed_launches_are_counted_under_the_newest_claim():
    again = [Claimed(claim=0), Requeued(claim=0), Requeued(claim=0)]
    assert fold(again, {}).relaunches == 2
    assert fold([*again, Claimed(claim=1)], {}).relaunches == 0


def test_nodes_that_failed_are_counted():
    control, journals = attempts_lost(Cause.NODE_FAIL, Cause.NODE_FAIL, resources=retries(lost=9))
    on = [replace(event, node="n1") if isinstance(event, Lost) else event for event in control]
    assert fold(on, journals).bad_nodes == ("n1", "n1")
    assert fold(control, journals).bad_nodes == ()


def test_attempts_of_one_source_agree():
    def status(*sources, total_steps=100):
        journals = {
            n: [Started(attempt=n, total_steps=total_steps, provenance={"core_sha256": source})]
            for n, source in enumerate(sources)
        }
        return fold([CLAIMED], journals)

    assert status("a").codes_agree
    assert status("a", "a").codes_agree
    assert not status("a", "b", "a").codes_agree
    assert status("a", "b", total_steps=0).codes_agree  # neither came to its first step


@pytest.mark.parametrize(
    ("lost", "error"),
    [
        (Lost(claim=0, attempt=0, reason="FAILED 3:0 on n1", cause=Cause.ERROR), "FAILED 3:0 on n1"),
        (Lost(claim=0, attempt=0, reason="FAILED 9:0", cause=Cause.OUT_OF_MEMORY), "FAILED 9:0"),
    ],
)
def test_a_loss_is_named_where_its_budget_is_spent(lost, error):
    claim = Claimed(claim=0, resources=retries())
    status = fold([claim, lost], {0: [STARTED]})
    assert (status.state, status.error) == (State.FAILED, error)
