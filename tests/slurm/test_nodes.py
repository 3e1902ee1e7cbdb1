"""Nodes that crash, are drained, or fail again and again: their trials go on elsewhere."""

from collections.abc import Callable

from orchestrator.host import slurm
from orchestrator.trial.events import Cause
from orchestrator.trial.lifecycle import State
from tests.slurm.lab import Lab

NODES = {"nodes": 2, "node_timeout_s": 5}


def test_two_looks_after_slurm_has_lost_a_node_its_trials_are_under_way_elsewhere(new_lab: Callable[..., Lab]) -> None:
    """SLURM puts one trial's job back into the queue; the other's, which it may not, is submitted again."""
    lab = new_lab(**NODES)
    trials = submit_to_n1(lab, "seed=0,1")
    requeued, submitted = trials
    lab.cluster.run("scontrol", "update", f"JobId={lab.status(submitted).job_id}", "Requeue=0")
    lab.cluster.crash("n1")
    lab.until_slurm(requeued, "PENDING")
    lab.until_slurm(submitted, "NODE_FAIL")
    lab.until(lambda: accounted(lab, requeued) == ["NODE_FAIL"])
    lab.look()
    lab.look()
    assert [lab.status(trial).claims for trial in trials] == [1, 2]
    assert all(excluded(lab, trial) == "n1" for trial in trials)
    lab.until_finished(*trials)
    for trial in trials:
        status = lab.survived(trial)
        assert [attempt.host for attempt in status.attempts] == ["n1", "n2"]
        assert lab.finishes(trial) == 1
    assert lab.status(submitted).attempts[0].cause == Cause.NODE_FAIL


def test_a_drained_node_ends_nothing_and_one_that_failed_twice_is_avoided(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(**NODES)
    (trial,) = submit_to_n1(lab)
    turn(lab, "n1", "drain")
    lab.look()
    assert (lab.status(trial).state, lab.slurm_state(trial)) == (State.RUNNING, "RUNNING")
    turn(lab, "n1", "resume")
    fail_n1(lab, trial)
    lab.until_checkpointed(trial, attempt=1)
    fail_n1(lab, trial)
    lab.until(lambda: excluded(lab, trial) == "n1", looking=True)
    turn(lab, "n2", "resume")
    lab.until_finished(trial)
    status = lab.survived(trial)
    assert [attempt.host for attempt in status.attempts] == ["n1", "n1", "n2"]
    assert [attempt.cause for attempt in status.attempts[:2]] == [Cause.NODE_FAIL] * 2


def submit_to_n1(lab: Lab, *overrides: str) -> tuple[str, ...]:
    """Starts trials on the first node, and waits until each of them has something to go on from."""
    turn(lab, "n2", "drain")
    trials = lab.submit("resources.partition=gpu", *overrides)
    for trial in trials:
        lab.until_checkpointed(trial)
    turn(lab, "n2", "resume" if len(trials) > 1 else "drain")
    return trials


def fail_n1(lab: Lab, trial_id: str) -> None:
    """The only node that is open crashes, is found down by a person and comes back at once; the accounting follows."""
    lab.cluster.crash("n1")
    turn(lab, "n1", "down")
    turn(lab, "n1", "resume")
    lab.cluster.start("n1")
    lab.until(lambda: lab.status(trial_id).attempts[-1].cause == Cause.NODE_FAIL, looking=True)


def turn(lab: Lab, node: str, state: str) -> None:
    """What an administrator does."""
    lab.cluster.run("scontrol", "update", f"NodeName={node}", f"State={state}", "Reason=test")


def accounted(lab: Lab, trial_id: str) -> list[str]:
    """How the starts of the trial's newest job ended, by sacct."""
    answer = slurm.run(slurm.sacct_command([], since="", job_ids=[lab.status(trial_id).job_id]))
    return [job.state for job in slurm.parse_sacct(answer.out) if job.is_over]


def excluded(lab: Lab, trial_id: str) -> str:
    """The nodes that the trial's newest job is kept away from."""
    shown = lab.cluster.run("scontrol", "show", "job", "--oneliner", lab.status(trial_id).job_id)
    return shown.partition("ExcNodeList=")[2].split(" ")[0]
