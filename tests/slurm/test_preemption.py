"""Partition preemption: checkpointed in the grace period where there is one, requeued by SLURM or by us."""

from collections.abc import Callable

import pytest

from tests.slurm.lab import Lab

AT_ONCE = (
    "PartitionName=gpu0 Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0",
    "PartitionName=cancel0 Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=1 PreemptMode=CANCEL GraceTime=0",
)
"""As `gpu` and `cancel`, without grace."""


@pytest.mark.parametrize("user_signal", [False, True])
def test_preempted_trials_go_on_from_the_step_at_which_they_were_told(
    new_lab: Callable[..., Lab], user_signal: bool
) -> None:
    lab = new_lab(nodes=1, grace_s=5, user_signal=user_signal, settings=AT_ONCE)
    trials = [
        lab.submit(f"resources.partition={partition}", f"seed={seed}")[0]
        for seed, partition in enumerate(("gpu", "gpu0", "cancel", "cancel0"))
    ]
    for trial in trials:
        lab.until_checkpointed(trial)
    lab.preempt("n1")
    lab.until_finished(*trials)
    for trial in trials:
        status = lab.survived(trial, repeated_max=0)
        assert [attempt.end for attempt in status.attempts] == ["preempted", "finished"]
    claims = [lab.status(trial).claims for trial in trials]
    assert claims == [1, 1, 1, 2], "only where SLURM ends the job for good is there a second one"
