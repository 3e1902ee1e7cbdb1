"""A root, a sweep of tiny trials and a cluster to break: what the tests of survival share.

lab = new_lab(grace_s=20)                            a fixture: the keywords are those of ClusterSpec
(trial,) = lab.submit("resources.partition=gpu")     in process; `lab.iwm("cancel", trial)` is a process of its own
lab.until_checkpointed(trial)                        then break something, and let `lab.look()` follow
lab.until_finished(trial)
lab.survived(trial)                                  resumed, and ended with its undisturbed twin's weights
"""

import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from orchestrator import service
from orchestrator.devcluster import DevCluster
from orchestrator.host import slurm
from orchestrator.host.locks import holding
from orchestrator.host.slurm import Job
from orchestrator.launching.foreground import train_here
from orchestrator.planning.expand import expand
from orchestrator.records import journal, scan
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.lifecycle import State, TrialStatus, history
from orchestrator.trial.sweep import Cell, Sweep
from orchestrator.trial.value import Trial
from tests.fakes.tiny import TINY

STEPS = 300
"""Of a trial: about seven seconds of training on an idle core."""
LOG_EVERY = 5
CHECKPOINT_EVERY = 10
TIMEOUT_S = 240
POLL_S = 0.2
LOOK_S = 0.5
SWEEP = f"""
description: one cell, to be disturbed
overrides: [{", ".join(TINY)}, train.steps={STEPS}, resources.cpus_per_gpu=1, resources.device=cpu]
axes:
  seed: [0]
"""
Found = TypeVar("Found")


