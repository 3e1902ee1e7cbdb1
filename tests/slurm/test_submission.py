"""Submitters that are killed, that race, and that SLURM does not answer: every trial is started, and once."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestrator.host import slurm
from orchestrator.launching.batch import read_batch
from tests.slurm.lab import Lab

NODES = {"nodes": 2, "node_timeout_s": 5}
SHORT = ("resources.partition=gpu", "train.steps=40")
KILLED = 10
"""Submitters that are killed somewhere."""
LANES = 2
"""So many at a time."""
SBATCH_S = 4
"""So long does an sbatch take that SLURM is slow to answer."""
FROM_START_S, FROM_CLAIM_S = 2.5, 0.04
"""Up to so long after its start, or after its claim, a submitter is killed; some 20 ms later it would be through."""


def test_submitters_that_are_killed_anywhere_lose_and_double_nothing(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(**NODES)
    close_nodes(lab)
    trials = [cell.trial.id for cell in lab.sweep(f"seed=range({KILLED})", *SHORT).cells]
    with ThreadPoolExecutor(LANES) as lanes:
        list(lanes.map(lambda seed: kill_somewhere(lab, trials[seed], seed=seed), range(KILLED)))
    lab.iwm(*submission(lab, f"seed=range({KILLED})"))
    lab.until(lambda: queued(lab) == dict.fromkeys(trials, 1), looking=True)
    assert all(lab.status(trial).submitted for trial in trials)


def kill_somewhere(lab: Lab, trial_id: str, *, seed: int) -> None:
    """Starts `iwm submit` of one trial and kills it: some time after its start or, mostly, just after its claim."""
    moment = random.Random(seed)
    process = start(lab, f"seed={seed}")
    if seed % 4 == 0:
        time.sleep(moment.uniform(0, FROM_START_S))
    else:
        while not lab.folder(trial_id).claim(0).exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(moment.uniform(0, FROM_CLAIM_S))
    process.kill()
    process.communicate()


def test_killed_just_before_or_just_after_sbatch(new_lab: Callable[..., Lab], tmp_path: Path) -> None:
    """The job that exists is adopted, the missing one is submitted again; neither counts as a retry."""
    lab = new_lab(**NODES)
    cuts = {"before": ("seed=0", "kill -9 $PPID"), "after": ("seed=1,2", '"$sbatch" "$@"; kill -9 $PPID')}
    lab.sweep()
    for when, (seeds, line) in cuts.items():
        process = start(lab, seeds, path=sbatch_that(line, folder=tmp_path / when))
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    trials = [cell.trial.id for cell in lab.sweep("seed=range(3)", *SHORT).cells]
    lab.until_finished(*trials)
    assert [lab.status(trial).claims for trial in trials] == [2, 1, 1]
    for trial in trials:
        assert len(lab.survived(trial).attempts) == lab.finishes(trial) == 1


def test_a_job_that_comes_after_its_claim_was_given_up_is_cancelled(
    new_lab: Callable[..., Lab], tmp_path: Path
) -> None:
    """The submitter dies, and the sbatch that it left behind takes its time."""
    lab = new_lab(**NODES)
    close_nodes(lab)
    (trial,) = [cell.trial.id for cell in lab.sweep("seed=0", *SHORT).cells]
    late, done = f'kill -9 $PPID; sleep {SBATCH_S}; "$sbatch" "$@"; touch "$0.done"', tmp_path / "bin" / "sbatch.done"
    start(lab, "seed=0", path=sbatch_that(late, folder=tmp_path / "bin")).communicate()
    lab.until(lambda: lab.status(trial).submitted, looking=True)
    lab.until(done.exists)
    assert queued(lab) == {trial: 2}
    lab.look()
    assert queued(lab) == {trial: 1}
    assert (lab.status(trial).claims, lab.slurm_state(trial)) == (2, "PENDING")


def test_two_shells_that_submit_the_same_sweep_start_each_trial_once(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(**NODES)
    close_nodes(lab)
    trials = [cell.trial.id for cell in lab.sweep("seed=range(6)", *SHORT).cells]
    shells = [start(lab, "seed=range(6)") for _ in range(2)]
    words = [shell.communicate()[1] for shell in shells]
    assert [shell.returncode for shell in shells] == [0, 0], words
    assert queued(lab) == dict.fromkeys(trials, 1)
    assert [lab.status(trial).claims for trial in trials] == [1] * 6


def test_a_job_that_was_queued_though_sbatch_timed_out_is_adopted(new_lab: Callable[..., Lab], tmp_path: Path) -> None:
    """slurmctld sleeps through sbatch's patience, and then takes the job after all."""
    lab = new_lab(**NODES)
    (trial,) = [cell.trial.id for cell in lab.sweep("seed=0", *SHORT).cells]
    pid = lab.cluster.pid("slurmctld")
    asleep = f'kill -STOP {pid}; "$sbatch" "$@"; code=$?; kill -CONT {pid}; exit $code'
    process = start(lab, "seed=0", path=sbatch_that(asleep, folder=tmp_path / "bin"))
    _, words = process.communicate()
    assert (process.returncode, "imed out" in words) == (1, True), words
    assert not lab.status(trial).submitted
    lab.until_finished(trial)
    assert lab.status(trial).claims == 1
    assert len(lab.survived(trial).attempts) == lab.finishes(trial) == 1


def start(lab: Lab, *overrides: str, path: str = "") -> "subprocess.Popen[str]":
    """`iwm submit` of the sweep, in a process of its own."""
    command = [sys.executable, "-m", "orchestrator.cli", *submission(lab, *overrides), "--root", str(lab.layout.root)]
    env = {**os.environ, "PATH": path or os.environ["PATH"]}
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def submission(lab: Lab, *overrides: str) -> Sequence[str]:
    """The words of `iwm submit`."""
    return ["submit", "faults", *SHORT, *overrides, "--launcher", "slurm", "--sweeps", str(lab.sweeps_dir)]


def sbatch_that(line: str, *, folder: Path) -> str:
    """A PATH whose sbatch runs this line of shell, in which `$sbatch` is SLURM's own; --test-only goes to that."""
    folder.mkdir()
    program = folder / "sbatch"
    asks = 'case "$*" in *--test-only*) exec "$sbatch" "$@";; esac'
    program.write_text(f"#!/bin/bash\nsbatch={shutil.which('sbatch')}\n{asks}\n{line}\n")
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def close_nodes(lab: Lab) -> None:
    """From now on jobs wait."""
    nodes = ",".join(lab.cluster.spec.node_names)
    lab.cluster.run("scontrol", "update", f"NodeName={nodes}", "State=drain", "Reason=test")


def queued(lab: Lab) -> Counter[str]:
    """How many jobs in the queue are there to run each trial."""
    jobs = slurm.parse_squeue(slurm.run(slurm.squeue_command(())).out)
    ours = [(job, read_batch(lab.layout, job.token)) for job in jobs if job.token and not job.is_over]
    return Counter(trial_id for job, batch in ours if batch for trial_id in batch.tasks[job.index])
