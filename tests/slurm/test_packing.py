"""Several small trials in one job: one that dies leaves the others alone, and a preempted pack resumes all."""

import os
import signal
from collections.abc import Callable

from orchestrator.trial.lifecycle import State
from tests.slurm.lab import Lab

PACK = ("seed=0,1,2", "train.steps=150", "resources.trials_per_gpu=3")


def packed(lab: Lab) -> tuple[str, ...]:
    """Three trials in one job, each with its first checkpoint."""
    trials = lab.submit(*PACK)
    assert len({lab.status(trial).job_id for trial in trials}) == 1
    for trial in trials:
        lab.until_checkpointed(trial)
    return trials


def ends(lab: Lab, trial: str) -> list[str | None]:
    return [attempt.end for attempt in lab.status(trial).attempts]


def test_a_neighbour_that_dies_leaves_the_others_alone(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    trials = packed(lab)
    dead, *others = trials
    os.kill(lab.status(dead).attempts[0].pid, signal.SIGKILL)
    lab.until_state(dead, State.PREEMPTED, looking=False)
    assert ends(lab, dead) == ["lost"]
    assert {lab.slurm_state(trial) for trial in others} == {"RUNNING"}
    lab.until_finished(*trials)
    assert [ends(lab, trial) for trial in others] == [["finished"], ["finished"]]
    assert ends(lab, dead) == ["lost", "finished"]
    for trial in trials:
        lab.survived(trial)


def test_a_preempted_pack_resumes_all_its_trials(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    trials = packed(lab)
    lab.preempt("n1")
    lab.until_finished(*trials)
    for trial in trials:
        status = lab.survived(trial, repeated_max=0)
        assert ends(lab, trial) == ["preempted", "finished"]
        assert status.attempts[1].job_id == status.attempts[0].job_id
        assert status.attempts[1].restart == 1
