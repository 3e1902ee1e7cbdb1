"""Jobs of other people, and what a caller's shell says about SLURM: neither is touched, neither decides."""

from collections.abc import Callable

import pytest

from orchestrator.records import journal
from orchestrator.trial.events import Submitted
from orchestrator.trial.lifecycle import State
from tests.slurm.lab import Lab


@pytest.mark.parametrize("verb", ["hold", "cancel"])
@pytest.mark.parametrize("name", ["analysis", "analysis-0123456789abcdef"])
def test_an_id_that_a_stranger_has_now_is_left_alone(new_lab: Callable[..., Lab], verb: str, name: str) -> None:
    """A controller that lost its state hands out old ids again."""
    lab = new_lab(nodes=1)
    (trial,) = lab.submit("resources.sbatch_args='--begin=now+1hour'")
    command = ("sbatch", "--parsable", f"--job-name={name}", "--output=/dev/null", "--wrap=sleep 600")
    stranger = lab.cluster.run(*command).strip()
    lab.until(lambda: state_of(lab, stranger) == "RUNNING")
    own = lab.status(trial).job_id
    journal.record(lab.folder(trial), Submitted(claim=0, job_id=stranger))
    lab.iwm(verb, trial)
    for _ in range(2):
        lab.look()
    assert state_of(lab, stranger) == "RUNNING"
    lab.cluster.run("scancel", own, stranger)


def state_of(lab: Lab, job_id: str) -> str:
    return lab.cluster.run("squeue", "--noheader", "--states=all", f"--jobs={job_id}", "--format=%T").strip()


def test_a_caller_s_variables_and_a_site_that_exports_nothing_change_no_job(
    new_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = new_lab(nodes=1)
    for variable, value in {
        "SBATCH_PARTITION": "urgent",
        "SBATCH_EXPORT": "NONE",
        "SBATCH_TIMELIMIT": "0:01",
        "SBATCH_WCKEY": "theirs",
        "SRUN_CPUS_PER_TASK": "64",
        "SLURM_NTASKS": "7",
        "SLURM_EXPORT_ENV": "NONE",
        "SQUEUE_FORMAT": "%j",
        "SACCT_FORMAT": "JobName",
        "SCANCEL_STATE": "SUSPENDED",
    }.items():
        monkeypatch.setenv(variable, value)
    trials = lab.submit(
        "resources.partition=gpu", "resources.sbatch_args='--export=NONE'", "train.steps=20", "seed=0,1"
    )
    shown = lab.cluster.run("scontrol", "show", "job", lab.status(trials[0]).job_id)
    assert "Partition=gpu" in shown
    assert "WCKey=" not in shown
    lab.until_finished(*trials)
    assert {lab.status(trial).state for trial in trials} == {State.FINISHED}


def test_a_job_name_that_is_no_utf8_stops_nobody(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(nodes=1)
    script = lab.cluster.directory / "latin.sh"
    script.write_bytes(b"#!/bin/sh\n#SBATCH --job-name=caf\xe9|a\n#SBATCH --output=/dev/null\nsleep 600\n")
    lab.cluster.run("sbatch", str(script))
    (trial,) = lab.submit("train.steps=20")
    lab.until_finished(trial)
    assert trial in lab.iwm("status", "--json")
