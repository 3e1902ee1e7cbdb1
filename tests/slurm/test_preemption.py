"""Partition preemption: checkpointed in the grace period where there is one, requeued by SLURM or by us."""

from collections.abc import Callable

from tests.slurm.lab import Lab


def test_a_trial_that_is_preempted_goes_on(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1, grace_s=5)
    (trial,) = lab.submit("resources.partition=gpu")
    lab.preempt(lab.until_checkpointed(trial))
    lab.until_finished(trial)
    lab.survived(trial)
