"""SLURM's own daemons die, forget and fail to start jobs: no trial is lost, none runs twice, nothing is guessed."""

import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.records import journal
from orchestrator.trial.events import Cause
from orchestrator.trial.lifecycle import Attempt
from tests.slurm.lab import Lab

NODES = {"nodes": 2, "node_timeout_s": 5}
AGES_S = (0.0, 1.0, 2.5)
"""A controller that dies saves nothing: a job this young is forgotten, or comes back in another state."""
STATE_SAVED_S = 6.0
"""After this a controller that nothing happens to has saved its state."""


def test_a_controller_that_forgets_young_jobs_loses_and_doubles_none(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(**NODES)
    trials = []
    for seed, age_s in enumerate(AGES_S):
        time.sleep(STATE_SAVED_S)
        trials += lab.submit("resources.partition=gpu", f"seed={seed}", "train.steps=40")
        time.sleep(age_s)
        lab.cluster.crash("slurmctld")
        lab.cluster.start("slurmctld")
    lab.until_finished(*trials)
    for trial in trials:
        once(lab, trial)


def test_nothing_is_concluded_while_the_controller_is_down(new_lab: Callable[..., Lab]) -> None:
    """Meanwhile one trial is asked to stop, which cannot put its job back into the queue."""
    lab = new_lab(**NODES)
    trials = lab.submit("resources.partition=gpu", "seed=0,1")
    for trial in trials:
        lab.until_checkpointed(trial)
    stopped, undisturbed = trials
    before = [journal.read_control(lab.folder(trial)) for trial in trials]
    lab.cluster.crash("slurmctld")
    os.kill(lab.status(stopped).attempts[0].pid, signal.SIGUSR2)
    lab.look()
    assert [journal.read_control(lab.folder(trial)) for trial in trials] == before
    lab.cluster.start("slurmctld")
    lab.until_finished(*trials)
    assert [attempt.end for attempt in once(lab, stopped)] == ["preempted", "finished"]
    assert len(once(lab, undisturbed)) == 1


def test_trials_go_on_without_accounting(
    new_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """First slurmdbd is down, then there is no sacct at all; only the queue shows how a job ended."""
    lab = new_lab(**NODES)
    (trial,) = lab.submit("resources.partition=gpu")
    lab.until_checkpointed(trial)
    lab.cluster.crash("slurmdbd")
    os.kill(lab.status(trial).attempts[0].pid, signal.SIGKILL)
    lab.until(lambda: len(lab.status(trial).attempts) > 1, looking=True)
    lab.until_checkpointed(trial, attempt=1)
    monkeypatch.setenv("PATH", str(without_sacct(tmp_path / "bin")))
    lab.cluster.run("scontrol", "requeue", lab.status(trial).job_id)
    lab.until(lambda: len(lab.status(trial).attempts) > 2, looking=True)
    lab.cluster.start("slurmdbd")
    lab.until_finished(trial)
    killed, requeued, last = once(lab, trial)
    assert (killed.cause, requeued.end, last.end) == (Cause.KILLED, "preempted", "finished")


def test_a_job_that_slurm_holds_because_it_could_not_start_it_is_released(
    new_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    """A prolog that fails drains its node, and leaves the job in the queue as `launch failed requeued held`."""
    broken, prolog = tmp_path / "broken", tmp_path / "prolog.sh"
    prolog.write_text(f"#!/bin/sh\n[ ! -e {broken} ]\n")
    prolog.chmod(0o755)
    lab = new_lab(**NODES, settings=(f"Prolog={prolog}",))
    (trial,) = lab.submit("resources.partition=gpu")
    lab.until_checkpointed(trial)
    broken.touch()
    lab.cluster.run("scontrol", "requeue", lab.status(trial).job_id)
    lab.until(lambda: (job := lab.job(trial)) and job.failed_to_launch)
    broken.unlink()
    lab.until_finished(trial)
    assert len(once(lab, trial)) == 2
    assert (lab.status(trial).claims, lab.status(trial).relaunches) == (1, 1)


def once(lab: Lab, trial_id: str) -> tuple[Attempt, ...]:
    """The attempts of a trial that survived: never two at a time, and one of them finished it."""
    attempts = lab.survived(trial_id).attempts
    assert all(later.started_t >= earlier.last_t for earlier, later in pairwise(attempts)), lab.account()
    assert lab.finishes(trial_id) == 1
    return attempts


def without_sacct(folder: Path) -> Path:
    """Every command that there is but one."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for command in Path(place).glob("*"):
            if command.name != "sacct" and not (folder / command.name).exists():
                (folder / command.name).symlink_to(command)
    return folder
