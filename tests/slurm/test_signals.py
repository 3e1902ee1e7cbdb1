"""Signals at the worst moments: before Python can hear them, and after the last word."""

from collections.abc import Callable

from orchestrator.trial.lifecycle import State
from tests.slurm.lab import Lab

PATIENT = 30
"""Seconds of KillWait: an evaluation comes to its end."""


def test_a_signal_while_python_imports_is_survived(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1, kill_wait_s=PATIENT)
    trials = dict(zip(("USR2", "TERM"), lab.submit("resources.partition=gpu", "seed=0,1"), strict=True))
    struck: set[str] = set()

    def all_have_begun() -> bool:
        """Strikes every job that runs and has not begun to train."""
        for signal, trial in trials.items():
            if lab.slurm_state(trial) == "RUNNING" and not lab.status(trial).attempts:
                lab.cluster.run("scancel", f"--signal={signal}", lab.status(trial).job_id, check=False)
                struck.add(signal)
        return all(lab.status(trial).attempts for trial in trials.values())

    lab.until(all_have_begun, looking=True)
    assert struck == set(trials)
    lab.until_finished(*trials.values())
    for trial in trials.values():
        assert {attempt.end for attempt in lab.survived(trial).attempts} <= {"preempted", "finished"}


def test_a_trial_that_finished_while_it_was_being_stopped_ends_at_once_when_it_starts_again(
    new_lab: Callable[..., Lab],
) -> None:
    lab = new_lab(nodes=1, kill_wait_s=PATIENT)
    (trial,) = lab.submit("resources.partition=gpu", "train.steps=20", "evaluate.bank_size=64")
    lab.until(lambda: lab.status(trial).step == 20)
    lab.cluster.run("scontrol", "requeue", lab.status(trial).job_id)
    lab.until_state(trial, State.FINISHED)
    lab.until_slurm(trial, "PENDING")
    lab.until_slurm(trial, "COMPLETED")
    assert len(lab.survived(trial).attempts) == 1
    log = lab.folder(trial).logs / f"{lab.status(trial).job_id}-r1.err"
    assert "leaving: the trial is finished" in log.read_text()
