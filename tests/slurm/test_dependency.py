"""An evaluation on SLURM: no job of it exists until its trial has finished."""

import json
from collections.abc import Callable

from orchestrator.host import slurm
from orchestrator.trial.lifecycle import State
from tests.slurm.lab import Lab


def test_an_evaluation_is_submitted_when_its_trial_has_finished(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    (parent,) = lab.submit("resources.partition=gpu", "train.steps=60")
    told = json.loads(lab.iwm("evaluate", parent, "evaluate.bank_size=6", "--launcher", "slurm", "--json"))
    (evaluation,) = [trial["id"] for trial in told["trials"]]
    assert told["jobs"] == []
    while lab.status(parent).state is not State.FINISHED:
        lab.look()
        status = lab.status(evaluation)
        if status.state is not State.QUEUED or status.submitted:
            assert lab.status(parent).state is State.FINISHED, lab.account()
            break
        if lab.status(parent).state is not State.FINISHED:
            assert jobs_of(lab) <= {lab.status(parent).job_id}, lab.account()
    lab.until_finished(parent, evaluation)
    ours, theirs = lab.status(evaluation), lab.status(parent)
    assert (ours.weights_sha256, ours.step, ours.claim) == (theirs.weights_sha256, 60, 1)
    assert ours.job_id != theirs.job_id
    assert ours.attempts[0].started_t >= theirs.attempts[-1].last_t
    assert ours.metrics["linear_probe_top1"] == theirs.metrics["linear_probe_top1"]


def test_an_evaluation_that_waits_is_held_and_released_like_any_other(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    (parent,) = lab.submit("resources.partition=gpu", "train.steps=40")
    told = json.loads(lab.iwm("evaluate", parent, "--launcher", "slurm", "--json"))
    (evaluation,) = [trial["id"] for trial in told["trials"]]
    assert json.loads(lab.iwm("hold", evaluation, "--json")) == {"held": [evaluation]}
    lab.until_finished(parent)
    lab.look()
    assert (lab.status(evaluation).state, lab.status(evaluation).submitted) == (State.HELD, False)
    assert json.loads(lab.iwm("release", evaluation, "--json")) == {"released": [evaluation]}
    lab.until_finished(evaluation)
    assert lab.status(evaluation).weights_sha256 == lab.status(parent).weights_sha256


def jobs_of(lab: Lab) -> set[str]:
    """The ids of all jobs that the queue knows and that are not over."""
    answer = slurm.run(slurm.squeue_command(()))
    return {job.id for job in slurm.parse_squeue(answer.out) if not job.is_over}
