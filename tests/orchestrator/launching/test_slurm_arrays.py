"""Submissions to an sbatch that only writes down what it was told. Real ones: tests/slurm."""

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from submitit.core.utils import DelayedSubmission

from iwm_core.config import TrialConfig
from orchestrator.errors import LaunchError, RefusedError, RequestError
from orchestrator.host import slurm
from orchestrator.launching import slurm_arrays
from orchestrator.launching.batch import ArraySubmission, read_batch
from orchestrator.records import journal
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Claimed, Submitted, Withdrawn
from orchestrator.trial.lifecycle import State
from orchestrator.trial.sweep import Cell, Resources
from orchestrator.trial.value import Trial
from orchestrator.worker.workers import Pack, Worker

REFUSED = 'echo "sbatch: error: invalid partition specified: nosuch" >&2; exit 1'
UNREACHED = 'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1'


@dataclass(frozen=True)
class PretendSite:
    """sbatch, srun and scontrol on the PATH. `scripts` are the submission scripts that sbatch was given."""

    folder: Path

    def put(self, name: str, line: str) -> None:
        """A program that does what a line of shell says."""
        program = self.folder / name
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)

    def accept(self) -> None:
        """From now on sbatch takes what comes, as jobs 101, 102, ..."""
        self.put("sbatch", f'n=$(ls {self.folder} | grep -c script); for last; do :; done; cp "$last" '
                           f'{self.folder}/script$n; echo "Submitted batch job $((101 + n))"')  # fmt: skip

    @property
    def scripts(self) -> list[str]:
        return [path.read_text() for path in sorted(self.folder.glob("script*"))]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site whose arrays have three tasks."""
    (tmp_path / "bin").mkdir()
    site = PretendSite(tmp_path / "bin")
    site.put("srun", "exit 1")
    site.put("scontrol", "echo MaxArraySize = 3")
    site.accept()
    monkeypatch.setenv("PATH", f"{site.folder}:{os.environ['PATH']}")
    return site


def cells(count, **resources):
    return [Cell(Trial(TrialConfig(seed=seed)), {}, Resources(**resources)) for seed in range(count)]


def submit(on_disk, some):
    return slurm_arrays.submit_slurm(on_disk.layout, some, name="depth")


def test_an_array_per_resource_class_and_per_three_tasks(on_disk, site):
    small, large = cells(5, mem_gb=1, max_parallel=2)[:4], cells(5, mem_gb=2, time_limit_min=7)[4:]
    arrays = submit(on_disk, [*small, *large])
    assert [(array.job_id, len(array.trial_ids)) for array in arrays] == [("101", 3), ("102", 1), ("103", 1)]
    assert "#SBATCH --array=0-2%2" in site.scripts[0]
    assert [re.findall(r"--mem=(\w+)", text) for text in site.scripts] == [["1024M"], ["1024M"], ["2048M"]]
    assert "#SBATCH --time=7\n" in site.scripts[2]
    statuses = [read_status(on_disk.layout.trial(cell.trial.id)) for cell in [*small, *large]]
    assert [status.job_id for status in statuses] == ["101_0", "101_1", "101_2", "102", "103"]
    assert all(status.state is State.QUEUED and status.submitted for status in statuses)


def test_what_a_job_is_told(on_disk, site):
    (array,) = submit(on_disk, cells(1, setup="module load cuda", time_limit_min=30, signal_before_s=60))
    token = read_status(on_disk.layout.trial(array.trial_ids[0])).token
    (script,) = site.scripts
    for line in ("requeue", f"chdir={on_disk.layout.root}", f"job-name=depth-{token}", "signal=USR2@60", "time=30"):
        assert f"#SBATCH --{line}\n" in script
    assert f"\nexport IWM_CLAIM={token}\n" in script
    assert script.index("\nmodule load cuda\n") < script.index("\nsrun ")
    assert "wckey" not in script
    assert f"iwm {sys.executable} -u -m submitit.core._submit" in script


def test_packed_trials_share_a_task(on_disk, site):
    (array,) = submit(on_disk, cells(7, trials_per_gpu=3))
    jobs = [read_status(on_disk.layout.trial(key)).job_id for key in array.trial_ids]
    assert jobs == ["101_0"] * 3 + ["101_1"] * 3 + ["101_2"]
    token = read_status(on_disk.layout.trial(array.trial_ids[0])).token
    batch = read_batch(on_disk.layout, token)
    assert batch
    assert [len(ids) for ids in batch.tasks] == [3, 3, 1]


def test_what_is_under_way_is_not_submitted(on_disk, site):
    submit(on_disk, cells(1))
    assert submit(on_disk, cells(1)) == []
    assert len(site.scripts) == 1


def test_a_refused_array_takes_its_claims_back_and_those_before_it_stand(on_disk, site):
    first, second = cells(2, mem_gb=1)[:1], cells(2, mem_gb=2)[1:]
    site.put("sbatch", f'for last; do :; done; if grep -q "mem=2048M" "$last"; then {REFUSED}; fi; '
                       "echo Submitted batch job 101")  # fmt: skip
    with pytest.raises(RefusedError) as caught:
        submit(on_disk, [*first, *second])
    assert caught.value.value == "invalid partition specified: nosuch"
    here, refused = (on_disk.layout.trial(cell.trial.id) for cell in (*first, *second))
    assert read_status(here).job_id == "101"
    assert read_status(refused).state is State.PLANNED
    assert [type(event) for event in journal.read_control(refused)] == [Claimed, Withdrawn]
    site.accept()
    assert len(submit(on_disk, second)) == 1


def test_where_sbatch_was_not_reached_the_claims_stand(on_disk, site):
    site.put("sbatch", UNREACHED)
    with pytest.raises(LaunchError) as caught:
        submit(on_disk, cells(2))
    assert "timed out" in str(caught.value.value)
    folders = [on_disk.layout.trial(cell.trial.id) for cell in cells(2)]
    assert [read_status(folder).state for folder in folders] == [State.QUEUED, State.QUEUED]
    batch = read_batch(on_disk.layout, read_status(folders[0]).token)
    assert batch
    assert batch.tasks == tuple((folder.id,) for folder in folders)


@pytest.mark.parametrize(
    ("sbatch", "error"),
    [(REFUSED, RefusedError), (UNREACHED, LaunchError), ("exit 127", LaunchError)],
)
def test_before_anything_is_claimed_slurm_is_asked(on_disk, site, sbatch, error):
    site.put("sbatch", sbatch)
    with pytest.raises(error):
        slurm_arrays.check_classes(on_disk.layout, cells(2), name="depth")
    assert not on_disk.layout.root.exists() or list(on_disk.layout.root.iterdir()) == []


def test_without_slurm_it_says_so(on_disk, site, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LaunchError) as silent:
        submit(on_disk, cells(1))
    assert "scontrol" in str(silent.value.value)
    with pytest.raises(LaunchError) as caught:
        slurm_arrays.check_classes(on_disk.layout, cells(1), name="depth")
    assert (caught.value.setting, caught.value.choices) == ("launcher", ("local",))
    assert not on_disk.layout.trials.exists()


def test_a_task_knows_folders_and_nothing_else(on_disk):
    a, b = Worker(on_disk.layout.trial("a").path), Worker(on_disk.layout.trial("b").path)
    assert slurm_arrays.callable_of(on_disk.layout, ["a"]) == a
    assert slurm_arrays.callable_of(on_disk.layout, ["a", "b"]) == Pack((a, b))


def test_an_orphan_gets_what_it_waits_for_once(on_disk):
    batch = ArraySubmission(token="0123456789abcdef", name="depth", resources=Resources(), tasks=(("a",), ("b",)))
    journal.replace_file(on_disk.layout.batch(batch.token) / "batch.json", batch.to_json())
    slurm_arrays.adopt(on_disk.layout, batch, job_id="101_1")
    assert {path.name for path in on_disk.layout.batch(batch.token).iterdir()} == {"batch.json", "101_1_submitted.pkl"}
    pickle = on_disk.layout.batch(batch.token) / "101_1_submitted.pkl"
    assert DelayedSubmission.load(pickle).function == Worker(on_disk.layout.trial("b").path)
    before = pickle.stat().st_ino
    slurm_arrays.adopt(on_disk.layout, batch, job_id="101_1")
    assert pickle.stat().st_ino == before


@pytest.mark.parametrize("text", [None, b"", b'{"token": "0123', json.dumps({"token": "0"}).encode()])
def test_a_batch_that_is_not_there_or_torn(on_disk, text):
    if text is not None:
        journal.replace_file(on_disk.layout.batch("0") / "batch.json", text)
    assert read_batch(on_disk.layout, "0") is None


def test_a_job_around_us_hands_nothing_on(monkeypatch):
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    variables = ("SLURM_MEM_PER_CPU", "SBATCH_PARTITION", "SBATCH_EXPORT", "SRUN_CPUS_PER_TASK", "SALLOC_ACCOUNT")
    for variable in variables:
        monkeypatch.setenv(variable, "64")
    with slurm_arrays.outside_of_a_job():
        assert {key for key in os.environ if key.startswith(slurm.FOREIGN)} == {"SLURM_CONF"}
    assert {os.environ[variable] for variable in variables} == {"64"}


@pytest.mark.parametrize("variable", ["SLURM_CLUSTERS", "SBATCH_CLUSTERS"])
def test_another_cluster_is_refused(variable, monkeypatch):
    monkeypatch.setenv(variable, "elsewhere")
    with pytest.raises(RequestError) as caught, slurm_arrays.outside_of_a_job():
        pass
    assert (caught.value.setting, caught.value.value) == (variable, "elsewhere")


def test_every_trial_of_an_array_knows_its_job(on_disk, site):
    (array,) = submit(on_disk, cells(2))
    for index, key in enumerate(array.trial_ids):
        (submitted,) = (e for e in journal.read_control(on_disk.layout.trial(key)) if isinstance(e, Submitted))
        assert submitted.job_id == f"101_{index}"
