"""Held and released, requeued, suspended and resumed: followed, and never taken for an end."""

from collections.abc import Callable

from orchestrator.records import journal
from orchestrator.trial.events import Lost
from orchestrator.trial.lifecycle import State
from tests.slurm.lab import Lab


def test_a_held_trial_waits_for_its_release_and_goes_on(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    waiting, running = (
        *lab.submit("resources.partition=gpu", "seed=0", "resources.sbatch_args='--begin=now+1hour'"),
        *lab.submit("resources.partition=gpu", "seed=1"),
    )
    job_id = lab.status(waiting).job_id
    lab.cluster.run("scontrol", "hold", job_id)
    lab.until_state(waiting, State.HELD)
    lab.until_checkpointed(running)
    lab.iwm("hold", running)
    lab.until(lambda: (job := lab.job(running)) and job.is_held, looking=True)
    for _ in range(3):
        lab.look()
    assert lab.status(waiting).state is lab.status(running).state is State.HELD
    lab.cluster.run("scontrol", "release", job_id)
    lab.until_state(waiting, State.QUEUED)
    lab.cluster.run("scontrol", "update", f"JobId={job_id}", "StartTime=now")
    lab.iwm("release", running)
    lab.until_finished(waiting, running)
    assert len(lab.survived(waiting).attempts) == 1
    assert [attempt.end for attempt in lab.survived(running, repeated_max=0).attempts] == ["preempted", "finished"]
    assert lab.status(waiting).claims == lab.status(running).claims == 1


def test_a_trial_that_is_requeued_or_suspended_by_hand_goes_on(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    requeued, suspended = lab.submit("resources.partition=gpu", "seed=0,1")
    for trial in (requeued, suspended):
        lab.until_checkpointed(trial)
    lab.cluster.run("scontrol", "suspend", lab.status(suspended).job_id)
    lab.cluster.run("scontrol", "requeue", lab.status(requeued).job_id)
    lab.until_slurm(suspended, "SUSPENDED")
    lab.until_finished(requeued)
    assert lab.status(suspended).state is State.RUNNING
    lab.cluster.run("scontrol", "resume", lab.status(suspended).job_id)
    lab.until_finished(suspended)
    assert [attempt.end for attempt in lab.survived(requeued, repeated_max=0).attempts] == ["preempted", "finished"]
    assert len(lab.survived(suspended).attempts) == 1
    for trial in (requeued, suspended):
        assert not any(isinstance(event, Lost) for event in journal.read_control(lab.folder(trial)))