class Twins:
    """Weights of undisturbed trials. Each is trained once, also where several processes run the tests."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout.of(root, environ={})

    def weights(self, trial: Trial) -> str:
        """The SHA-256 that the trial ends with."""
        with holding(self.layout.root / f"{trial.id}.lock", wait_s=TIMEOUT_S):
            train_here(self.layout, Cell(trial, {}))
        return read_status(self.layout.trial(trial.id)).weights_sha256


@dataclass(frozen=True)
class Lab:
    """One root beside one cluster. The process's environment is turned to the cluster."""

    cluster: DevCluster
    layout: Layout
    twins: Twins

    @property
    def sweeps_dir(self) -> Path:
        """Where the sweep `faults` is, once one was made."""
        return self.layout.root.parent / "sweeps"

    def sweep(self, *overrides: str, text: str = SWEEP) -> Sweep:
        """A sweep of one cell, or of more (`seed=0,1`); `text` is its file."""
        (self.sweeps_dir / "ablation").mkdir(parents=True, exist_ok=True)
        (self.sweeps_dir / "ablation" / "faults.yaml").write_text(text)
        return expand("faults", overrides, sweeps_dir=self.sweeps_dir)

    def submit(self, *overrides: str, text: str = SWEEP) -> tuple[str, ...]:
        """Starts a sweep; the trials' ids in the sweep's order."""
        sweep = self.sweep(*overrides, text=text)
        assert service.submit(self.layout, sweep, launcher="slurm").started
        return tuple(cell.trial.id for cell in sweep.cells)

    def iwm(self, *words: str) -> str:
        """Runs a verb in a process of its own; its standard output."""
        done = self._run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def iwm_refuses(self, *words: str) -> str:
        """Runs a verb that is wrong (exit code 2); its standard error."""
        done = self._run(*words)
        assert done.returncode == 2, done.stderr
        return done.stderr

    def _run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "orchestrator.cli", *words, "--root", str(self.layout.root)]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)

    def look(self) -> None:
        """One pass of folding and reconciling."""
        with service.observed(self.layout):
            pass

    def folder(self, trial_id: str) -> TrialFolder:
        """The trial's files."""
        return self.layout.trial(trial_id)

    def status(self, trial_id: str) -> TrialStatus:
        """What the trial's files say."""
        return read_status(self.folder(trial_id))

    def job(self, trial_id: str) -> Job | None:
        """The trial's newest job as the queue has it; None where it is not known there."""
        answer = slurm.run(slurm.squeue_command(()))
        listed = slurm.parse_squeue(answer.out)
        return next((job for job in listed if job.id == self.status(trial_id).job_id), None)

    def slurm_state(self, trial_id: str) -> str:
        """`PENDING`, `RUNNING`, ...; empty where the queue does not know the job."""
        job = self.job(trial_id)
        return job.state if job else ""

    def preempt(self, *nodes: str, seconds: float = 1) -> str:
        """Wants all CPUs of these nodes for a job of higher priority; its id."""
        size = [f"--nodes={len(nodes)}", f"--nodelist={','.join(nodes)}", "--exclusive", "--mem=0"]
        told = self.cluster.run(
            "sbatch", "--parsable", "--partition=urgent", *size, "--output=/dev/null", f"--wrap=sleep {seconds}"
        )
        return told.strip()

    def until(self, found: Callable[[], Found], *, looking: bool = False, timeout_s: float = TIMEOUT_S) -> Found:
        """Waits for a truthy value, with a `look` of ours before each question where wanted."""
        deadline = time.monotonic() + timeout_s
        while True:
            if looking:
                self.look()
            if value := found():
                return value
            assert time.monotonic() < deadline, f"this never came; {self.account()}"
            time.sleep(POLL_S if not looking else LOOK_S)

    def until_state(self, trial_id: str, *states: State, looking: bool = True) -> TrialStatus:
        """Looks until the trial is in one of these states."""
        self.until(lambda: self.status(trial_id).state in states, looking=looking)
        return self.status(trial_id)

    def until_slurm(self, trial_id: str, *states: str) -> None:
        """Waits until SLURM has the job in one of these states, without a look of ours."""
        self.until(lambda: self.slurm_state(trial_id) in states)

    def until_checkpointed(self, trial_id: str, *, attempt: int = 0) -> str:
        """Waits for the attempt's first checkpoint; the node that it runs on."""

        def node() -> str:
            attempts = self.status(trial_id).attempts[attempt : attempt + 1]
            return attempts[0].host if attempts and attempts[0].checkpoint_step > attempts[0].resumed_from_step else ""

        return self.until(node)

    def until_finished(self, *trial_ids: str, timeout_s: float = TIMEOUT_S) -> None:
        """Looks until all of these are finished; fails at once where one comes to a bad end."""

        def ended() -> bool:
            states = {self.status(trial_id).state for trial_id in trial_ids}
            assert not states & {State.FAILED, State.CANCELLED}, self.account()
            return states == {State.FINISHED}

        self.until(ended, looking=True, timeout_s=timeout_s)

    def survived(self, trial_id: str, *, repeated_max: int = CHECKPOINT_EVERY) -> TrialStatus:
        """Asserts what surviving is: gone on, and ended with the undisturbed twin's weights."""
        status = self.went_on(trial_id, repeated_max=repeated_max)
        trial = Trial.from_json(self.folder(trial_id).value_file.read_bytes())
        assert status.weights_sha256 == self.twins.weights(trial)
        return status

    def went_on(self, trial_id: str, *, repeated_max: int = CHECKPOINT_EVERY) -> TrialStatus:
        """Asserts that the trial finished, resumed from its newest checkpoint, and has each metric once per step.

        `repeated_max`: steps that may have been computed twice, for each interruption.
        """
        status = self.status(trial_id)
        assert status.state is State.FINISHED, self.account()
        begun = [attempt for attempt in status.attempts if attempt.has_begun]
        for before, later in pairwise(begun):  # a damaged checkpoint is skipped for the one before it
            assert later.resumed_from_step >= (1 if later.skipped else before.checkpoint_step), self.account()
        assert status.repeated_steps <= repeated_max * (len(begun) - 1), self.account()
        assert self.steps_logged(trial_id) == list(range(LOG_EVERY, status.total_steps + 1, LOG_EVERY))
        assert not status.drifted
        return status

    def steps_logged(self, trial_id: str) -> list[int]:
        """The steps that have a loss, in the order in which they were recorded."""
        points, _ = history(journal.read_journals(self.folder(trial_id)))
        return [point.step for point in points if point.key == "loss"]

    def finishes(self, trial_id: str) -> int:
        """How often the trial was finished, superseded attempts included."""
        journals = self.folder(trial_id).journal.glob("attempt-*.jsonl")
        return sum(file.read_text().count('"event": "finished"') for file in journals)

    def account(self, trial_ids: Collection[str] = ()) -> str:
        """Everything that is known, for the message of a failed test."""
        known = trial_ids or scan.trial_ids(self.layout)
        lines = [f"{key}: {self.status(key)}" for key in known]
        events = [f"{key}: {journal.read_control(self.folder(key))}" for key in known]
        queue = self.cluster.run("squeue", "--all", "--states=all", "--array", check=False)
        return "\n".join([*lines, *events, queue, *self._logs()])

    def _logs(self) -> list[str]:
        """The end of the logs of attempts and jobs."""
        files = sorted([*self.layout.trials.glob("*/logs/*"), *self.layout.root.glob("slurm/*/*_log.*")])
        return [f"==> {file} <==\n{file.read_text(errors='replace')[-1500:]}" for file in files if file.stat().st_size]
