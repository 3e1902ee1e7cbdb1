"""A trial cancelled on purpose, by us or with scancel, stays cancelled until a person resumes it."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing

import pytest

from orchestrator.tracking.run_card import TRIAL_TAG
from orchestrator.trial.lifecycle import State
from tests.slurm.lab import Lab


def test_a_cancelled_trial_stays_cancelled_until_it_is_resumed(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    by_us, by_hand = lab.submit("resources.partition=gpu", "seed=0,1")
    for trial in (by_us, by_hand):
        lab.until_checkpointed(trial)
    lab.cluster.run("scancel", lab.status(by_hand).job_id)
    lab.iwm("cancel", by_us)
    for trial in (by_us, by_hand):
        lab.until_state(trial, State.CANCELLED)
        lab.until_slurm(trial, "CANCELLED")
    lab.iwm("sync")
    assert mlflow_states(lab) == ["KILLED", "KILLED"]
    stay_cancelled(lab, (by_us, by_hand))
    lab.iwm("resume", by_us, by_hand)
    lab.until_finished(by_us, by_hand)
    for trial in (by_us, by_hand):
        status = lab.survived(trial, repeated_max=0)
        assert [attempt.end for attempt in status.attempts] == ["preempted", "finished"]
    lab.iwm("sync")
    assert mlflow_states(lab) == ["FINISHED", "FINISHED"]


def test_a_job_that_is_cancelled_before_it_starts_is_a_cancelled_trial(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    later = ("resources.partition=gpu", "resources.sbatch_args='--begin=now+1hour'")
    by_us, by_hand, *array = [
        *lab.submit(*later, "seed=0"),
        *lab.submit(*later, "seed=1"),
        *lab.submit(*later, "seed=2,3"),
    ]
    lab.cluster.run("scancel", lab.status(by_hand).job_id, lab.status(array[0]).job_id.partition("_")[0])
    lab.iwm("cancel", by_us)
    for trial in (by_us, by_hand, *array):
        lab.until_state(trial, State.CANCELLED)
    stay_cancelled(lab, (by_us, by_hand, *array))


@pytest.mark.parametrize("which", [("trial",), ("faults", "--where", "seed=2"), ("trial", "other")])
def test_cancelling_some_of_a_pending_array_leaves_the_others_pending(new_lab: Callable[..., Lab], which) -> None:
    lab = new_lab(nodes=1)
    trials = lab.submit("resources.max_parallel=1", "resources.sbatch_args='--begin=now+1hour'", "seed=range(6)")
    assert len({lab.status(trial).job_id.partition("_")[0] for trial in trials}) == 1
    names = {"trial": trials[2], "other": trials[4]}
    gone = {trials[2], *(names[word] for word in which if word in names)}
    lab.iwm("cancel", *(names.get(word) or word for word in which))
    lab.look()
    ended = {"CANCELLED", ""}  # 22.05 forgets a task that it had to take out of its array
    lab.until(lambda: {lab.slurm_state(trial) for trial in gone} <= ended)
    assert {lab.slurm_state(trial) for trial in trials if trial not in gone} == {"PENDING"}
    assert {lab.status(trial).state for trial in trials if trial not in gone} == {State.QUEUED}
    lab.iwm("cancel", "faults")
    lab.until(lambda: {lab.slurm_state(trial) for trial in trials} <= ended)


def stay_cancelled(lab: Lab, trials: Sequence[str]) -> None:
    """Look repeatedly, and check that they were not started again."""
    for _ in range(3):
        lab.look()
    assert {lab.status(trial).state for trial in trials} == {State.CANCELLED}
    assert {lab.status(trial).claims for trial in trials} == {1}
    assert {lab.slurm_state(trial) for trial in trials} == {"CANCELLED"}


def mlflow_states(lab: Lab) -> list[str]:
    """MLflow's own word for each trial's run."""
    runs_of_trials = "SELECT status FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid WHERE tags.key = ?"
    with closing(sqlite3.connect(lab.layout.state / "mlflow.db")) as database:
        return [status for (status,) in database.execute(runs_of_trials, (TRIAL_TAG,))]
