"""Partition preemption: checkpointed in the grace period where there is one, requeued by SLURM or started again by us."""

from collections.abc import Callable

import pytest

from orchestrator.lifecycle import TrialStatus
from tests.slurm.lab import Lab

AT_ONCE = (
    "PartitionName=gpu0 Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0",
    "PartitionName=cancel0 Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=1 PreemptMode=CANCEL GraceTime=0",
)
PARTITIONS = ("gpu", "gpu0", "cancel", "cancel0")


@pytest.mark.parametrize("user_signal", [False, True])
def test_a_preempted_trial_goes_on_from_a_checkpoint_of_its_last_step(
    new_lab: Callable[..., Lab], user_signal: bool
) -> None:
    labs = {
        partition: new_lab(nodes=1, grace_s=5, user_signal=user_signal, settings=AT_ONCE) for partition in PARTITIONS
    }
    trials = {partition: lab.submit(f"resources.partition={partition}")[0] for partition, lab in labs.items()}
    for partition, lab in labs.items():
        lab.until_checkpointed(trials[partition])
    labs["gpu"].preempt("n1")
    for partition, lab in labs.items():
        lab.until_finished(trials[partition])
        print(partition, lab.account())
    for partition, lab in labs.items():
        interrupted_once(lab.survived(trials[partition], repeated_max=0))


def interrupted_once(status: TrialStatus) -> None:
    """Asserts that the trial stopped where it was told to and that nothing was lost."""
    assert [attempt.end for attempt in status.attempts] == ["preempted", "finished"]
    assert status.attempts[1].resumed_from_step == status.attempts[0].step > 0
