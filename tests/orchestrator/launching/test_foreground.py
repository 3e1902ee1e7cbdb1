"""A job of Hydra's claims its trial itself, goes on with its own claim, and leaves what is not its."""

import os

import pytest

from iwm_core.config import TrialConfig
from iwm_core.events import Finished, Started
from orchestrator.launching.foreground import EXECUTOR, GPUS_SEEN, give_way, has_right, in_a_slot, job_around, run_cell
from orchestrator.launching.leases import write_trial
from orchestrator.records import journal
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cancelled, Claimed, Submitted
from orchestrator.trial.lifecycle import State
from orchestrator.trial.sweep import Cell, Resources
from orchestrator.trial.value import Trial
from orchestrator.worker.attempt import CANCELLED, Job

CELL = Cell(Trial(TrialConfig(seed=3)), {})
IN_SLURM = Job(job_id="7_1", token="hydra-7_1", in_slurm=True)


@pytest.fixture
def folder(on_disk):
    return write_trial(on_disk.layout, CELL.trial)


def right(folder, job=IN_SLURM):
    return has_right(folder, resources=CELL.resources, job=job)


def claimed(folder, token):
    journal.claim(folder, Claimed(claim=0, token=token, launcher="slurm"))
    journal.record(folder, Submitted(claim=0, job_id="6"))


def test_a_job_that_slurm_starts_again_has_the_same_token():
    array = {"SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_ID": "9", EXECUTOR: "slurm"}
    ours = {**array, "IWM_CLAIM": "0123456789abcdef"}
    assert job_around(ours).token == job_around({**ours, "SLURM_RESTART_COUNT": "1"}).token == "0123456789abcdef"
    assert job_around(array).token == "hydra-5_2", "submitted before its jobs carried a token"


@pytest.mark.parametrize("environ", [{}, {"SLURM_JOB_ID": "9"}])
def test_a_shell_in_an_allocation_is_no_job_of_ours(environ):
    first, second = job_around(environ), job_around(environ)
    assert not first.in_slurm
    assert first.token != second.token


def test_a_new_trial_is_claimed_and_its_job_recorded(folder):
    assert right(folder)
    status = read_status(folder)
    assert (status.launcher, status.job_id, status.state) == ("hydra", "7_1", State.QUEUED)


def test_outside_of_slurm_a_trial_is_in_the_foreground(folder):
    assert right(folder, Job(token="t"))
    assert read_status(folder).launcher == "foreground"


@pytest.mark.parametrize("events", [[], [Started(claim=0)]])
def test_the_same_job_goes_on_under_its_own_claim(on_disk, folder, events):
    right(folder)
    if events:
        on_disk.attempt(folder, events).close()
    assert right(folder)
    assert [event.name for event in journal.read_control(folder)] == ["claimed", "submitted"]


def test_what_is_under_way_elsewhere_is_left_alone(on_disk, folder):
    claimed(folder, "somebody else's")
    on_disk.attempt(folder, [Started(claim=0)]).close()
    assert run_cell(on_disk.layout, CELL, job=IN_SLURM) == {}
    assert read_status(folder).claim == 0


def test_a_cancelled_claim_of_the_same_job_stays_cancelled(on_disk, folder):
    right(folder)
    journal.record(folder, Cancelled(claim=0))
    assert run_cell(on_disk.layout, CELL, job=IN_SLURM) == {}
    assert read_status(folder).state is State.CANCELLED


def test_a_finished_trial_is_reused(on_disk, folder):
    on_disk.attempt(folder, [Started(), Finished(step=1, metrics={"mrr": 0.5})]).close()
    assert run_cell(on_disk.layout, CELL, job=IN_SLURM) == {"mrr": 0.5}
    assert journal.read_control(folder) == []


@pytest.mark.parametrize(("job", "signal"), [(Job(), "SIGINT"), (IN_SLURM, CANCELLED)])
def test_a_stopped_trial_ends_its_process_where_nobody_starts_it_again(job, signal):
    with pytest.raises(SystemExit) as caught:
        give_way(job, "stopped at step 5", signal=signal)
    assert str(caught.value.code).startswith("stopped at step 5")


def test_jobs_share_the_slots_of_a_machine_and_their_gpus(on_disk, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    resources = Resources(slots=2)
    jobs = [
        in_a_slot(on_disk.layout, Job(), number=number, resources=resources, environ={GPUS_SEEN: "4,5"})
        for number in range(4)
    ]
    assert [job.slot_lock for job in jobs] == [str(on_disk.layout.slot_lock(number % 2)) for number in range(4)]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
