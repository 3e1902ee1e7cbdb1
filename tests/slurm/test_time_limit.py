"""The time limit: a trial is signalled before it, checkpoints and is requeued, as often as needed."""

from collections.abc import Callable

from orchestrator.trial.lifecycle import State
from tests.slurm.lab import Lab

SLOW = ("train.batch_size=256", "train.steps=400")
"""Some 90 seconds of training on one idle core: more than two limits of a minute leave for it."""
BUSY_S = 900
"""Timeout on a busy machine."""


def test_a_limit_of_one_minute_carries_a_longer_trial_home(new_lab: Callable[..., Lab]) -> None:
    limited, undisturbed = new_lab(nodes=1), new_lab(nodes=1)
    limit = ("resources.partition=short", "resources.time_limit_min=1", "resources.signal_before_s=25")
    (trial,) = limited.submit(*SLOW, *limit)
    undisturbed.submit(*SLOW, "resources.partition=gpu")
    limited.until_finished(trial, timeout_s=BUSY_S)
    undisturbed.until_finished(trial, timeout_s=BUSY_S)
    status, twin = limited.went_on(trial, repeated_max=0), undisturbed.status(trial)
    *interrupted, last = status.attempts
    assert last.end == "finished"
    assert len(interrupted) >= 2
    assert {attempt.end for attempt in interrupted} == {"preempted"}
    assert {attempt.job_id for attempt in status.attempts} == {last.job_id}
    assert status.state is twin.state is State.FINISHED
    assert status.weights_sha256 == twin.weights_sha256
    assert len(twin.attempts) == 1
