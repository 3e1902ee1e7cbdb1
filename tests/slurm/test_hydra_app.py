"""Hydra's own launcher on a real SLURM: the same trials as through `iwm submit`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from iwm_core.events import Finished, Preempted, Started
from orchestrator.devcluster import DevCluster
from orchestrator.host import slurm
from orchestrator.planning.expand import expand
from orchestrator.planning.plan import plan_sweep
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status, trial_ids
from orchestrator.trial.lifecycle import State
from tests.fakes.tiny import TINY

ON_CPU = (*TINY, "resources.device=cpu", "resources.time_limit_min=10")


class Caller:
    """Calls Hydra's entrance on a cluster; its root is the folder `r` here."""

    def __init__(self, cluster: DevCluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.layout, self.said = Layout.of(folder / "r", environ={}), folder / "said"

    def start(self, *overrides: str) -> "subprocess.Popen[bytes]":
        words = ["-m", "orchestrator.hydra_app", "-m", "hydra/launcher=submitit_slurm", *ON_CPU, *overrides]
        environ = {**self.cluster.env, "IWM_ROOT": str(self.layout.root)}
        with self.said.open("w") as said:
            return subprocess.Popen([sys.executable, *words], env=environ, cwd=self.folder, stdout=said, stderr=said)

    def trials(self) -> list[TrialFolder]:
        return [self.layout.trial(trial_id) for trial_id in trial_ids(self.layout)]

    def seen(self) -> list[str]:
        """The states that `iwm status` shows."""
        command = [sys.executable, "-m", "orchestrator.cli", "status", "--json", "--root", str(self.layout.root)]
        said = subprocess.run(command, env=self.cluster.env, capture_output=True, check=True).stdout
        return [trial["state"] for sweep in json.loads(said)["sweeps"] for trial in sweep["trials"]]

    def accounted(self, job_id: str) -> str:
        """State and exit code of a job that ends, as SLURM's accounting has them."""
        ask = ("sacct", "-nXP", "-j", job_id, "-o", "State,ExitCode")
        until(lambda: not self.cluster.run(*ask).startswith("RUNNING"))
        return self.cluster.run(*ask).strip()


@pytest.fixture
def hydra(dev_cluster, tmp_path) -> Caller:
    return Caller(dev_cluster(), tmp_path)


def until(condition: Callable[[], object], *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_four_cells_through_hydra_are_reused_by_a_sweep(hydra):
    axes = ("conditioning=none,feature", "seed=1,2")
    caller = hydra.start("train.steps=10", *axes)
    assert caller.wait(timeout=120) == 0, hydra.said.read_text()

    (hydra.folder / "sweeps").mkdir()
    (hydra.folder / "sweeps" / "same.yaml").write_text("description: the same cells")
    sweep = expand("same", [*ON_CPU, "train.steps=10", *axes], sweeps_dir=hydra.folder / "sweeps")
    assert plan_sweep(hydra.layout, sweep).counts == {"submit": 0, "resume": 0, "reuse": 4, "skip": 0}
    statuses = [read_status(folder) for folder in hydra.trials()]
    assert {status.launcher for status in statuses} == {"hydra"}
    assert {status.job_id.partition("_")[2] for status in statuses} == {"0", "1", "2", "3"}
    assert all(folder.logs.glob("*.out") for folder in hydra.trials())


def test_a_job_that_slurm_starts_again_goes_on_under_its_own_claim(hydra):
    caller = hydra.start("train.steps=250", "conditioning=none")
    until(lambda: hydra.trials() and read_status(hydra.trials()[0]).step >= 10)
    (folder,) = hydra.trials()
    job_id = read_status(folder).job_id
    assert hydra.seen() == [State.RUNNING]  # by the reconciler, which finds nothing to do
    hydra.cluster.run("scancel", "--signal=USR2", job_id)
    until(lambda: hydra.seen() == [State.PREEMPTED])
    assert caller.wait(timeout=180) == 0, hydra.said.read_text()

    first, second = journal.read_journals(folder).values()
    assert isinstance(first[-1], Preempted)
    assert isinstance(second[0], Started)
    assert second[0].resumed_from_step == first[-1].step > 0
    assert isinstance(second[-1], Finished)
    assert [event.name for event in journal.read_control(folder)] == ["claimed", "submitted"]
    assert hydra.accounted(job_id) == "COMPLETED|0:0"


def test_a_trial_whose_job_is_gone_for_good_is_taken_up_like_any_other(hydra):
    caller = hydra.start("train.steps=250", "conditioning=none")
    until(lambda: hydra.trials() and any(a.checkpoint_step for a in read_status(hydra.trials()[0]).attempts))
    (folder,) = hydra.trials()
    os.kill(read_status(folder).attempts[0].pid, signal.SIGKILL)
    until(lambda: hydra.seen() == [State.FINISHED], within_s=240)
    status = read_status(folder)
    assert [attempt.end for attempt in status.attempts] == ["lost", "finished"]
    assert status.launcher == "slurm"
    assert status.attempts[1].resumed_from_step > 0
    assert caller.wait(timeout=120) != 0


def test_every_job_carries_the_token_of_its_leases(hydra):
    caller = hydra.start("train.steps=20", "seed=0,1", "resources.sbatch_args='--begin=now+1hour'")
    until(lambda: len(hydra.cluster.run("squeue", "--noheader", "--array", "--format=%j").split()) == 2)
    names = set(hydra.cluster.run("squeue", "--noheader", "--array", "--format=%j").split())
    assert len(names) == 1
    assert slurm.TOKEN.search(names.pop())
    caller.terminate()
    caller.wait(timeout=60)


def test_a_trial_that_fails_fails_its_job_and_its_caller(hydra):
    caller = hydra.start("data=imagefolder", "data.dataset=none", "resources.data_root=/nowhere")
    assert caller.wait(timeout=120) == 1
    assert "/nowhere" in hydra.said.read_text()
    (folder,) = hydra.trials()
    status = read_status(folder)
    assert status.state is State.FAILED
    assert hydra.accounted(status.job_id) == "FAILED|1:0"
