"""A trial on two nodes is two ranks; preempted, both go on; where one dies the other does not hang."""

from collections.abc import Callable

from iwm_core.events import Started
from orchestrator.records import journal
from orchestrator.trial.lifecycle import State
from tests.slurm.lab import LOG_EVERY, Lab

PAIR = ("resources.nodes=2", "train.steps=100")


def ranks(lab: Lab, trial: str) -> list[int]:
    """The number of ranks of each attempt."""
    events = [event for events in journal.read_journals(lab.folder(trial)).values() for event in events]
    return [event.fingerprint["ranks"] for event in events if isinstance(event, Started)]


def test_two_nodes_train_one_trial_and_go_on_together_after_a_preemption(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=2, grace_s=20)
    (trial,) = lab.submit(*PAIR, "resources.partition=gpu")
    lab.until_checkpointed(trial)
    lab.preempt("n2")
    lab.until_finished(trial)
    status = lab.status(trial)
    assert [attempt.end for attempt in status.attempts] == ["preempted", "finished"]
    assert ranks(lab, trial) == [2, 2]
    assert status.attempts[1].resumed_from_step == status.attempts[0].checkpoint_step > 0
    assert lab.steps_logged(trial) == list(range(LOG_EVERY, status.total_steps + 1, LOG_EVERY))
    assert status.repeated_steps == 0
    assert not status.drifted
    assert lab.finishes(trial) == 1
    assert status.state is State.FINISHED
